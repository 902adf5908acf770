"""Many small pictures as one: kernels and activation maps in a grid, on the host; every value is a square."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int, UInt8
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from jaxviz import images
from jaxviz._checks import known
from jaxviz.images import Resized

Tile = UInt8[np.ndarray, "_ _ 3"]
SCALES = ("each", "common")
READABLE = 16
"""Blocks on a sheet, and tiles in a block, where nothing else is asked for."""
KERNELS, MAPS, LARGEST = 960, 1280, 1920
"""Usual width of all tiles together, in pixels, and the largest."""
ACROSS, NAMED = 8, 128
"""Pictures in a row, at most, and pixels that each has across, so that its name fits above it."""
MARGIN, GAP, LINE, TEXT, ROW = 16, 3, 2, 14, 19
PAPER, INK = (255, 255, 255), (40, 40, 44)
FRAME = (120, 152, 204)
"""Between grey tiles, of which some are white: no grey."""


def color_filters(
    kernels: Float[np.ndarray, "n kh kw 3"], *, scale: str = "each", caption: str = ""
) -> Resized:
    r"""Returns kernels over red, green and blue as a grid of colored tiles, in their order; grey is 0.

    .. math:: p = \frac12 + \frac{w}{2 \max |w|}

    Args:
      kernels: Such as `features.filters(network)`.
      scale: "each" takes the maximum over each kernel, so that weak ones can be seen too; "common" over all, so
        that it can be seen which are weak, as in Caffe's example. Unlike there, grey is 0 with either.
      caption: A line above.

    Raises:
      KeyError: If the scale is unknown.
    """
    tiles = [_gray_is_zero(kernel, top) for kernel, top in zip(kernels, _tops(kernels, scale), strict=True)]
    columns = math.ceil(math.sqrt(len(tiles)))
    return _sheet([_enlarged(tile, KERNELS // max(columns, 4)) for tile in tiles], columns, caption=caption)


def kernel_blocks(
    kernels: Float[np.ndarray, "n kh kw c"],
    *,
    count: int = READABLE,
    inputs: int = READABLE,
    scale: str = "each",
    caption: str = "",
) -> Resized:
    """Returns a block for each of the first kernels, of one grey tile for each of its first input channels.

    Args:
      kernels: Such as `features.filters(network, "conv2_1")`.
      count: Blocks, at most.
      inputs: Tiles of a block, at most.
      scale: As for `color_filters`; "each" is one scale for a block.
      caption: A line above.

    Raises:
      KeyError: If the scale is unknown.
    """
    shown = kernels[:count, :, :, :inputs]
    across = math.ceil(math.sqrt(shown.shape[3]))
    columns = math.ceil(math.sqrt(len(shown)))
    size = max(1, KERNELS // columns // across - LINE)
    blocks = []
    for kernel, top in zip(shown, _tops(shown, scale), strict=True):
        tiles = [_enlarged(_gray_is_zero(plane, top), size) for plane in np.moveaxis(kernel, -1, 0)]
        block = _joined(tiles, across, LINE, FRAME)
        framed = np.full((block.shape[0] + 2 * LINE, block.shape[1] + 2 * LINE, 3), FRAME, np.uint8)
        framed[LINE:-LINE, LINE:-LINE] = block
        blocks.append(framed)
    return _sheet(blocks, columns, [f"#{k}" for k in range(len(blocks))], gap=4 * GAP, caption=caption)


def activation_maps(
    maps: Float[np.ndarray, "h w c"], channels: Int[np.ndarray, " n"], *, caption: str = ""
) -> Resized:
    """Returns the maps of some channels, each from 0 to its own maximum, which is written above it.

    Where one of them has negative values, all are drawn from blue, below 0, over white to red.

    Args:
      maps: Such as `features.activations(network, image, layer).maps`, finite.
      channels: Those to draw, in this order.
      caption: A line above.
    """
    import matplotlib

    shown = np.moveaxis(np.asarray(maps, np.float32), -1, 0)[np.asarray(channels)]
    signed = bool((shown < 0).any())
    colors = matplotlib.colormaps["RdBu_r" if signed else "inferno"]
    columns = math.ceil(math.sqrt(len(shown) * maps.shape[0] / maps.shape[1]))
    size = min(LARGEST // columns - 2 * GAP, max(MAPS // max(columns, 4), maps.shape[1]))
    tiles, titles = [], []
    for channel, plane in zip(channels, shown, strict=True):
        top = float(np.abs(plane).max())
        scaled = np.divide(plane, top, out=np.zeros_like(plane), where=top > 0)
        tiles.append(_enlarged(colors((scaled + 1) / 2 if signed else scaled, bytes=True)[..., :3], size))
        value = plane.flat[np.abs(plane).argmax()]
        titles.append(f"#{channel}  {value:.4g}")
    bar = colors(np.linspace(0, 1, 160), bytes=True)[None, :, :3].repeat(TEXT - 3, 0)
    ends = ("-m", "m, the largest magnitude") if signed else ("0", "largest value")
    legend = (ends[0], bar, f"{ends[1]} of each map")
    return _sheet(tiles, columns, titles, gap=2 * GAP, caption=caption, legend=legend)


def row(pictures: Mapping[str, Resized], *, caption: str = "") -> Resized:
    """Returns pictures side by side under their names, at most eight in a row, on white where sizes differ.

    Small ones are enlarged, every value a square; those for which there is no room are made smaller.

    Args:
      pictures: Name → RGB in [0, 1], at least one.
      caption: A line above.

    Example:
      >>> row({"original": np.zeros((64, 64, 3)), "relu1_2": np.ones((64, 64, 3))}).shape
      (179, 294, 3)
    """
    columns = min(len(pictures), ACROSS)
    room = LARGEST // columns - 2 * GAP
    tiles = [
        _enlarged(images.to_bytes(picture), min(room, max(picture.shape[1], NAMED)))
        for picture in pictures.values()
    ]
    h, w = (max(tile.shape[axis] for tile in tiles) for axis in (0, 1))
    framed = [
        np.pad(tile, ((0, h - tile.shape[0]), (0, w - tile.shape[1]), (0, 0)), constant_values=PAPER[0])
        for tile in tiles
    ]
    return _sheet(framed, columns, list(pictures), gap=2 * GAP, caption=caption)


def scenes(rows: Sequence[Sequence[tuple[str, Resized]]], *, caption: str = "") -> Resized:
    """Returns rows of pictures of one size, each under its name, which is cut where it is too long.

    Args:
      rows: Of equally many pairs (name, RGB in [0, 1]), at least one.
      caption: A line above.

    Example:
      >>> picture = np.zeros((64, 64, 3))
      >>> scenes([[("cat", picture)], [("toaster", picture)]]).shape
      (588, 288, 3)
    """
    columns = len(rows[0])
    room = max(NAMED, LARGEST // columns - 2 * GAP)
    pairs = [pair for row in rows for pair in row]
    tiles = [_enlarged(images.to_bytes(picture), min(room, 2 * NAMED)) for _, picture in pairs]
    font = ImageFont.load_default(TEXT)
    titles = []
    for name, _ in pairs:
        title = name
        while title and font.getlength(title) > tiles[0].shape[1]:
            title = f"{title[:-2]}…"
        titles.append(title)
    return _sheet(tiles, columns, titles, gap=2 * GAP, caption=caption)


def _tops(kernels: Float[np.ndarray, "n kh kw c"], scale: str) -> list[float]:
    tops: list[float] = np.abs(kernels).max((1, 2, 3)).tolist()
    return tops if known(scale, SCALES, "scale") == "each" else [max(tops)] * len(tops)


def _gray_is_zero(values: np.ndarray, top: float) -> Tile:
    planes = values if values.ndim == 3 else np.repeat(values[..., None], 3, axis=2)
    return np.round(127.5 + 127.5 * planes / (top if top > 0 else 1)).astype(np.uint8)


def _enlarged(tile: Tile, width: int) -> Tile:
    """Returns a tile with every value a square, as large as fits in `width`; if none does, a smaller one."""
    h, w = tile.shape[:2]
    if w > width:
        size = (width, max(1, round(h * width / w)))
        return np.asarray(PillowImage.fromarray(tile).resize(size, PillowImage.Resampling.BOX))
    factor = max(1, width // w)
    return tile.repeat(factor, 0).repeat(factor, 1)


def _joined(tiles: Sequence[Tile], columns: int, gap: int, color: tuple[int, int, int] = PAPER) -> Tile:
    h, w = tiles[0].shape[:2]
    rows = math.ceil(len(tiles) / columns)
    whole = np.full((rows * (h + gap) - gap, columns * (w + gap) - gap, 3), color, np.uint8)
    for k, tile in enumerate(tiles):
        top, left = k // columns * (h + gap), k % columns * (w + gap)
        whole[top : top + h, left : left + w] = tile
    return whole


def _sheet(
    tiles: Sequence[Tile],
    columns: int,
    titles: Sequence[str] = (),
    *,
    gap: int = GAP,
    caption: str = "",
    legend: tuple[str, Tile, str] | None = None,
) -> Resized:
    """Returns the tiles in rows, under their titles, unless one is too wide, and under caption and legend."""
    font = ImageFont.load_default(TEXT)
    h, w = tiles[0].shape[:2]
    if max((font.getlength(title) for title in titles), default=0) > w:
        titles = ()
    above = ROW if titles else 0
    strips = [np.pad(tile, ((above, 0), (0, 0), (0, 0)), constant_values=PAPER[0]) for tile in tiles]
    body = _joined(strips, columns, gap)
    lines = _lines(caption, font, max(body.shape[1], KERNELS // 2))
    widest = max((math.ceil(font.getlength(line)) for line in lines), default=0)
    if legend is not None:
        low, bar, high = legend
        high += ", written above it" if titles else ""
        left = round(font.getlength(low)) + 6
        right = left + bar.shape[1] + 6
        widest = max(widest, right + math.ceil(font.getlength(high)))
    head = ROW * (len(lines) + (legend is not None))
    head = MARGIN + head + (MARGIN // 2 if head else 0)
    size = (max(body.shape[1], widest) + 2 * MARGIN, body.shape[0] + head + MARGIN)
    sheet = PillowImage.new("RGB", size, PAPER)
    sheet.paste(PillowImage.fromarray(body), (MARGIN, head))
    draw = ImageDraw.Draw(sheet)
    top = MARGIN
    for line in lines:
        draw.text((MARGIN, top), line, INK, font)
        top += ROW
    if legend is not None:
        draw.text((MARGIN, top), low, INK, font)
        sheet.paste(PillowImage.fromarray(bar), (MARGIN + left, top + 3))
        draw.text((MARGIN + right, top), high, INK, font)
    for k, title in enumerate(titles):
        row, column = divmod(k, columns)
        draw.text((MARGIN + column * (w + gap), head + row * (above + h + gap)), title, INK, font)
    return np.asarray(sheet, np.float32) / 255


def _lines(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> list[str]:
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
