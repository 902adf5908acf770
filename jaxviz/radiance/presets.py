"""What ARF, and this library, fix of the stylization of a field."""

from typing import Any

from jaxviz.training.recipe import Preset

ARF = "Zhang, Kolkin, Bi, Luan, Xu, Shechtman, Snavely. ARF: Artistic Radiance Fields. ECCV 2022"

USUAL: dict[str, Any] = {
    "network": "vgg16",
    "layers": ("relu3_1", "relu3_2", "relu3_3"),
    "style_weight": 1.0,
    # Tried on one scene of each kind. Before a white background content pulls harder than the style: at a tenth of
    # the paper's there were no strokes, at a hundredth there are. Where all is in view, three times as much as the
    # paper's keeps a plant.
    "content_weight": {"forward": 3e-3, "box": 5e-5},
    "tv_weight": 1.0,
    "steps": 300,
    "epochs": 10,
    "color_steps": 100,
    "color_epochs": 2,
    "learning_rate": 0.1,
    "last_rate": 0.01,
    "basis_rate": 0.05,
    "memory": 0.95,
    "downscale": 2.0,
}

STYLIZING = {
    "default": Preset(USUAL),
    "arf": Preset(
        USUAL
        | {
            "steps": None,
            "color_steps": None,
            "content_weight": {"forward": 1e-3, "box": 5e-3},
        },
        ARF,
        "the field is one of planes and lines, whose basis of colors has a twentieth of the rate, not of voxels; "
        "their harmonics' total variation has no place; VGG-16 has other weights than torchvision's, and its "
        "features are brought to the size of theirs",
    ),
}
"""Name → numbers of a stylization; None for steps stands for as many epochs, each of all views."""
