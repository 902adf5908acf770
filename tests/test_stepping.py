"""One evaluation as a pure function, with its derivative and without."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_optimization import Quadratic

from jaxviz import optimizers
from jaxviz._typing import symbol
from jaxviz.stepping import advance, conclude, init

CENTER = jnp.array([3.0, -1.0, 2.0])


@symbol
class WithoutDerivative(Quadratic):
    """A problem of which only values can be had."""

    def loss(self, z, key):
        return jax.pure_callback(lambda z: np.float32(((z - CENTER) ** 2).sum()), jnp.zeros(()), z)


def stepped(problem, optimizer, n):
    return advance(problem, init(problem, jnp.zeros(3), optimizer, jax.random.key(0)), n)


@pytest.mark.parametrize("noise", [False, True])
def test_concluding_judges_the_last_point_as_another_evaluation_would(noise):
    problem = Quadratic(CENTER, jnp.zeros(()), noise)
    before = stepped(problem, optimizers.adam(0.1), 3)
    concluded, another = conclude(problem, before), advance(problem, before, 1)
    np.testing.assert_array_equal(concluded.best, before.z)
    np.testing.assert_array_equal(concluded.best, another.best)
    assert not np.array_equal(concluded.best, before.best)
    assert concluded.best_loss == another.best_loss
    assert int(concluded.evaluations) == int(another.evaluations) == 4
    np.testing.assert_array_equal(concluded.z, before.z)


def test_concluding_takes_no_derivative():
    state = stepped(Quadratic(CENTER, jnp.zeros(())), optimizers.adam(0.1), 1)
    problem = WithoutDerivative(CENTER, jnp.zeros(()))
    with pytest.raises(ValueError, match="JVP"):
        advance(problem, state, 1)
    assert float(conclude(problem, state).best_loss) < float(state.best_loss)


def test_a_worse_last_point_is_left():
    problem = Quadratic(CENTER, jnp.zeros(()))
    before = stepped(problem, optimizers.adam(100.0), 1)
    concluded = conclude(problem, before)
    np.testing.assert_array_equal(concluded.best, jnp.zeros(3))
    assert concluded.best_loss == before.best_loss


def test_an_average_has_answered_already():
    problem = Quadratic(CENTER, jnp.zeros(()))
    before = stepped(problem, optimizers.averaged(optimizers.adam(0.1)), 2)
    assert conclude(problem, before) is before
