"""Sets the pictures of a demo side by side for the README: python docs/make_gallery.py out docs/gallery."""

import itertools
import sys
from pathlib import Path

import jax
import numpy as np
from PIL import Image as PillowImage

import jaxviz
from jaxviz import cli, images, samples, stylization
from jaxviz.drawing import grids as drawing
from jaxviz.drawing import maps, sheets
from jaxviz.techniques import FAMILIES, grids

ROWS = {
    "saliency": ("saliency-input", "saliency-map", "saliency-overlay"),
    "attack": ("fgsm-attack-input", "fgsm-attack-attacked", "fgsm-attack-difference"),
    "inversion": ("feature-inversion-input", "feature-inversion-result"),
    "texture": ("texture-synthesis-input", "texture-synthesis-result"),
    "style": ("style-transfer-content", "style-transfer-style", "style-transfer-result"),
}
GAP = 8
LINES = {
    "activations": "activations {source}/saliency-input.png --layer fire4 --count 12",
    "inversions": "invert {source}/saliency-input.png --strip --size 160",
    "visualization": "visualize --network squeezenet1_1 --label goldfish --label 285 --label volcano "
    "--steps 200 --size 160",
    "diverse": "visualize --network squeezenet1_1 --label goldfish --label volcano --method diverse "
    "--count 4 --size 128 --steps 200",
    "dream": "dream {source}/saliency-input.png --size 256 --steps 12",
    "textures": "texture {source}/texture-synthesis-input.png --strip --size 160 --exemplar-size 160",
}
MAPS = (
    "gradient",
    "smoothgrad",
    "integrated-gradients",
    "occlusion",
    "guided",
    "deconvnet",
    "grad-cam",
    "layercam",
)
CAT = 285
CONTENTS = ("astronaut", "coffee", "rocket")
STYLES = {"immunohistochemistry": "stained tissue", "hubble_deep_field": "deep field"}
SIDE = 192
ACROSS = 4
QUALITY = 80
"""Of JPEG: every clone takes these along, and at a user's 95 they have twice the bytes."""


def side_by_side(pictures: list[np.ndarray]) -> np.ndarray:
    """Returns pictures of equal height in a row, with white between them."""
    white = np.ones((pictures[0].shape[0], GAP, 3), np.float32)
    parts = [part for picture in pictures for part in (picture, white)]
    return np.concatenate(parts[:-1], axis=1)


def attributions() -> np.ndarray:
    """Returns one picture as several methods of saliency explain it."""
    network, family = jaxviz.load("squeezenet1_1"), FAMILIES["saliency"]
    photo = images.fit_square(samples.photograph("chelsea"), 224)
    methods = [family.methods[name] for name in MAPS]
    found = [np.asarray(method.function(network, photo, CAT)) for method in methods]
    drawn = [maps.drawn(one, result=method.result) for one, method in zip(found, methods, strict=True)]
    return sheets.row({method.title: one for method, one in zip(methods, drawn, strict=True)})


def inputs() -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Returns the contents and the styles of the sheets that have each content in each style."""
    contents = [images.fit_square(samples.photograph(name), SIDE) for name in CONTENTS]
    paintings = [samples.painting(SIDE), *(images.fit_square(samples.photograph(n), SIDE) for n in STYLES)]
    return contents, paintings


def every(made: np.ndarray) -> np.ndarray:
    """Returns every content in every style as one sheet, the styles above and the contents at the left."""
    contents, paintings = inputs()
    made = made.reshape(len(contents), len(paintings), SIDE, SIDE, 3)
    corner = np.ones((1, 1, SIDE, SIDE, 3), np.float32)
    table = np.concatenate([np.stack(contents)[:, None], made], 1)
    head = np.concatenate([corner, np.stack(paintings)[None]], 1)
    names = ["", "brush strokes", *STYLES.values()]
    return drawing.grid(np.concatenate([head, table]), ["", *CONTENTS], names)


def styles() -> np.ndarray:
    """Returns that sheet, by optimization."""
    network, (contents, paintings) = jaxviz.load("vgg16"), inputs()
    given = [(content, [style]) for content, style in itertools.product(contents, paintings)]
    return every(grids.grid(FAMILIES["style"].methods["style"], network, given, {})[0])


def any_style() -> np.ndarray:
    """Returns that sheet, by the shipped decoder for any style."""
    model, (contents, paintings) = stylization.load("adain"), inputs()
    draw = jax.jit(stylization.stylize)
    codes = [model.codes([painting]) for painting in paintings]
    return every(np.stack([draw(model, content, code) for content in contents for code in codes]))


def stylized() -> np.ndarray:
    """Returns one photograph in the twelve styles of the shipped bank."""
    model, photo = stylization.load("twelve"), images.fit_square(samples.photograph("chelsea"), SIDE)
    draw = jax.jit(stylization.stylize)
    drawn = [
        (name.replace("_", " "), np.asarray(draw(model, photo, model.codes([name])))) for name in model.styles
    ]
    return sheets.scenes([drawn[k : k + ACROSS] for k in range(0, len(drawn), ACROSS)])


def main() -> None:
    """Writes one picture per technique, and sheets of style transfer, stylization, inversion and texture."""
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    target.mkdir(parents=True, exist_ok=True)
    for name, stems in ROWS.items():
        row = side_by_side([images.read(source / f"{stem}.png") for stem in stems])
        images.write(target / f"{name}.jpg", row)
    for name, line in LINES.items():
        path = target / f"{name}.jpg"
        cli.main([*line.format(source=source).split(), "--out", str(path)])
    images.write(target / "attribution.jpg", attributions())
    images.write(target / "styles.jpg", styles())
    images.write(target / "any_style.jpg", any_style())
    images.write(target / "stylized.jpg", stylized())
    for path in target.glob("*.jpg"):
        with PillowImage.open(path) as picture:
            pixels = picture.convert("RGB")
        pixels.save(path, quality=QUALITY, optimize=True, progressive=True)


if __name__ == "__main__":
    main()
