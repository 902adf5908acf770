import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxviz.networks.convolution import LAYOUT, conv2d
from jaxviz.networks.pooling import average_pool, max_pool

HIGHEST = lax.Precision.HIGHEST
DTYPES = [jnp.float32, jnp.bfloat16]
POOLS = [(2, 2, False), (2, 2, True), (3, 2, False), (3, 2, True), (2, 3, True), (3, 1, False)]


def whole_numbers(seed, shape, dtype, reach=1):
    """Small integers: every sum of products below is exact in any order and type."""
    values = np.random.default_rng(seed).integers(-reach, reach + 1, shape)
    return jnp.asarray(values, dtype)


def lax_conv(x, kernel, strides, padding):
    return lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=LAYOUT, precision=HIGHEST)


def output_size(size, window, stride, ceil):
    count = (size - window) // stride + 1
    if ceil and (count - 1) * stride + window < size and count * stride < size:
        count += 1
    return count


def lax_max_pool(x, window, stride, ceil):
    padding = [(0, 0)]
    for size in x.shape[1:3]:
        count = output_size(size, window, stride, ceil)
        padding.append((0, max(0, (count - 1) * stride + window - size)))
    padding.append((0, 0))
    lowest = np.asarray(-np.inf, x.dtype)
    return lax.reduce_window(x, lowest, lax.max, (1, window, window, 1), (1, stride, stride, 1), padding)


def numpy_pool(x, window, stride, ceil, reduce):
    rows, columns = (output_size(size, window, stride, ceil) for size in x.shape[1:3])
    y = np.zeros((x.shape[0], rows, columns, x.shape[3]))
    for i in range(rows):
        for j in range(columns):
            part = x[:, i * stride : i * stride + window, j * stride : j * stride + window]
            y[:, i, j] = reduce(part, axis=(1, 2))
    return y


def value_and_gradients(function, cotangent, *inputs):
    y, pull = jax.vjp(function, *inputs)
    return y, *pull(cotangent(y))


def assert_same(ours, reference):
    assert len(ours) == len(reference)
    for a, b in zip(ours, reference, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(np.asarray(a, np.float32), np.asarray(b, np.float32))


@pytest.mark.parametrize(
    ("stride", "dtype"), [(1, "float32"), (2, "float32"), (4, "float32"), (1, "bfloat16"), (2, "bfloat16")]
)
@pytest.mark.parametrize("window", [1, 3, 5, 11])
def test_conv2d_equals_lax_forward_and_in_both_gradients(window, stride, dtype):
    x = whole_numbers(0, (2, 13, 17, 2), dtype)
    kernel = whole_numbers(1, (window, window, 2, 3), dtype)
    half = window // 2
    paddings = [((0, 0), (0, 0)), ((half, half), (half, half)), ((1, 2), (0, 3))]

    def cotangent(y):
        return whole_numbers(2, y.shape, dtype)

    @functools.partial(jax.jit, static_argnums=0)
    def results(convolve, x, kernel):
        return [
            value_and_gradients(
                lambda x, k: convolve(x, k, (stride, stride), padding),  # noqa: B023
                cotangent,
                x,
                kernel,
            )
            for padding in paddings
        ]

    for ours, reference in zip(results(conv2d, x, kernel), results(lax_conv, x, kernel), strict=True):
        assert_same(ours, reference)


def test_conv2d_with_unequal_strides_and_an_oblong_kernel():
    x, kernel = whole_numbers(0, (1, 12, 15, 2), jnp.float32), whole_numbers(1, (2, 5, 2, 4), jnp.float32)
    strides, padding = (3, 2), ((0, 1), (2, 2))
    ours = value_and_gradients(lambda x, k: conv2d(x, k, strides, padding), jnp.ones_like, x, kernel)
    assert_same(
        ours, value_and_gradients(lambda x, k: lax_conv(x, k, strides, padding), jnp.ones_like, x, kernel)
    )


@pytest.mark.parametrize("argument", [0, 1])
def test_conv2d_gradient_of_one_argument_alone_is_that_of_both(argument):
    pair = whole_numbers(0, (1, 9, 8, 2), jnp.float32), whole_numbers(1, (3, 3, 2, 4), jnp.float32)

    def squares(convolve):
        return lambda x, kernel: jnp.sum(convolve(x, kernel, (2, 1), ((1, 1), (0, 2))) ** 2)

    alone = jax.grad(squares(conv2d), argument)(*pair)
    assert_same((alone,), (jax.grad(squares(lax_conv), (0, 1))(*pair)[argument],))


def test_conv2d_of_real_numbers_equals_lax_to_rounding():
    draw = np.random.default_rng(0)
    x = jnp.asarray(draw.normal(size=(2, 21, 19, 16)), jnp.float32)
    kernel = jnp.asarray(draw.normal(size=(3, 3, 16, 8)), jnp.float32)
    padding = ((1, 1), (1, 1))
    ours = value_and_gradients(lambda x, k: conv2d(x, k, (2, 2), padding), jnp.sin, x, kernel)
    reference = value_and_gradients(lambda x, k: lax_conv(x, k, (2, 2), padding), jnp.sin, x, kernel)
    for a, b in zip(ours, reference, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * float(jnp.abs(b).max()))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [(8, 8), (9, 12), (11, 7)])
@pytest.mark.parametrize("pool", POOLS)
def test_max_pool_equals_lax_with_ties(pool, size, dtype):
    x = whole_numbers(0, (2, *size, 3), dtype)

    def cotangent(y):
        return whole_numbers(1, y.shape, dtype, reach=5)

    @jax.jit
    def results(x):
        ours = value_and_gradients(lambda x: max_pool(x, *pool), cotangent, x)
        return ours, value_and_gradients(lambda x: lax_max_pool(x, *pool), cotangent, x)

    ours, reference = results(x)
    assert_same(ours, reference)
    assert_same((max_pool(x, *pool),), reference[:1])
    np.testing.assert_array_equal(
        np.asarray(ours[0], np.float64), numpy_pool(np.asarray(x, np.float32), *pool, np.max)
    )


def test_average_pool_of_16_bits_rounds_once():
    x = whole_numbers(0, (1, 9, 9, 2), jnp.bfloat16, reach=200)
    exact = average_pool(x.astype(jnp.float32), 3, 2)
    np.testing.assert_array_equal(average_pool(x, 3, 2), exact.astype(jnp.bfloat16))


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("level", [0.0, -3.0])
def test_max_pool_of_equal_inputs_gives_the_first_the_whole_gradient(level, pool):
    x = jnp.full((1, 7, 7, 1), level)
    ours = value_and_gradients(lambda x: max_pool(x, *pool), jnp.ones_like, x)
    assert_same(ours, value_and_gradients(lambda x: lax_max_pool(x, *pool), jnp.ones_like, x))
    assert float(ours[1][0, 0, 0, 0]) == 1
    assert float(ours[1].sum()) == ours[0].size


def both_primitives(x, kernel):
    y = max_pool(conv2d(x, kernel, (1, 1), ((1, 1), (1, 1))), 3, 2, True)
    return jnp.sum(y * y)


def both_by_lax(x, kernel):
    y = lax_max_pool(lax_conv(x, kernel, (1, 1), ((1, 1), (1, 1))), 3, 2, True)
    return jnp.sum(y * y)


@pytest.fixture
def inputs():
    return whole_numbers(0, (4, 9, 11, 2), jnp.float32), whole_numbers(1, (3, 3, 2, 3), jnp.float32)


def test_same_under_jit(inputs):
    derivative = jax.jit(jax.grad(both_primitives, (0, 1)))
    assert_same(derivative(*inputs), jax.grad(both_by_lax, (0, 1))(*inputs))


def test_same_under_vmap(inputs):
    x, kernel = inputs
    derivative = jax.jit(jax.vmap(jax.grad(both_primitives), (0, None)))(x[:, None], kernel)
    loop = [jax.grad(both_by_lax)(image[None], kernel) for image in x]
    assert_same((derivative,), (jnp.stack(loop),))


def test_same_inside_a_loop(inputs):
    def looped(x, kernel):
        def body(i, total):
            return jax.tree.map(jnp.add, total, jax.grad(both_primitives, (0, 1))(x + i, kernel))

        return lax.fori_loop(0, 3, body, (jnp.zeros_like(x), jnp.zeros_like(kernel)))

    x, kernel = inputs
    parts = [jax.grad(both_by_lax, (0, 1))(x + i, kernel) for i in range(3)]
    assert_same(jax.jit(looped)(x, kernel), jax.tree.map(lambda *p: sum(p), *parts))


@pytest.mark.parametrize("pool", [(2, 2, False), (3, 2, True)])
def test_nan_propagates_as_in_lax(pool):
    x = whole_numbers(0, (1, 9, 9, 1), jnp.float32).at[0, 4, 3, 0].set(jnp.nan)
    reference = lax_max_pool(x, *pool)
    assert 0 < int(jnp.isnan(reference).sum()) < reference.size
    np.testing.assert_array_equal(max_pool(x, *pool), reference)
    np.testing.assert_array_equal(jax.vjp(lambda x: max_pool(x, *pool), x)[0], reference)
    kernel = jnp.ones((3, 3, 1, 1))
    np.testing.assert_array_equal(conv2d(x, kernel), lax_conv(x, kernel, (1, 1), ((0, 0), (0, 0))))


@pytest.mark.parametrize("size", [(8, 8), (9, 12), (11, 7)])
@pytest.mark.parametrize("pool", POOLS)
def test_average_pool_is_the_mean_of_the_pixels_inside(pool, size):
    x = np.random.default_rng(0).normal(size=(2, *size, 3)).astype(np.float32)
    expected = numpy_pool(x.astype(np.float64), *pool, np.mean)
    np.testing.assert_allclose(average_pool(jnp.asarray(x), *pool), expected, rtol=1e-5, atol=1e-6)


def operations_on(platform, function, *inputs):
    """What the program of a function and its derivative is made of, on a platform that need not be here."""
    traced = jax.jit(jax.grad(lambda *inputs: jnp.sum(function(*inputs) ** 2))).trace(*inputs)
    return traced.lower(lowering_platforms=(platform,)).as_text()


@pytest.mark.parametrize(("platform", "scatters"), [("cpu", False), ("cuda", False), ("tpu", True)])
def test_the_derivative_of_max_pooling_scatters_where_that_is_fast(platform, scatters):
    text = operations_on(platform, lambda x: max_pool(x, 3, 2), jnp.ones((1, 9, 9, 2)))
    assert ("select_and_scatter" in text) == scatters


@pytest.mark.parametrize(("platform", "product"), [("cpu", True), ("cuda", False)])
def test_a_convolution_of_one_pixel_is_a_product_where_that_is_fast(platform, product):
    text = operations_on(platform, conv2d, jnp.ones((1, 4, 4, 8)), jnp.ones((1, 1, 8, 8)))
    assert ("dot_general" in text) == product
    assert ("stablehlo.convolution" in text) != product


def test_the_primitives_have_no_forward_mode():
    x = jnp.ones((1, 4, 4, 1))
    with pytest.raises(TypeError, match="custom_vjp"):
        jax.jvp(lambda x: max_pool(x, 2, 2), (x,), (x,))
