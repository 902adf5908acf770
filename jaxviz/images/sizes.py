"""Other sizes: resized by Pillow's antialiased bicubic, and cut."""

import numpy as np
from PIL import Image as PillowImage

from jaxviz.images.pictures import MAX_PIXELS, Cut, Pixels, Resized, to_floats


def resize(image: Pixels, height: int, width: int) -> Resized:
    """Returns the picture at another size: Pillow's antialiased bicubic in float, clipped to [0, 1].

    Raises:
      ValueError: If the size is over `MAX_PIXELS`.
    """
    return to_floats(cut(image, (height, width), (height, width)))


def cut(image: Pixels, whole: tuple[int, int], part: tuple[int, int]) -> Cut:
    """Returns the centre, `part` pixels of it, of the picture that `resize` makes `whole` pixels large.

    Bytes stay bytes where the picture has that size already.

    Args:
      image: Floats in [0, 1], or bytes.
      whole: Height and width of the resized picture.
      part: Height and width of what is cut out; no larger.

    Raises:
      ValueError: If the size is over `MAX_PIXELS`.

    Example:
      >>> jaxviz.images.cut(np.zeros((8, 9, 3), np.uint8), (8, 9), (4, 4)).dtype
      dtype('uint8')
    """
    (height, width), (h, w) = whole, part
    top, left = (height - h) // 2, (width - w) // 2
    if image.shape[:2] == (height, width):
        return image[top : top + h, left : left + w]
    if height * width > MAX_PIXELS:
        old = f"{image.shape[1]}×{image.shape[0]}"
        raise ValueError(
            f"a picture of {old} pixels would become {width}×{height}, over the limit of {MAX_PIXELS:,}; "
            "take a smaller size, or cut it to a less extreme shape"
        )
    made = np.empty((h, w, 3), np.float32)
    for c in range(3):
        channel = PillowImage.fromarray(to_floats(image[..., c]))
        # Pillow's own `box` would resize the part alone, but rounds its places otherwise in the last bit.
        channel = channel.resize((width, height), PillowImage.Resampling.BICUBIC)
        np.clip(np.asarray(channel.crop((left, top, left + w, top + h))), 0, 1, out=made[..., c])
    return made


def fit_longer(image: Pixels, size: int) -> Resized:
    """Returns the picture with its longer side of `size` pixels, aspect kept."""
    h, w = image.shape[:2]
    scale = size / max(h, w)
    return resize(image, max(1, round(h * scale)), max(1, round(w * scale)))


def fit_square(image: Pixels, size: int) -> Resized:
    """Returns `size`×`size` pixels for a classifier.

    A picture of exactly that size is taken as it is; of any other, the shorter side is made round(8/7 · `size`)
    pixels (256 for 224) and the centre cut out.
    """
    return to_floats(cut_square(image, size))


def cut_square(image: Pixels, size: int) -> Cut:
    """Returns what `fit_square` returns, but bytes of a picture of bytes from which it is only cut."""
    h, w = image.shape[:2]
    if (h, w) == (size, size):
        return image
    scale = round(8 * size / 7) / min(h, w)
    return cut(image, (max(size, round(h * scale)), max(size, round(w * scale))), (size, size))


def enlarged(before: np.ndarray, after: np.ndarray) -> str:
    """Returns what to say of a picture whose shorter side was made more than twice as long; else nothing.

    Example:
      >>> enlarged(np.zeros((1, 1, 3)), np.zeros((256, 256, 3)))
      '1×1 pixels, enlarged to 256×256'
    """
    (h, w), (height, width) = before.shape[:2], after.shape[:2]
    if min(height, width) <= 2 * min(h, w):
        return ""
    return f"{w}×{h} pixels, enlarged to {width}×{height}"
