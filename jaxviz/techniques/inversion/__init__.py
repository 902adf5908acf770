"""Feature inversion: an image whose features are those of another, so what a layer has kept of it."""

from jaxviz.networks.preprocessing import MEAN_COLOR
from jaxviz.techniques.inversion.inverting import STRIP, invert, restarts, schedule, strip
from jaxviz.techniques.inversion.posing import inverted_layers, problem
from jaxviz.techniques.inversion.presets import PAPER, PRESETS, TYPICAL_RMS, staged_momentum
from jaxviz.techniques.registry import Family, Method, Option

__all__ = [
    "FAMILY",
    "MEAN_COLOR",
    "PRESETS",
    "STRIP",
    "TYPICAL_RMS",
    "invert",
    "inverted_layers",
    "problem",
    "restarts",
    "schedule",
    "staged_momentum",
    "strip",
]

FAMILY = Family(
    name="inversion",
    title="a picture with the same features: what a layer has kept",
    command="invert",
    network="vgg16",
    methods={
        "inversion": Method(
            function=invert,
            title="feature inversion",
            equation="x* = argmin ‖Φ(x) − Φ(x₀)‖²/‖Φ(x₀)‖² + λ TV(x)",
            paper=PAPER,
            result="image",
            options={
                "layer": Option("layers", "Layers to invert.", usual=["relu3_3"]),
                "tv_weight": Option("number", "Weight of the total variation; default: the preset's.", 0),
                "tv_beta": Option("number", "Its exponent β; default: the preset's.", 1),
                "alpha_weight": Option("number", "Weight of the α-norm; default: the preset's.", 0),
                "alpha": Option("number", "Its exponent α; default: the preset's.", 1),
            },
            problem=problem,
            schedule=schedule,
        )
    },
    presets=PRESETS,
)
