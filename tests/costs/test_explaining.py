"""What is read off programs, against what their shapes say by hand and what XLA counts."""

import json

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from jaxviz import costs
from jaxviz.costs.contents import Loop, contents, total_flops
from jaxviz.costs.products import Tensor

ONES = jnp.ones


def read(function, *arguments):
    return contents(jax.jit(function).lower(*arguments).as_text())


def only(function, *arguments):
    """The one product of a program."""
    ((product, times),) = read(function, *arguments).products.items()
    assert times == 1
    return product


def convolved(x, kernel, **more):
    more = {"window_strides": (1, 1), "padding": ((0, 0), (0, 0)), "precision": "highest"} | more
    return lax.conv_general_dilated(x, kernel, dimension_numbers=("NHWC", "HWIO", "NHWC"), **more)


def test_a_product_of_matrices():
    product = only(lambda a, b: jnp.matmul(a, b, precision="high"), ONES((4, 30)), ONES((30, 200)))
    assert product.operation == "dot_general"
    assert product.flops == 2 * 4 * 30 * 200
    assert product.bytes == 4 * (4 * 30 + 30 * 200 + 4 * 200)
    assert product.intensity == product.flops / product.bytes
    assert product.precision == "HIGH"
    assert [tensor.padded for tensor in product.tensors] == [8 * 128, 32 * 256, 8 * 256]
    assert product.padding == 1 - (120 + 6000 + 800) / (1024 + 8192 + 2048)


def test_a_batch_of_products_counts_each():
    assert only(jnp.matmul, ONES((5, 4, 3)), ONES((5, 3, 2))).flops == 2 * 5 * 4 * 3 * 2


def test_tiles_have_more_rows_of_narrower_numbers():
    assert Tensor((1, 9, 3), "f32").padded == 16 * 128
    assert Tensor((1, 9, 3), "bf16").padded == 16 * 128
    assert Tensor((1, 17, 3), "bf16").padded == 32 * 128
    assert Tensor((17, 3), "i8").padded == 32 * 128
    assert Tensor((130,), "f32").padded == 256
    assert Tensor((), "f32").padded == 128
    assert Tensor((2, 3), "bf16").bytes == 12


@pytest.mark.parametrize(
    ("shape", "kernel", "options", "terms"),
    [
        ((2, 6, 5, 3), (3, 3, 3, 7), {}, 2 * 4 * 3 * 7 * 27),
        # Of the window's three rows two meet a picture of two at either end; the same across.
        ((1, 2, 2, 3), (3, 3, 3, 7), {"padding": ((1, 1), (1, 1))}, 4 * 4 * 3 * 7),
        ((1, 7, 7, 3), (3, 3, 3, 7), {"window_strides": (2, 2)}, 9 * 9 * 3 * 7),
        ((1, 6, 6, 4), (3, 3, 2, 8), {"feature_group_count": 2}, 16 * 9 * 2 * 8),
        ((4, 6, 6, 3), (3, 3, 3, 8), {"batch_group_count": 2}, 2 * 16 * 9 * 3 * 8),
        ((1, 7, 7, 3), (3, 3, 3, 7), {"rhs_dilation": (2, 2)}, 9 * 9 * 3 * 7),
        # Pixels with one hole between: of windows of two each meets one of both.
        ((1, 3, 3, 1), (2, 2, 1, 1), {"lhs_dilation": (2, 2)}, 16),
    ],
)
def test_convolutions_count_what_meets_a_pixel(shape, kernel, options, terms):
    product = only(lambda x, k: convolved(x, k, **options), ONES(shape), ONES(kernel))
    assert product.operation == "convolution"
    assert product.flops == 2 * terms
    assert product.precision == "HIGHEST"


def test_types_and_padding_of_a_convolution():
    x, kernel = ONES((1, 6, 6, 3), jnp.bfloat16), ONES((3, 3, 3, 64), jnp.bfloat16)
    product = only(lambda x, kernel: convolved(x, kernel, precision="default"), x, kernel)
    assert product.precision == "DEFAULT"
    assert {tensor.kind for tensor in product.tensors} == {"bf16"}
    assert product.bytes == 2 * (108 + 1728 + 1024)
    assert [tensor.padded for tensor in product.tensors] == [6 * 16 * 128, 9 * 16 * 128, 4 * 16 * 128]


def test_rounds_of_a_loop_count():
    matrix = ONES((3, 3))

    def scanned(x):
        return lax.scan(lambda x, _: (x @ matrix, None), x, None, length=7)[0]

    found = read(scanned, matrix)
    assert total_flops(found.products) == 7 * 54
    assert dict(found.loops) == {Loop(7): 1}
    found = read(lambda x: lax.fori_loop(2, 8, lambda _, x: scanned(x), x), matrix)
    assert total_flops(found.products) == 6 * 7 * 54
    assert dict(found.loops) == {Loop(7): 6, Loop(6): 1}


def test_a_number_of_rounds_that_is_an_argument_counts_once_unless_the_call_says_it():
    @jax.jit
    def repeated(n, x):
        return lax.fori_loop(0, n, lambda _, x: x @ x, x)

    found = read(repeated, 5, ONES((3, 3)))
    assert total_flops(found.products) == 54
    assert dict(found.loops) == {Loop(None): 1}
    found = read(lambda x: repeated(jnp.int32(5), x), ONES((3, 3)))
    assert total_flops(found.products) == 5 * 54


def test_loops_that_data_end_count_once():
    found = read(lambda x: lax.while_loop(lambda x: x.sum() < 9, lambda x: x @ x, x), ONES((3, 3)))
    assert total_flops(found.products) == 54
    assert dict(found.loops) == {Loop(None): 1}


def test_a_function_counts_for_each_call():
    twice = jax.jit(lambda x: x @ x)
    found = read(lambda x: twice(twice(x)), ONES((3, 3)))
    assert list(found.products.values()) == [2]
    assert total_flops(found.products) == 108


def test_what_nothing_depends_on_does_not_count():
    @jax.jit
    def both(x):
        return x @ x, (x @ x.T) @ x

    assert total_flops(read(lambda x: both(x)[0], ONES((3, 3))).products) == 54


def test_of_branches_the_dearest_counts():
    def either(yes, x):
        return lax.cond(yes, lambda x: x @ x, lambda x: x @ x @ x, x)

    assert total_flops(read(either, True, ONES((3, 3))).products) == 108


def test_constants_types_and_calls_are_found():
    table = jnp.arange(100.0)

    def told(x):
        jax.debug.callback(print, x.sum())
        return x + table + jnp.fft.ifft(x).real

    found = read(told, ONES(100))
    assert found.constants == 400
    assert {"f32", "complex<f32>"} <= set(found.kinds)
    assert any("callback" in name for name in found.callbacks)
    assert read(lambda x: x + jnp.full(100, 2.0), ONES(100)).constants == 0


def test_an_explanation_is_of_a_programs_parts():
    found = costs.explain("gradient", platform="cuda", size=64)
    assert found.flops == sum(each.flops * times for each, times in found.contents.products.items())
    assert 0 < found.intensity < found.intensity_at_most
    assert 0 < found.padding < 1
    assert found.results == 64 * 64 * 4
    work = [each.flops * times for each, times in found.ordered]
    assert work == sorted(work, reverse=True)
    record = found.record()
    assert json.loads(json.dumps(record)) == record
    assert len(record["products"]) == len(found.contents.products)
    with pytest.raises(KeyError, match="no platform is named 'gpu'"):
        costs.explain("gradient", platform="gpu", size=64)


def counted_by_xla(technique, size):
    made = costs.program(technique, size=size)
    return jax.jit(made.function).lower(*made.shapes).compile().cost_analysis()["flops"]


@pytest.mark.optimized
@pytest.mark.parametrize(("technique", "share"), [("gradient", 0.95), ("style", 0.99)])
def test_work_is_what_xla_counts_but_for_what_is_no_product(technique, share):
    """XLA counts each operation of other kinds too: poolings, ReLUs, sums."""
    own = costs.explain(technique, platform="cpu", size=64).flops
    xla = counted_by_xla(technique, 64)
    assert share * xla < own < 1.001 * xla
