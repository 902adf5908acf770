"""What the papers, their code, and this library fix of a training."""

from typing import Any

from jaxviz.training.recipe import Preset

JOHNSON = (
    "Johnson, Alahi, Fei-Fei. Perceptual Losses for Real-Time Style Transfer and Super-Resolution. ECCV 2016"
)
ULYANOV = (
    "Ulyanov, Vedaldi, Lempitsky. Instance Normalization: The Missing Ingredient for Fast Stylization. "
    "arXiv 2016"
)
DUMOULIN = "Dumoulin, Shlens, Kudlur. A Learned Representation for Artistic Style. ICLR 2017"
HUANG = (
    "Huang, Belongie. Arbitrary Style Transfer in Real-Time with Adaptive Instance Normalization. ICCV 2017"
)
ZHANG = (
    "Zhang, Tang, Dong, Huang, Huang, Lee, Xu. Domain Enhanced Arbitrary Image Style Transfer via Contrastive "
    "Learning. SIGGRAPH 2022"
)
ON_VGG16 = "runs on VGG-16, with its layers of the same names, where VGG-19 is not given"

CHANNELS = {"1": 64, "2": 128, "3": 256, "4": 512, "5": 512}


def _channels(layer: str) -> int:
    return CHANNELS[layer.removeprefix("relu")[0]]


def over_channels(*layers: str) -> dict[str, float]:
    """Returns weights by which `match_gram` is the mean square of Gram matrices that are divided by c h w.

    Ours divides a Gram matrix by h w, and the square by 4 c²; theirs a Gram matrix by c h w, and the square by c².
    """
    return {layer: 4 / _channels(layer) ** 2 for layer in layers}


JOHNSON_LAYERS = over_channels("relu1_2", "relu2_2", "relu3_3", "relu4_3")

TRANSFORMER: dict[str, Any] = {
    "network": "vgg16",
    "pooling": "max",
    "norm": "instance",
    "width": 16,
    "last_normalized": False,
    "content_weight": 1.0,
    "content_layers": {"relu3_3": 1.0},
    "style_weight": 5.0,
    "style_layers": JOHNSON_LAYERS,
    # 1e-6 on half the sum of squares, for colors of 0 to 255, beside means over a batch of 4.
    "tv_weight": 0.13,
    "batch": 4,
    "size": 256,
    "steps": 8000,
    "learning_rate": 1e-3,
    "decay": 1.0,
    "decay_every": 2000,
}

FAST = {
    "default": Preset(TRANSFORMER),
    "johnson2016": Preset(
        TRANSFORMER | {"norm": "batch", "width": 32, "content_layers": {"relu2_2": 1.0}, "steps": 40_000},
        JOHNSON,
        "the paper gives no weights of content and style: 1 and 5 are its code's; borders are mirrored and "
        "upsampling repeats pixels",
    ),
    "johnson_code": Preset(
        TRANSFORMER | {"steps": 40_000},
        f"{JOHNSON}; its published code, as for models with instance normalization",
        "borders are mirrored",
    ),
    "ulyanov2016": Preset(
        TRANSFORMER
        | {
            "network": "vgg19",
            "width": 32,
            "content_layers": {"relu4_2": 1.0},
            "style_weight": 1.0,
            "style_layers": over_channels("relu1_1", "relu2_1", "relu3_1", "relu4_1"),
            "tv_weight": 0.0,
            "batch": 1,
            "steps": 50_000,
            "decay": 0.8,
        },
        ULYANOV,
        ON_VGG16,
    ),
}

MULTI_VALUES = TRANSFORMER | {"norm": "conditional-instance", "steps": 16_000}
MULTI = {
    "default": Preset(MULTI_VALUES),
    "dumoulin2017": Preset(
        MULTI_VALUES
        | {
            "pooling": "average",
            "width": 32,
            "last_normalized": True,
            # The mean of the square over c² entries is four times ours.
            "style_layers": dict.fromkeys(JOHNSON_LAYERS, 4.0),
            "style_weight": 1e-4,
            "tv_weight": 0.0,
            "batch": 16,
            "steps": 40_000,
        },
        DUMOULIN,
        "kernels start by He's deviation, not by 0.01",
    ),
}

ADAIN_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
ADAIN_VALUES: dict[str, Any] = {
    "network": "vgg16",
    "slimness": 1,
    "solved_from": 200,
    "content_weight": 1.0,
    "style_weight": 10.0,
    "style_layers": dict.fromkeys(ADAIN_LAYERS, 1.0),
    "tv_weight": 0.0,
    "identity_weight": 20.0,
    "batch": 8,
    "size": 256,
    "steps": 16_000,
    "learning_rate": 1e-4,
    "decay_rate": 5e-5,
}
SCALED = "features are divided by their size on drawn pictures, where the paper's VGG-19 is normalized"
ADAIN = {
    "default": Preset(ADAIN_VALUES),
    "adain2017": Preset(
        ADAIN_VALUES
        | {
            "network": "vgg19",
            "style_weight": 1e-2,
            # A sum over channels, where ours is a mean.
            "style_layers": {layer: float(_channels(layer)) for layer in ADAIN_LAYERS},
            "identity_weight": 0.0,
            "solved_from": 0,
            "steps": 160_000,
        },
        HUANG,
        f"{SCALED}; {ON_VGG16}",
    ),
}

CAST_VALUES: dict[str, Any] = {
    "network": "vgg16",
    "slimness": 2,
    "encoder": "frozen",
    "code_layers": ("relu1_2", "relu2_2", "relu3_3", "relu4_1"),
    "code_size": 512,
    "queue": 1024,
    "temperature": 0.07,
    "own_negatives": False,
    "contrasted": "paintings",
    "crop_least": 0.8,
    "discriminator_width": 32,
    "blurred": False,
    "adversarial_weight": 0.1,
    "discriminator_weight": 1.0,
    "contrast_weight": 0.05,
    "projector_weight": 1.0,
    "cycle_weight": 4.0,
    "batch": 4,
    "size": 256,
    "margin": 286 / 256,
    "steps": 16_000,
    "learning_rate": 1e-4,
    "momentum": 0.5,
    "decay_from": 8000,
    "decay_over": 8000,
    "start": None,
}
CAST_PAPER = CAST_VALUES | {
    "network": "vgg19",
    "slimness": 1,
    "contrasted": "both",
    "code_layers": ("relu1_2", "relu2_2", "relu3_3", "relu4_3"),
    "code_size": 2048,
    "queue": 4096,
    "discriminator_width": 64,
    "blurred": True,
    "steps": 160_000,
    "decay_from": 80_000,
    "decay_over": 80_000,
}
CAST = {
    "default": Preset(CAST_VALUES),
    "paper": Preset(
        CAST_PAPER,
        ZHANG,
        "weights, discriminators and the hinge loss are those of its published code; the projector reads the "
        "encoder, which was not trained to classify paintings, and begins with the mean of what it reads taken "
        f"away; {SCALED}; {ON_VGG16}",
    ),
    "code": Preset(
        CAST_PAPER
        | {
            "encoder": "trained",
            "code_layers": ("relu1_2", "relu2_2", "relu3_2", "relu4_2"),
            "own_negatives": True,
            "contrasted": "paintings",
            "batch": 1,
        },
        f"{ZHANG}; its published code",
        "the projector's network has no batch normalization; discriminators start by the same deviation as all "
        f"else; pictures keep their shape before they are cut; {ON_VGG16}",
    ),
}
