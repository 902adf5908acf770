"""All that a paper, or a well-known program, fixes of style transfer, in the units of this library.

`match_gram` takes Gram matrices per position and divides by 4 c²; what others divide by is in the weights here.
With c channels, a mean squared error of Gram matrices per position with weight w is a weight of 4 w, and one of
matrices that are divided by c too, of 4 w / c².
"""

from jaxviz.optimizers import adam, averaged, lbfgs
from jaxviz.techniques.registry import Preset

STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
CHANNELS = dict(zip(STYLE_LAYERS, (64, 128, 256, 512, 512), strict=True))
PAPER = "Gatys, Ecker, Bethge. Image Style Transfer Using Convolutional Neural Networks. CVPR 2016"
USUAL = {
    "content_weight": 1.0,
    "style_weight": 1.0,
    "tv_weight": 0.0,
    "content_weights": {"relu4_2": 1.0},
    "content_reduction": "mean",
    "style_loss": "gram",
    "smoothness": "total variation",
    "init": "content",
    "noise_center": "content",
    "noise_deviation": 0.1,
    "pooling": "max",
    "first_borders": "zero",
    "colors": "kept in [0, 1]",
}
BY_LOSS = {"gram": 2e-3, "covariance": 2e-3, "moments": 60.0, "wasserstein": 10.0, "nearest": 1e5}
"""Gram matrices count the fourth power of features, moments the second, cosines none: these cost the content about
alike."""
NEAREST_LAYERS = dict.fromkeys(("relu3_1", "relu3_2", "relu3_3"), 1 / 3)
"""Of the style where nearest features are matched, whatever the preset, as in ARF (ECCV 2022)."""
UNITS = "pixels in [0, 1], features squared per element, Gram matrices per position"

PRESETS = {
    "default": Preset(
        network="vgg16",
        values={**USUAL, "style_weight": BY_LOSS, "style_weights": dict.fromkeys(STYLE_LAYERS, 1 / 5)},
        units=UNITS,
        optimizer=lambda start: lbfgs(),
        algorithm="L-BFGS, memory 20",
        steps=300,
    ),
    "gatys2016": Preset(
        network="vgg19",
        values={
            **USUAL,
            "style_weight": 1e3,
            "content_weights": {"relu4_2": 0.5},
            "content_reduction": "sum",
            "style_weights": dict.fromkeys(STYLE_LAYERS, 1 / 5),
            "init": "noise",
            "noise_center": "ImageNet",
            "noise_deviation": 1 / 255,
            "pooling": "average",
            "colors": "free",
        },
        units="pixels in [0, 1], half the sum of squared features, Gram matrices per position",
        optimizer=lambda start: lbfgs(),
        algorithm="L-BFGS, memory 20",
        steps=500,
        paper=PAPER,
        departures="the paper's VGG-19 has weights rescaled so that features average 1, and its steps are not told",
    ),
    "gatys_notebook": Preset(
        network="vgg19",
        values={
            **USUAL,
            "style_weights": {layer: 4 * 1e3 / c**2 for layer, c in CHANNELS.items()},
            "colors": "free",
        },
        units=UNITS,
        optimizer=lambda start: lbfgs(100),
        algorithm="L-BFGS, memory 100",
        steps=500,
        paper=f"{PAPER}; the authors' PytorchNeuralStyleTransfer, at 512 pixels",
        departures="every step is safeguarded, and the second run at 800 pixels is left to `pyramid`",
    ),
    "neural_style": Preset(
        network="vgg19",
        values={
            **USUAL,
            "content_weight": 5.0,
            "style_weights": {layer: 4 * 1e2 / c**2 for layer, c in CHANNELS.items()},
            "tv_weight": 0.5e-3 * 255**2,
            "init": "noise",
            "noise_center": "ImageNet",
            "noise_deviation": 1e-3 / 255,
            "colors": "free",
        },
        units=UNITS,
        optimizer=lambda start: lbfgs(100),
        algorithm="L-BFGS, memory 100",
        steps=1000,
        paper=f"{PAPER}; Johnson's neural-style, at 512 pixels",
        departures="colors are scaled by 255, not 256; the last row's and column's differences count as well",
    ),
    "crowsonkb": Preset(
        network="vgg19",
        values={
            **USUAL,
            "content_weight": 0.015,
            "tv_weight": 2.0,
            "style_weights": dict(zip(STYLE_LAYERS, (w / 341 for w in (256, 64, 16, 4, 1)), strict=True)),
            "style_loss": "wasserstein",
            "smoothness": "nine point",
            "first_borders": "replicate",
            "pyramid": 128,
            "first_steps": 1000,
        },
        units="pixels in [0, 1], features squared per element, Wasserstein distances per channel",
        optimizer=lambda start: averaged(adam(0.02, b2=0.99), 0.99),
        algorithm="Adam 0.02 (0.9, 0.99), average of points with decay 0.99",
        steps=500,
        paper="Crowson. style-transfer-pytorch. github.com/crowsonkb/style-transfer-pytorch, at 512 pixels",
        departures="the program's weights are torchvision's; with others features have another scale",
    ),
}
