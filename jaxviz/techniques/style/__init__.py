"""Style transfer: the content of one picture with the textures of others."""

from jaxviz import colors
from jaxviz.techniques.losses import STYLE_LOSSES as LOSSES
from jaxviz.techniques.registry import Family, Method, Option
from jaxviz.techniques.style.posing import STARTS, problem
from jaxviz.techniques.style.presets import NEAREST_LAYERS, PAPER, PRESETS, STYLE_LAYERS
from jaxviz.techniques.style.transfer import recolored, schedule, transfer

__all__ = [
    "FAMILY",
    "LOSSES",
    "NEAREST_LAYERS",
    "PRESETS",
    "STARTS",
    "STYLE_LAYERS",
    "problem",
    "recolored",
    "schedule",
    "transfer",
]

FAMILY = Family(
    name="style",
    title="the content of one picture in the style of others",
    command="style",
    network="vgg16",
    methods={
        "style": Method(
            function=transfer,
            title="style transfer",
            equation="x* = argmin α ‖φ(x) − φ(p)‖² + β Σ ‖G(φ(x)) − G(φ(a))‖²",
            paper=PAPER,
            result="image",
            options={
                "content_weight": Option("number", "α; default: the preset's.", 0),
                "style_weight": Option("number", "β; default: the preset's.", 0),
                "content_weights": Option(
                    "layers", "Layers of the content; default: the preset's.", flag="--content-layer"
                ),
                "style_weights": Option(
                    "layers", "Layers of the style; default: the preset's.", flag="--style-layer"
                ),
                "style_loss": Option(
                    "choice", "What is compared; default: the preset's.", choices=tuple(LOSSES)
                ),
                "shares": Option(
                    "numbers", "How much of each style, as 0.7,0.3; default: equal.", flag="--style-weights"
                ),
                "keep_colors": Option(
                    "choice", "The content's colors are kept; default: the styles' come.", choices=colors.KEEP
                ),
                "histogram": Option("flag", "Give the result the styles' histograms of each channel."),
                "pyramid": Option(
                    "integer",
                    "Longer side of the coarsest of several scales; default: one scale.",
                    1,
                ),
                "tv_weight": Option("number", "Weight of the total variation; default: the preset's.", 0),
                "init": Option("start", "content, noise, or a picture; default: the preset's."),
            },
            problem=problem,
            schedule=schedule,
        )
    },
    presets=PRESETS,
)
