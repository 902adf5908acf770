"""Texture synthesis: an image of any size with the statistics of an exemplar's features."""

from jaxviz.techniques.losses import LOSSES
from jaxviz.techniques.registry import Family, Method, Option
from jaxviz.techniques.texture.posing import problem
from jaxviz.techniques.texture.presets import LAYERS, PAPER, PRESETS
from jaxviz.techniques.texture.synthesis import schedule, strip, synthesize

__all__ = ["FAMILY", "LAYERS", "LOSSES", "PRESETS", "problem", "schedule", "strip", "synthesize"]

FAMILY = Family(
    name="texture",
    title="a texture like an exemplar's, of any size",
    command="texture",
    network="vgg16",
    methods={
        "texture": Method(
            function=synthesize,
            title="texture synthesis",
            equation="x* = argmin Σ w/(4c²) ‖G(φ(x)) − G(φ(y))‖²",
            paper=PAPER,
            result="image",
            options={
                "size": Option(
                    "size", "Height and width of the texture, or both in one; default: the exemplar's."
                ),
                "weights": Option(
                    "layers", "Layers, and their weights; default: the preset's.", flag="--layer"
                ),
                "up_to": Option("layer", "The last of these layers that counts; default: all count."),
                "kind": Option(
                    "choice",
                    "What is compared; default: the preset's.",
                    choices=tuple(LOSSES),
                    flag="--style-loss",
                ),
                "shares": Option(
                    "numbers", "How much of each exemplar is wanted, such as 0.7,0.3; default: equal."
                ),
                "tileable": Option("flag", "Opposite borders fit, for a texture laid side by side."),
                "window": Option(
                    "integer", "Pixels down and across that are seen at a time, for large textures.", 1
                ),
                "pyramid": Option(
                    "integer",
                    "Longer side in pixels of the coarsest of several scales; default: one scale.",
                    1,
                ),
            },
            problem=problem,
            schedule=schedule,
        )
    },
    presets=PRESETS,
)
