"""Pictures over two settings, such as content weight and style weight, as one sheet with labels, on the host."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from jaxviz import images
from jaxviz.images import Resized

Label = str | float | int
PAPER, INK, SOFT = (255, 255, 255), (28, 30, 33), (96, 102, 112)
SMALLEST, WIDEST, TALLEST = 112, 1920, 2400
"""Pixels of a picture's longer side, at least, and of all pictures together, at most."""


def grid(
    pictures: Float[np.ndarray, "rows cols h w 3"],
    row_labels: Sequence[Label],
    column_labels: Sequence[Label],
    *,
    title: str = "",
    rows: str = "",
    columns: str = "",
) -> Resized:
    """Returns a table of pictures, with a label for each row and column and the names of both settings.

    Pictures smaller than 112 pixels are enlarged, every value a square; where all together would be wider than 1920
    pixels or taller than 2400, they are made smaller.

    Args:
      pictures: RGB in [0, 1]; [i, j] is that of `row_labels[i]` and `column_labels[j]`.
      row_labels: At the left. Numbers are written short, and all of a side in one way: 1e-4, 1e-3, 1e-2.
      column_labels: Above, where they are broken into lines that fit.
      title: A line or more above all.
      rows: What the rows vary, written along the left, such as "style weight".
      columns: What the columns vary, above their labels.

    Raises:
      ValueError: If there is no picture, or a label missing or too many.

    Example:
      >>> sheet = grid(np.zeros((2, 3, 32, 32, 3), np.float32), [1e-3, 1e-2], [1, 2, 4], rows="style weight")
      >>> sheet.shape[1] > sheet.shape[0] > 2 * 112
      True
    """
    if pictures.size == 0:
        raise ValueError(f"pictures has shape {list(pictures.shape)}; expected at least one picture")
    counts = {"row_labels": (row_labels, len(pictures)), "column_labels": (column_labels, pictures.shape[1])}
    for name, (labels, count) in counts.items():
        if len(labels) != count:
            raise ValueError(f"{name} has {len(labels)} entries; expected {count}, one for each")
    tiles = _tiles(pictures)
    height, width = tiles.shape[2:4]
    # The sheet is looked at as a whole, so letters grow with it.
    size = min(32, max(15, round(math.sqrt(tiles.shape[1] * width * tiles.shape[0] * height) / 40)))
    font, large = _font(size), _font(round(1.25 * size))
    line, gap, margin = round(1.35 * size), max(4, size // 3), round(1.2 * size)

    left_labels = [_lines(text, font, 9 * size) for text in written(row_labels)]
    top_labels = [_lines(text, font, width) for text in written(column_labels)]
    left = margin + (line + gap if rows else 0)
    left += max((_width(text, font) for lines in left_labels for text in lines), default=0) + 2 * gap
    body = tiles.shape[1] * (width + gap) - gap
    title_lines = _lines(title, large, left + body - margin)
    name_lines = _lines(columns, font, body)
    head = margin + round(1.35 * large.size) * len(title_lines) + (2 * gap if title else 0)
    labelled = head + line * len(name_lines) + (gap if columns else 0)
    top = labelled + line * max(len(lines) for lines in top_labels) + gap

    pitch = max(height, line * max(len(lines) for lines in left_labels)) + gap
    total = (left + body + margin, top + tiles.shape[0] * pitch - gap + margin)
    sheet = PillowImage.new("RGB", total, PAPER)
    draw = ImageDraw.Draw(sheet)
    for k, text in enumerate(title_lines):
        draw.text((margin, margin + k * round(1.35 * large.size)), text, INK, large)
    for k, text in enumerate(name_lines):
        draw.text((left + body / 2, head + k * line), text, SOFT, font, anchor="ma")
    for j, lines in enumerate(top_labels):
        center = left + j * (width + gap) + width / 2
        for k, text in enumerate(lines):
            # Short labels stand on the pictures, beside longer ones.
            draw.text((center, top - gap - (len(lines) - k) * line), text, INK, font, anchor="ma")
    for i, lines in enumerate(left_labels):
        middle = top + i * pitch + (pitch - gap) / 2
        for k, text in enumerate(lines):
            at = middle + (k - (len(lines) - 1) / 2) * line
            draw.text((left - 2 * gap, at), text, INK, font, anchor="rm")
        for j, tile in enumerate(tiles[i]):
            place = (left + j * (width + gap), round(middle - height / 2))
            sheet.paste(PillowImage.fromarray(tile), place)
    if rows:
        _along_the_left(sheet, rows, font, (margin, round(top + (total[1] - margin - top) / 2)))
    return np.asarray(sheet, np.float32) / 255


def written(labels: Sequence[Label]) -> list[str]:
    """Returns labels as texts; numbers with at most four digits, all with an exponent if one needs it.

    Example:
      >>> written([0, 1e-3, 0.25, 1.0, 3000]), written([0.25, 1.0, 3000]), written(["content", 2])
      (['0', '1e-3', '2.5e-1', '1e0', '3e3'], ['0.25', '1', '3000'], ['content', '2'])
    """
    numbers = [label for label in labels if not isinstance(label, str)]
    exponents = any(value != 0 and not 1e-2 <= abs(value) < 1e5 for value in numbers if math.isfinite(value))
    return [label if isinstance(label, str) else _number(label, exponents) for label in labels]


def _number(value: float | int, exponent: bool) -> str:
    if not exponent or value == 0 or not math.isfinite(value):
        return f"{value:.4g}" if abs(value) < 1e4 or not math.isfinite(value) else f"{value:.0f}"
    digits, power = f"{value:.3e}".split("e")
    return f"{digits.rstrip('0').rstrip('.')}e{int(power)}"


def _tiles(pictures: np.ndarray) -> np.ndarray:
    rows, columns, height, width = pictures.shape[:4]
    factor = math.ceil(SMALLEST / max(height, width))
    tiles = images.to_bytes(pictures).repeat(factor, 2).repeat(factor, 3)
    scale = min(WIDEST / (columns * factor * width), TALLEST / (rows * factor * height))
    if scale >= 1:
        return tiles
    size = max(1, int(scale * factor * width)), max(1, int(scale * factor * height))
    resized = [
        np.asarray(PillowImage.fromarray(tile).resize(size, PillowImage.Resampling.LANCZOS))
        for tile in tiles.reshape(-1, *tiles.shape[2:])
    ]
    return np.stack(resized).reshape(rows, columns, size[1], size[0], 3)


def _font(size: int) -> ImageFont.FreeTypeFont:
    import matplotlib

    # Pillow's own font has no Greek letters, arrows or ×, which names of settings use.
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), size)


def _width(text: str, font: ImageFont.FreeTypeFont) -> int:
    return math.ceil(font.getlength(text))


def _lines(text: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    lines: list[str] = []
    for word in _words(text, font, width):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and _width(longer, font) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _words(text: str, font: ImageFont.FreeTypeFont, width: int) -> Iterator[str]:
    for word in text.split():
        rest = word
        while len(rest) > 1 and _width(rest, font) > width:
            # A word too long for a line, such as a path, is cut; at least one letter goes on each.
            count = next((n for n in range(len(rest) - 1, 1, -1) if _width(rest[:n], font) <= width), 1)
            yield rest[:count]
            rest = rest[count:]
        yield rest


def _along_the_left(
    sheet: PillowImage.Image, text: str, font: ImageFont.FreeTypeFont, at: tuple[int, int]
) -> None:
    strip = PillowImage.new("RGB", (_width(text, font), round(1.3 * font.size)), PAPER)
    ImageDraw.Draw(strip).text((0, 0), text, SOFT, font)
    turned = strip.rotate(90, expand=True)
    turned.thumbnail((turned.width, sheet.height - 2 * at[0]))
    lowest = sheet.height - at[0] - turned.height
    sheet.paste(turned, (at[0], min(at[1] - turned.height // 2, lowest)))
