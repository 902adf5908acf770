"""Feed-forward stylization: networks that are trained once, and draw a picture in one pass.

model = jaxviz.stylization.load("style.safetensors")
styled = jaxviz.stylization.stylize(model, photo, model.codes(["great_wave"]))
"""

from jaxviz.stylization.decoder import Decoder
from jaxviz.stylization.files import load, record, save, shipped
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
from jaxviz.stylization.transformer import Transformer

__all__ = [
    "Adaptive",
    "Bank",
    "Decoder",
    "Stylizer",
    "Transformer",
    "adapted",
    "adaptive",
    "initialize",
    "load",
    "record",
    "save",
    "shipped",
    "style_code",
    "stylize",
]
