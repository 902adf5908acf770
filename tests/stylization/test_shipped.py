"""The models in weights/: that they are what was shipped, and draw what they drew when they were."""

import jax
import numpy as np
import pytest

from jaxviz import images, samples, stylization
from jaxviz.checkpoints import store

SHIPPED = stylization.shipped()


def test_all_of_them_are_small_and_say_how_they_were_made():
    files = [store.folder() / said["file"] for said in SHIPPED.values()]
    assert sum(file.stat().st_size for file in files) <= 16e6
    for name, said in SHIPPED.items():
        assert said["command"].startswith("jaxviz train ")
        assert said["steps"] > 0
        record = stylization.record(name)
        assert (record["command"], record["steps"]) == (said["command"], said["steps"])
        assert "/work" not in str(stylization.describe(name)["record"])


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_model_draws_what_it_drew(name):
    model, photo = stylization.load(name), images.fit_square(samples.photograph("chelsea"), 64)
    colors = SHIPPED[name]["colors"]
    draw = jax.jit(stylization.stylize)
    for style, mean in colors.items():
        given = style if isinstance(model, stylization.Bank) else samples.painting(64, seed=0)
        drawn = np.asarray(draw(model, photo, model.codes([given])))
        np.testing.assert_allclose(drawn.mean((0, 1)), mean, atol=1e-3)
        assert drawn.std() > 0.05
    if len(colors) > 1:
        assert np.ptp(list(colors.values()), axis=0).min() > 0.1
