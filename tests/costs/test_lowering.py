"""Every technique's program for a TPU and for a GPU, of which none is here: lowered and read, never compiled."""

import re

import jax
import jax.numpy as jnp
import pytest

from jaxviz import costs
from jaxviz.costs.contents import contents
from jaxviz.costs.programs import Program

SIZE = 64
PICTURE = SIZE * SIZE * 3 * 4
"""Bytes; the smallest of the networks has 5 million."""
UNPOOLED = {
    "activations",
    "grad-cam",
    "grad-cam++",
    "hirescam",
    "layercam",
    "occlusion",
    "rise",
}
"""Techniques without a derivative through max pooling: they have none, or by a layer after the last pooling."""
ACCELERATORS = ("tpu", "cuda")
ALIKE = {
    *("grad-times-input", "deconvnet", "smoothgrad-squared", "vargrad", "hirescam", "layercam"),
    *("guided", "guided-grad-cam", "grad-cam++", "expected-gradients", "rise"),
    *("diverse", "regularized", "ifgsm", "mifgsm", "nifgsm", "apgd", "minimum", "fooling"),
}
"""Whose programs are made of what others' are made of."""
NAMES = [pytest.param(name, marks=[pytest.mark.slow] * (name in ALIKE)) for name in costs.TECHNIQUES]


def spare_rows(found):
    """Convolutions of stride 1 and windows of several pixels that make one row more than their images have."""
    return [
        product
        for product in found.products
        if product.operation == "convolution"
        and product.operands[1].shape[0] > 1
        and product.result.shape[1] == product.operands[0].shape[1] + 1
    ]


def derivative_of_pooling(text):
    """What XLA's automatic rule is, the rule by winners, and both."""
    automatic = text.count('"stablehlo.select_and_scatter"(')
    by_winner = len(re.findall(r"stablehlo.compare +EQ, .*xi8>", text))
    return automatic, by_winner


@pytest.mark.parametrize("name", NAMES)
def test_a_technique_is_ready_for_accelerators_that_are_not_here(name, classifier):
    small = classifier if costs.TECHNIQUES[name][0].name in ("saliency", "attacks") else None
    made = costs.program(name, size=SIZE, network=small)
    for platform in ACCELERATORS:
        text = costs.lowered(made, platform).mlir_module()
        found = contents(text)
        # None of any name: what XLA cannot do by itself would be one, such as eigenvalues.
        assert not found.custom_calls
        assert not found.callbacks
        assert "f64" not in text
        assert found.constants < PICTURE / 4
        assert found.products
        for product in found.products:
            assert product.precision == "HIGHEST"
            assert {tensor.kind for tensor in product.tensors} == {"f32"}
        assert not spare_rows(found)
        # Around a CPU's rule of pooling, which is a condition's branch.
        assert "stablehlo.optimization_barrier" not in text
        automatic, by_winner = derivative_of_pooling(text)
        pools = name not in UNPOOLED
        assert (automatic > 0, by_winner > 0) == ((pools, False) if platform == "tpu" else (False, pools))


def test_a_processor_has_its_own_rules():
    text = costs.lowered(costs.program("gradient", size=SIZE), "cpu").mlir_module()
    assert spare_rows(contents(text))
    assert "stablehlo.optimization_barrier" in text
    automatic, by_winner = derivative_of_pooling(text)
    assert (automatic, by_winner > 0) == (0, True)


@pytest.mark.parametrize("name", ["gradient", "rise", "class-model", "dream", "fgsm", "inversion", "style"])
def test_in_bfloat16_networks_are_so_and_what_is_around_them_is_not(name):
    made = costs.program(name, size=SIZE, precision="bfloat16")
    found = contents(costs.lowered(made, "tpu").mlir_module())
    convolutions = [product for product in found.products if product.operation == "convolution"]
    assert convolutions
    for product in convolutions:
        assert product.precision == "DEFAULT"
        assert {tensor.kind for tensor in product.tensors} == {"bf16"}
    for product in set(found.products) - set(convolutions):
        assert {tensor.kind for tensor in product.tensors} == {"f32"}
    for leaf in jax.tree.leaves(jax.eval_shape(made.function, *made.shapes)):
        assert leaf.dtype != jnp.bfloat16


def test_what_calls_python_is_refused():
    def told(x):
        return jax.pure_callback(lambda x: x, x, x)

    made = Program("told", "none", 1, "picture", told, lambda: (jnp.zeros(3),))
    for platform in costs.PLATFORMS:
        with pytest.raises((NotImplementedError, ValueError)):
            costs.lowered(made, platform)
    with pytest.raises(KeyError, match="no platform is named 'gpu'"):
        costs.lowered(made, "gpu")
