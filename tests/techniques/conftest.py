"""What the tests of attacks share."""

import jax
import numpy as np
import pytest


@pytest.fixture(scope="module")
def pictures(picture):
    return np.stack([picture(name, 48) for name in ("chelsea", "coffee", "astronaut")])


@pytest.fixture(scope="module")
def labels(classifier, pictures):
    logits = jax.jit(jax.vmap(lambda image: classifier.features(image, ["logits"])["logits"]))(pictures)
    return np.asarray(logits.argmax(1), np.int32)
