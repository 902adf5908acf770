"""Commands that make a picture by minimizing: inversion, texture, style."""

from jaxviz.cli.synthesis.inversion import invert
from jaxviz.cli.synthesis.style import style
from jaxviz.cli.synthesis.texture import texture

__all__ = ["invert", "style", "texture"]
