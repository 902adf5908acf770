"""All that the authors, or this library, fix of DeepDream."""

from jaxviz.optimizers import normalized_gradient
from jaxviz.techniques.registry import Preset

PAPER = "Mordvintsev, Olah, Tyka. Inceptionism: Going Deeper into Neural Networks. Google Research 2015"
UNITS = "pixels in [0, 1]"

PRESETS = {
    "default": Preset(
        network="vgg16",
        values={"layers": {"relu4_3": 1.0}, "octaves": 4, "ratio": 1.4, "jitter": 16, "rate": 0.01},
        units=UNITS,
        optimizer=lambda start: normalized_gradient(0.01),
        algorithm="steps of 0.01 in the mean",
        steps=10,
    ),
    "google": Preset(
        network="googlenet",
        values={"layers": {"inception_4c": 1.0}, "octaves": 4, "ratio": 1.4, "jitter": 32, "rate": 1.5 / 255},
        units=UNITS,
        optimizer=lambda start: normalized_gradient(1.5 / 255),
        algorithm="steps of 1.5/255 in the mean",
        steps=10,
        paper=f"{PAPER}; the authors' notebook",
        departures="the notebook's GoogLeNet is Caffe's, torchvision's here has batch normalization; "
        "where a network has no inception_4c, relu4_3 takes its place",
    ),
}
