"""All that the paper, or this library, fixes of texture synthesis."""

from jaxviz.optimizers import lbfgs
from jaxviz.techniques.registry import Preset

LAYERS = ("relu1_1", "pool1", "pool2", "pool3", "pool4")
PAPER = "Gatys, Ecker, Bethge. Texture Synthesis Using Convolutional Neural Networks. NeurIPS 2015"
UNITS = "pixels in [0, 1], Gram matrices per position"
EQUAL = dict.fromkeys(LAYERS, 1 / len(LAYERS))

PRESETS = {
    "default": Preset(
        network="vgg16",
        values={
            "weights": EQUAL,
            "kind": "gram",
            "pooling": "max",
            "colors": "kept in [0, 1]",
            "start_center": "exemplar",
            "start_deviation": 0.1,
            "histogram": "as found",
        },
        units=UNITS,
        optimizer=lambda start: lbfgs(),
        algorithm="L-BFGS, memory 20",
        steps=300,
    ),
    "paper": Preset(
        network="vgg19",
        values={
            "weights": EQUAL,
            "kind": "gram",
            "pooling": "average",
            "colors": "kept in the exemplar's range, of each channel",
            "start_center": "ImageNet",
            "start_deviation": 1 / 255,
            "histogram": "the exemplar's, of each channel",
        },
        units=UNITS,
        optimizer=lambda start: lbfgs(),
        algorithm="L-BFGS, memory 20",
        steps=2000,
        paper=f"{PAPER}; the authors' DeepTextures",
        departures="the paper's VGG-19 has weights rescaled so that features average 1; the program's factor of "
        "1e9, which only scales the loss, is left away; its bounds are of all channels together, less their means",
    ),
}
