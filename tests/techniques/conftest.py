"""What the tests of attacks share."""

import jax
import numpy as np
import pytest


@pytest.fixture(scope="module")
def pictures(picture):
    return np.stack([picture(name, 48) for name in ("chelsea", "coffee", "astronaut")])


@pytest.fixture(scope="module")
def labels(squeezenet, pictures):
    logits = jax.vmap(lambda image: squeezenet.features(image, ["logits"])["logits"])(pictures)
    return np.asarray(logits.argmax(1), np.int32)
