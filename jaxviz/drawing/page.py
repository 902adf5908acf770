"""The HTML gallery of a run: one file that holds its pictures and opens from disk."""

import base64
import dataclasses
import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PillowImage

from jaxviz import images

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #1c1e21; }
h1 { font-weight: 600; } h2 { margin-top: 2.5rem; border-top: 1px solid #d8dade; padding-top: 1.2rem; }
.equation { font-family: ui-monospace, monospace; background: #f4f5f7; padding: .6rem .9rem; overflow-x: auto; }
.pictures { display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-start; }
figure { margin: 0; max-width: 100%; } figcaption { font-size: .85rem; color: #5a5f68; }
img { max-width: 100%; display: block; }
table { border-collapse: collapse; margin-top: 1rem; font-size: .9rem; }
td { border-top: 1px solid #e4e6ea; padding: .2rem .9rem .2rem 0; vertical-align: top; }
td:first-child { color: #5a5f68; }
@media (prefers-color-scheme: dark) {
  body { background: #16181b; color: #e6e7ea; } .equation { background: #22252a; }
  td, h2 { border-color: #33373d; } figcaption, td:first-child { color: #9aa0a9; }
}
"""


@dataclasses.dataclass(frozen=True)
class Section:
    """One technique of a run: its pictures by caption, and what was set and measured.

    Attributes:
      title: Heading.
      equation: One line of text.
      source: The paper.
      pictures: Caption → RGB array, floats in [0, 1] or bytes.
      facts: Name → setting or number, shown as a table.
    """

    title: str
    equation: str
    source: str
    pictures: Mapping[str, np.ndarray]
    facts: Mapping[str, Any]


def page(title: str, sections: Sequence[Section], *, note: str = "") -> str:
    """Returns a self-contained HTML page of all sections."""
    body = "\n".join(_section(section) for section in sections)
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width">\n<title>{html.escape(title)}</title>\n'
        f"<style>{STYLE}</style>\n<h1>{html.escape(title)}</h1>\n<p>{html.escape(note)}</p>\n{body}\n</html>\n"
    )


def write_page(path: str | Path, title: str, sections: Sequence[Section], *, note: str = "") -> None:
    """Writes `page`; never a partial file."""
    with images.atomically(path) as temporary:
        temporary.write_text(page(title, sections, note=note), encoding="utf-8")


def _section(section: Section) -> str:
    figures = "".join(
        f'<figure><img src="{_embedded(picture)}" alt="{html.escape(caption)}">'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
        for caption, picture in section.pictures.items()
    )
    rows = "".join(
        f"<tr><td>{html.escape(str(name))}</td><td>{html.escape(_shown(value))}</td></tr>"
        for name, value in section.facts.items()
    )
    return (
        f'<h2>{html.escape(section.title)}</h2>\n<p class="equation">{html.escape(section.equation)}</p>\n'
        f'<div class="pictures">{figures}</div>\n<table>{rows}</table>\n'
        f"<p><small>{html.escape(section.source)}</small></p>"
    )


def _embedded(picture: np.ndarray) -> str:
    pixels = picture if picture.dtype == np.uint8 else images.to_bytes(picture)
    buffer = io.BytesIO()
    PillowImage.fromarray(pixels).save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_shown(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_shown(item) for item in value)
    return str(value)
