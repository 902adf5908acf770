"""Colors of one picture with the light of another: what keeps a picture's own colors when its style changes.

Style transfer paints with the colors of the painting. A linear change of the painting before the transfer gives it
the content's colors; or the result keeps its light and takes each pixel's color from the content. `before` and
`after` do either by its name in `KEEP`. All are pure functions of one RGB picture or two, [h, w, 3], in [0, 1].
"""

from jaxviz.colors.keeping import KEEP, after, before
from jaxviz.colors.lights import from_lab, greys, luminance, replace_lightness, replace_luminance, to_lab
from jaxviz.colors.matching import ROOTS, color_map, match_colors, match_histogram

__all__ = [
    "KEEP",
    "ROOTS",
    "after",
    "before",
    "color_map",
    "from_lab",
    "greys",
    "luminance",
    "match_colors",
    "match_histogram",
    "replace_lightness",
    "replace_luminance",
    "to_lab",
]
