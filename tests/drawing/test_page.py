import base64
import html.parser
import io

import numpy as np
import pytest
from PIL import Image

from jaxviz.drawing import page

BYTES = np.random.default_rng(0).integers(0, 256, (4, 5, 3)).astype(np.uint8)
EVIL = """<script>alert("1")</script> & 'x'"""
VOID = {"meta", "img"}


class Reader(html.parser.HTMLParser):
    """Collects tags, attributes and text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.sources, self.attributes, self.words, self.open = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [name for name, _ in attributes]
        self.sources += [value for name, value in attributes if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture
def section():
    return page.Section(
        title="Saliency",
        equation="M = max |∂S/∂x|",
        source="Simonyan et al. 2014.",
        pictures={"input": BYTES, "map": (BYTES / 255).astype(np.float32)},
        facts={"score": 12.345678, "layers": ("a", "b"), "seconds": {"run": 0.5}, "class": "cat"},
    )


def test_page_is_whole_and_holds_its_pictures(section):
    text = page.page("Run", [section, section], note="jax 1.0")
    reader = Reader(text)
    assert text.startswith("<!doctype html>")
    assert reader.open == []
    assert reader.tags.count("h2") == 2
    assert len(reader.sources) == 4
    for source in reader.sources:
        kind, data = source.split(",")
        assert kind == "data:image/png;base64"
        shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
        np.testing.assert_array_equal(shown, BYTES)


def test_page_needs_nothing_from_elsewhere(section):
    text = page.page("Run", [section])
    assert not {"script", "link", "iframe", "object"} & set(Reader(text).tags)
    assert not any(word in text for word in ("http:", "https:", "@import", "url("))


def test_page_shows_what_was_set_and_measured(section):
    words = Reader(page.page("Run", [section], note="jax 1.0")).words
    for expected in (
        "Run",
        "jax 1.0",
        "Saliency",
        "M = max |∂S/∂x|",
        "Simonyan et al. 2014.",
        "input",
        "map",
    ):
        assert expected in words
    for name, value in (("score", "12.35"), ("layers", "a, b"), ("seconds", "run 0.5"), ("class", "cat")):
        assert words[words.index(name) + 1] == value


def test_every_text_is_escaped():
    section = page.Section(EVIL, EVIL, EVIL, {EVIL: BYTES}, {EVIL: EVIL, "list": [EVIL], "map": {EVIL: EVIL}})
    text = page.page(EVIL, [section], note=EVIL)
    reader = Reader(text)
    assert "script" not in reader.tags
    assert set(reader.attributes) <= {"lang", "charset", "name", "content", "class", "src", "alt"}
    assert reader.words.count(EVIL) == 10


def test_page_is_written_whole_or_not_at_all(tmp_path, section, monkeypatch):
    path = tmp_path / "index.html"
    page.write_page(path, "Run", [section])
    written = path.read_text(encoding="utf-8")
    assert written == page.page("Run", [section])
    monkeypatch.setattr(page, "page", lambda *arguments, **options: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        page.write_page(path, "Run", [section])
    assert path.read_text(encoding="utf-8") == written
    assert list(tmp_path.iterdir()) == [path]
