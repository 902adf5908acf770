import numpy as np
import pytest

from jaxviz import inversion, style, texture
from jaxviz.networks import compiled_features


@pytest.mark.slow
class TestThresholds:
    """What 150 evaluations at 128×128 must reach."""

    def test_texture(self, vgg16, picture):
        found = texture.synthesize(vgg16, picture("brick", 128), steps=150)
        assert np.nanmin(found.losses) <= 0.015 * found.losses[0]

    def test_inversion(self, vgg16, picture):
        image, layer = picture("chelsea", 128), "relu3_3"
        found = inversion.invert(vgg16, image, layer=layer, steps=150)
        ours, target = (
            np.asarray(compiled_features(vgg16, x, (layer,))[layer]) for x in (found.value, image)
        )
        assert np.sum((ours - target) ** 2) <= 0.01 * np.sum(target**2)
        assert -10 * np.log10(np.mean((found.value - image) ** 2)) >= 22

    def test_style(self, vgg16, picture):
        content, drawn = picture("astronaut", 128), picture("immunohistochemistry", 128)
        found = style.transfer(vgg16, content, [drawn], steps=150)
        assert np.nanmin(found.losses) <= 0.08 * found.losses[0]
