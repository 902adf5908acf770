"""All that the authors, or this library, fix of DeepDream."""

from typing import Any

from jaxviz.optimizers import normalized_gradient
from jaxviz.techniques.registry import Preset

PAPER = "Mordvintsev, Olah, Tyka. Inceptionism: Going Deeper into Neural Networks. Google Research 2015"


def _preset(network: str, layer: str, jitter: int, rate: float, **said: Any) -> Preset:
    return Preset(
        network=network,
        values={"layers": {layer: 1.0}, "octaves": 4, "ratio": 1.4, "jitter": jitter, "rate": rate},
        units="pixels in [0, 1]",
        optimizer=lambda start: normalized_gradient(rate),
        algorithm="steps of one mean size, the rate",
        steps=10,
        **said,
    )


PRESETS = {
    "default": _preset("vgg16", "relu4_3", 16, 0.01),
    "google": _preset(
        "googlenet",
        "inception_4c",
        32,
        1.5 / 255,
        paper=f"{PAPER}; the authors' notebook",
        departures="the notebook's GoogLeNet is Caffe's, torchvision's here has batch normalization; "
        "where a network has no inception_4c, relu4_3 takes its place",
    ),
}
