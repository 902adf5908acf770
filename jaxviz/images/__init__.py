"""Pictures in files and as arrays: reading, writing, resizing, on the host with NumPy and Pillow.

Inside the library a picture is RGB, float32, [height, width, 3], in [0, 1].
"""

from jaxviz.images.pictures import (
    ARRAY_SUFFIXES,
    MAX_PIXELS,
    PICTURE_SUFFIXES,
    Cut,
    Picture,
    PictureError,
    Pixels,
    Resized,
    to_bytes,
    to_floats,
)
from jaxviz.images.reading import check_pixels, decode, open_array, quiet, read
from jaxviz.images.sizes import cut, cut_square, enlarged, fit_longer, fit_square, resize
from jaxviz.images.writing import atomically, checked_suffix, temporary_beside, write, write_cutout, writing

__all__ = [
    "ARRAY_SUFFIXES",
    "MAX_PIXELS",
    "PICTURE_SUFFIXES",
    "Cut",
    "Picture",
    "PictureError",
    "Pixels",
    "Resized",
    "atomically",
    "check_pixels",
    "checked_suffix",
    "cut",
    "cut_square",
    "decode",
    "enlarged",
    "fit_longer",
    "fit_square",
    "open_array",
    "quiet",
    "read",
    "resize",
    "temporary_beside",
    "to_bytes",
    "to_floats",
    "write",
    "write_cutout",
    "writing",
]
