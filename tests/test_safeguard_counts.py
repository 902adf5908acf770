"""What L-BFGS's safeguard did: rejections and restarts, alone and in batches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_optimization import CENTERS, START, Cliff, quadratic

import jaxviz
from jaxviz import optimizers


def rejected(losses):
    """How many losses L-BFGS does not accept: above the lowest until then, or not finite."""
    lowest, count = losses[0], 0
    for loss in losses[1:]:
        count += not (np.isfinite(loss) and loss <= lowest)
        lowest = np.fmin(lowest, loss)
    return count


@pytest.mark.parametrize("start", [(0.99, 0.3, 0.3), (0.001, 0.5, 0.97)])
def test_rejections_are_those_that_the_losses_show(start):
    found = jaxviz.minimize(Cliff(), jnp.asarray(start), steps=60)
    assert int(found.rejections) == rejected(found.losses) > 0
    assert found.rejections.dtype == found.restarts.dtype == np.int32


def test_restarts_are_counted_where_there_was_a_history():
    optimizer = optimizers.lbfgs()
    z, memory = jnp.array([1.0, 1.0]), optimizer.init(jnp.zeros(2))
    bowl = jax.value_and_grad(lambda z: jnp.sum(jnp.array([1.0, 30.0]) * z**2))
    step = jax.jit(lambda *now: optimizer.step(*now, lambda z: z))
    told = []
    for refused in (0, 0, 0, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1):
        loss, gradient = bowl(z)
        loss = jnp.float32(jnp.inf) if refused else memory.loss - 1 if told else loss
        z, memory, _ = step(memory, z, loss, gradient)
        told.append(tuple(int(n) for n in optimizer.told(memory).values()))
    rejections, restarts = zip(*told, strict=True)
    assert rejections == (0, 0, 0, 1, 2, 3, 4, 5, 5, 5, 6, 7, 8)
    assert restarts == (0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 2)


def test_what_the_safeguard_did_does_not_run_on_in_images_that_have_finished():
    problems = [quadratic(center) for center in CENTERS]
    batch, axes = jaxviz.stack(problems)
    starts = jnp.stack([START, jnp.asarray(CENTERS[1], jnp.float32), START - 1])
    together = jaxviz.minimize(batch, starts, steps=200, batch_axes=axes)
    assert together.rejections.shape == together.restarts.shape == (3,)
    assert together.evaluations[1] == 1
    assert together.rejections[1] == 0
    for losses, count, made in zip(together.losses, together.rejections, together.evaluations, strict=True):
        assert rejected(losses[:made]) == count


def test_optimizers_that_reject_nothing_tell_zero():
    found = jaxviz.minimize(quadratic(), START, steps=3, optimizer=optimizers.adam())
    assert (int(found.rejections), int(found.restarts)) == (0, 0)
