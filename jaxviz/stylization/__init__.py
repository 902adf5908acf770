"""Feed-forward stylization: networks that are trained once, and draw a picture in one pass.

model = jaxviz.stylization.load("style.safetensors")
styled = jaxviz.stylization.stylize(model, photo, model.codes(["great_wave"]))
"""

from jaxviz.stylization.coloring import recolored
from jaxviz.stylization.decoder import Decoder
from jaxviz.stylization.discriminator import Discriminator, hinge
from jaxviz.stylization.exporting import export
from jaxviz.stylization.files import describe, load, record, save, shipped
from jaxviz.stylization.filming import film
from jaxviz.stylization.mixing import between, placed
from jaxviz.stylization.models import (
    Adaptive,
    Bank,
    Stylizer,
    adapted,
    adaptive,
    initialize,
    style_code,
    stylize,
)
from jaxviz.stylization.motion import flow
from jaxviz.stylization.projector import Projector, StyleCoder, pooled_features
from jaxviz.stylization.temporal import Steady, flicker, reliability
from jaxviz.stylization.transformer import Transformer
from jaxviz.stylization.warping import visible, warped

__all__ = [
    "Adaptive",
    "Bank",
    "Decoder",
    "Discriminator",
    "Projector",
    "Steady",
    "StyleCoder",
    "Stylizer",
    "Transformer",
    "adapted",
    "adaptive",
    "between",
    "describe",
    "export",
    "film",
    "flicker",
    "flow",
    "hinge",
    "initialize",
    "load",
    "placed",
    "pooled_features",
    "recolored",
    "record",
    "reliability",
    "save",
    "shipped",
    "style_code",
    "stylize",
    "visible",
    "warped",
]
