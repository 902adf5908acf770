"""The techniques: families of methods, each a composition of symbols, declared once in its family's `FAMILY`."""

from jaxviz.techniques import attacks, dream, features, inversion, saliency, style, texture, visualization
from jaxviz.techniques.registry import Family, Method, Option, Preset

__all__ = ["FAMILIES", "Family", "Method", "Option", "Preset"]

FAMILIES: dict[str, Family] = {
    module.FAMILY.name: module.FAMILY
    for module in (features, saliency, visualization, dream, attacks, inversion, texture, style)
}
