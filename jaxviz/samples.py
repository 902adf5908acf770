"""Pictures to try things on: photographs that come with scikit-image, and a painting drawn here."""

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw

from jaxviz.images import Picture

PALETTE = np.array([(16, 42, 92), (28, 84, 140), (70, 140, 180), (20, 28, 54), (120, 170, 160)])
WARM = np.array([(236, 196, 64), (244, 226, 150), (200, 92, 40)])


def photograph(name: str) -> Picture:
    """Returns a picture of `skimage.data` such as "chelsea", RGB in [0, 1].

    Raises:
      ImportError: If scikit-image is not installed: `pip install scikit-image`.
    """
    try:
        import skimage.data
    except ImportError as error:
        raise ImportError("sample pictures need scikit-image: pip install scikit-image") from error
    picture = getattr(skimage.data, name)()
    picture = np.repeat(picture[..., None], 3, axis=2) if picture.ndim == 2 else picture[..., :3]
    return (picture / 255).astype(np.float32)


def painting(size: int = 256, *, seed: int = 0) -> Picture:
    """Returns brush strokes along a field of whirls, [size, size, 3]: a style with color, direction and scale.

    Args:
      size: Side in pixels.
      seed: Chooses whirls and strokes.
    """
    random = np.random.default_rng(seed)
    side = 2 * size
    canvas = PillowImage.new("RGB", (side, side), (24, 56, 104))
    draw = ImageDraw.Draw(canvas)
    centers = random.uniform(0, side, (5, 2))
    spins = random.choice([-1, 1], 5)
    radii = random.uniform(0.15, 0.35, 5) * side

    def flow(points):
        offsets = points[:, None] - centers
        distances = np.linalg.norm(offsets, axis=2)
        strengths = 3 * spins * np.exp(-((distances / radii) ** 2) / 2) / (distances + 1e-6)
        around = np.stack([-offsets[..., 1], offsets[..., 0]], 2)
        onward = np.stack([np.ones(len(points)), 0.25 * np.sin(6 * points[:, 0] / side)], 1)
        direction = onward + (strengths[:, None] @ around)[:, 0]
        return direction / np.linalg.norm(direction, axis=1, keepdims=True)

    starts, lengths, fills, widths = [], [], [], []
    for _ in range(2600):
        point = random.uniform(-20, side + 20, 2)
        close = (np.linalg.norm(point - centers, axis=1) / radii).min() < 0.35
        tube = WARM if close and random.random() < 0.8 else PALETTE
        color = np.clip(tube[random.integers(len(tube))] + random.normal(0, 16, 3), 0, 255)
        starts.append(point)
        lengths.append(random.integers(6, 14))
        widths.append(int(random.integers(5, 12) * side / 512) or 1)
        fills.append(tuple(int(c) for c in color))
    # All strokes go on together: one by one they take six times as long.
    walked = [np.array(starts)]
    for _ in range(max(lengths)):
        walked.append(walked[-1] + flow(walked[-1]) * side / 110)
    for stroke, length, fill, width in zip(np.stack(walked, 1), lengths, fills, widths, strict=True):
        draw.line([tuple(point) for point in stroke[: length + 1]], fill=fill, width=width, joint="curve")
    small = canvas.resize((size, size), PillowImage.Resampling.LANCZOS)
    return np.asarray(small, np.float32) / 255
