"""Sets the pictures of a demo side by side for the README: python docs/make_gallery.py out docs/gallery."""

import sys
from pathlib import Path

import numpy as np

from jaxviz import cli, images

ROWS = {
    "saliency": ("saliency-input", "saliency-map", "saliency-overlay"),
    "attack": ("fgsm-attack-input", "fgsm-attack-attacked", "fgsm-attack-difference"),
    "inversion": ("feature-inversion-input", "feature-inversion-result"),
    "texture": ("texture-synthesis-input", "texture-synthesis-result"),
    "style": ("style-transfer-content", "style-transfer-style", "style-transfer-result"),
}
GAP = 8
LOOKING = {
    "filters": "filters --network squeezenet1_1",
    "activations": "activations {source}/saliency-input.png --layer fire4 --count 12",
}


def side_by_side(pictures: list[np.ndarray]) -> np.ndarray:
    """Returns pictures of equal height in a row, with white between them."""
    white = np.ones((pictures[0].shape[0], GAP, 3), np.float32)
    parts = [part for picture in pictures for part in (picture, white)]
    return np.concatenate(parts[:-1], axis=1)


def main() -> None:
    """Writes one PNG per technique."""
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    target.mkdir(parents=True, exist_ok=True)
    for name, stems in ROWS.items():
        row = side_by_side([images.read(source / f"{stem}.png") for stem in stems])
        images.write(target / f"{name}.png", row)
    for name, line in LOOKING.items():
        cli.main([*line.format(source=source).split(), "--out", str(target / f"{name}.png")])


if __name__ == "__main__":
    main()
