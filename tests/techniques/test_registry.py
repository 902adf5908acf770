"""What holds for every method that is declared: none is named here, so a new one is tested by its entry."""

import inspect
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_golden import in_float64

import jaxviz
from jaxviz.networks.layers import PRECISIONS
from jaxviz.techniques import FAMILIES, solving
from jaxviz.techniques.registry import KINDS, RESULTS

GOLDEN = dict(np.load(Path(__file__).parents[1] / "golden" / "methods.npz"))
METHODS = [
    pytest.param(family, name, id=f"{family.name}-{name}")
    for family in FAMILIES.values()
    for name in family.methods
]
DRAWN = [
    ("saliency", name) for name, method in FAMILIES["saliency"].methods.items() if "key" in method.options
]
"""Methods that draw at random, by numbers that PyTorch has not."""
CLASSIFIED = [case for case in METHODS if case.values[0].name in ("saliency", "attacks")]
BOUNDED = [
    pytest.param(family, name, option, bound, id=f"{name}-{option}-{side}")
    for family in FAMILIES.values()
    for name, method in family.methods.items()
    for option, said in method.options.items()
    for side, bound in (
        ("low", None if said.low is None else said.low - 1),
        ("high", None if said.high is None else said.high + 1),
    )
    if bound is not None
]
DEAR = {"samples", "steps", "window"}
"""Options of methods that take many evaluations: those of saliency all go through one helper."""
ALIKE = {"pgd", "mifgsm", "nifgsm", "apgd", "minimum", "diverse", "robust", "regularized", "texture"}
"""Which go through the same loop as a method that is no more dear."""


AS_CAPTUM = {"gradient", "grad-times-input", "guided", "deconvnet", "grad-cam"}
"""Which test_attribution.py compares with PyTorch, by the same network."""
AS_RIVALS = {"cw", "deepfool", "fooling"}
"""Which test_rivals.py compares with PyTorch, or which are a loop as `ifgsm` is; in float64 they take long."""


def compared_elsewhere(family, name):
    return dear(family, name) or name in AS_CAPTUM | AS_RIVALS


def dear(family, name):
    return name in ALIKE or (family.name == "saliency" and bool(DEAR & set(family.methods[name].options)))


GIVEN = {
    "apgd": {"steps": 30},
    "cw": {"steps": 12, "searches": 3, "constant": 0.02},
    "minimum": {"steps": 4, "searches": 4},
}
"""Of golden/generate_methods.py, where they are not the method's own."""
SMALL = {"steps": 2, "samples": 3}
SMALL_OF = {
    "visualization": {"size": 24},
    "dream": {"octaves": 1, "layers": {"relu1_2": 1.0}},
    "inversion": {"layer": "relu1_2"},
    "style": {"content_weights": {"relu1_2": 1.0}, "style_weights": {"relu1_1": 1.0}},
}
"""Of the families that look at a deep network, its first layers."""
NEEDED = {"patch": {"target": 859}}
"""Options without which a method does not run, and that are not the same for all who run it."""
FIXED = {"colors", "start_center", "start_deviation", "histogram"} | {
    "content_reduction",
    "smoothness",
    "noise_center",
    "noise_deviation",
    "first_borders",
    "first_steps",
}
"""What a preset fixes and no option changes."""


@pytest.fixture(scope="module")
def pictures(picture):
    return jnp.stack([picture(name, 64) for name in ("chelsea", "coffee", "astronaut")])


def inputs(family, name, picture):
    """What a method takes after the network, for one picture; all the same where it takes many."""
    if family.methods[name].of_many:
        return (picture[None], [285])
    if family.name in ("saliency", "attacks"):
        return (picture, 285)
    if family.name == "visualization":  # each picture is another channel's
        return (jaxviz.objectives.unit("relu1_2", int(255 * float(picture[0, 0, 0])) % 64),)
    return (picture, [picture[::-1]]) if family.name == "style" else (picture,)


@pytest.fixture(scope="module")
def networks(classifier):
    """The function that returns what a family is tried on: of classifiers a small one."""
    return lambda family: (
        classifier if family.name in ("saliency", "attacks") else jaxviz.load(family.network)
    )


def options(family, name):
    """Options without which a method does not run, and those that make it short."""
    method = family.methods[name]
    needed = {option: said.usual for option, said in method.options.items() if said.usual is not None}
    small = SMALL | SMALL_OF.get(family.name, {})
    return needed | NEEDED.get(name, {}) | {k: v for k, v in small.items() if k in method.signature}


@pytest.mark.parametrize(("family", "name"), METHODS)
def test_a_method_declares_what_its_function_has(family, name):
    method = family.methods[name]
    assert method.result in RESULTS
    assert method.paper
    assert method.equation
    assert getattr(jaxviz, family.name).__dict__[method.function.__name__] is method.function
    for option, said in method.options.items():
        assert option in method.signature, option
        assert said.kind in KINDS
        assert said.help.endswith(".")
        assert (said.kind == "choice") == bool(said.choices)
        if said.shown:
            above, below = said.shown.split("/")
            assert float(above) / float(below) == method.default(option)
    assert (method.problem is None) == (method.schedule is None)


@pytest.mark.parametrize(("family", "name"), METHODS)
def test_options_of_one_name_mean_the_same_in_a_family(family, name):
    for takers in family.options().values():
        assert len({(said.kind, said.flag) for said in takers.values()}) == 1


@pytest.mark.parametrize(("family", "name", "option", "bound"), BOUNDED)
def test_numbers_out_of_the_declared_range_are_refused(family, name, option, bound, pictures):
    network = jaxviz.load(family.network)
    method = family.methods[name]
    given = options(family, name) | {option: bound}
    with pytest.raises(ValueError, match=rf"{option} is {bound:.12g}"):
        method.function(network, *inputs(family, name, pictures[0]), **given)


def test_options_of_another_method_are_refused_and_whose_they_are_is_said():
    family = FAMILIES["attacks"]
    with pytest.raises(
        ValueError, match=r"fgsm takes no steps; it belongs to ifgsm, pgd, .*; fgsm takes epsilon"
    ):
        family.checked("fgsm", {"steps": 3, "epsilon": 0.1})
    with pytest.raises(ValueError, match="no method has it"):
        family.checked("fgsm", {"sigma": 3})
    with pytest.raises(KeyError, match="no attack method is named 'ifgms'; nearest: ifgsm"):
        family.checked("ifgms", {})
    with pytest.raises(ValueError, match="inversion needs layer"):
        FAMILIES["inversion"].checked("inversion", {"layer": None})
    assert family.checked("ifgsm", {"steps": 3, "target": None}) == {"steps": 3}


MANY = [
    pytest.param(*case.values, id=case.id, marks=[pytest.mark.slow] * dear(*case.values))
    for case in METHODS
    if case.values[0].name != "features" and not case.values[0].methods[case.values[1]].of_many
]


@pytest.mark.parametrize(("family", "name"), MANY)
def test_many_at_once_are_as_one_by_one(family, name, pictures, networks):
    method, network = family.methods[name], networks(family)
    given = options(family, name)
    alone = [method.function(network, *inputs(family, name, picture), **given) for picture in pictures]
    if method.problem is None:
        many = jax.vmap(lambda x: method.function(network, *inputs(family, name, x), **given))(pictures)
    else:
        each = [inputs(family, name, picture) for picture in pictures]
        many = solving.solve_many(method, network, each, [given] * len(each)).value
        alone = [getattr(found, "value", found) for found in alone]
    for found, expected in zip(many, alone, strict=True):
        close = np.abs(found - expected) <= 1e-5 * max(1, float(np.abs(expected).max()))
        # A derivative that is nearly 0 may round to either sign.
        assert close.mean() > (0.999 if method.result == "image" else 0.99)


@pytest.mark.parametrize(
    ("family", "name"), [case for case in MANY if case.values[0].name in ("saliency", "attacks")]
)
def test_results_have_the_declared_form(family, name, pictures, networks):
    method, network = family.methods[name], networks(family)
    found = np.asarray(method.function(network, pictures[0], 285, **options(family, name)))
    assert found.shape in ((64, 64), (64, 64, 3)) if method.result == "map" else found.shape == (64, 64, 3)
    if method.detailed is not None:
        again, told = method.told(network, pictures[0], 285, **options(family, name))
        # What is not told need not be computed, and other sums round otherwise.
        np.testing.assert_allclose(again, found, atol=1e-5 * float(np.abs(found).max()))
        assert told
        assert all(np.isfinite(value).all() for value in told.values())
    assert np.isfinite(found).all()
    assert np.ptp(found) > 0


@pytest.mark.optimized  # in float64 the derivatives of a step take seconds otherwise
@pytest.mark.parametrize(
    ("family", "name"),
    [
        pytest.param(*case.values, id=case.id, marks=[pytest.mark.slow] * compared_elsewhere(*case.values))
        for case in CLASSIFIED
        if not case.values[0].methods[case.values[1]].of_many
        and (case.values[0].name, case.values[1]) not in DRAWN
    ],
)
def test_parity_with_pytorch(family, name, squeezenet, monkeypatch):
    """methods.npz has of every method what golden/generate_methods.py, which is PyTorch alone, finds."""
    method = family.methods[name]
    assert f"{family.name}/{name}/coffee" in GOLDEN, "add the method to tests/golden/generate_methods.py"
    climbs = family.name == "attacks" and "steps" in method.options
    # Steps of signs part where float32 rounds a derivative to the other one, and end far apart; and occlusion's
    # differences of scores have the rounding of scores.
    exactly = climbs or name == "occlusion"
    for picture in ("coffee",) if climbs else ("chelsea", "coffee"):
        image = jnp.asarray(GOLDEN[f"input/{picture}"])
        label = int(GOLDEN[f"label/{picture}"])
        expected = GOLDEN[f"{family.name}/{name}/{picture}"]
        if exactly:
            monkeypatch.setitem(PRECISIONS, "float64", (jnp.float64, jax.lax.Precision.HIGHEST))
            given = {"restarts": 0} if "restarts" in method.options else {}
            given |= GIVEN.get(name, {})
            with jax.enable_x64(True):
                exact = jnp.asarray(image, jnp.float64)
                found = np.asarray(method.function(in_float64(squeezenet), exact, label, **given))
            assert (np.abs(found - expected) < 1e-6).mean() > 0.99
            continue
        found = np.asarray(method.function(squeezenet, image, label), np.float64)
        assert found.shape == expected.shape
        error = np.abs(found - expected) / np.abs(expected).max()
        assert np.median(error) < 1e-6
        assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.9995
        if method.result == "image":  # in float32 signs of tiny derivatives flip
            assert (error < 1e-5).mean() > 0.99


def cross_entropy(network, image, label):
    logits = network.features(jnp.asarray(image, jnp.float32), ["logits"])["logits"]
    return -jax.nn.log_softmax(logits)[label]


@pytest.mark.parametrize("name", [name for name, family in FAMILIES.items() if family.presets])
def test_presets_fix_everything_together(name):
    family = FAMILIES[name]
    method = family.methods[family.usual]
    assert next(iter(family.presets)) == "default"
    for preset in family.presets.values():
        assert {"network", "units", "optimizer", "steps"} <= set(preset.fixes())
        for option in preset.values:
            assert option in method.signature or option in FIXED
        assert preset.overridden({"steps": preset.steps + 1, "layer": "x"}) == {"steps": preset.steps + 1}
        assert preset.overridden(dict.fromkeys(preset.values)) == {}
    with pytest.raises(KeyError, match=f"no preset of {name} is named 'papre'"):
        family.preset("papre")


def test_steps_of_the_iterated_attack_follow_the_formula(classifier, pictures):
    image, label, epsilon, alpha = pictures[0], 285, 3 / 255, 1 / 255
    scores = jax.jit(lambda x: classifier.features(x, ["logits"])["logits"])

    def loss(x):
        return -jax.nn.log_softmax(scores(x))[label]

    x, points = image, [image]
    for _ in range(4):
        x = x + alpha * jnp.sign(jax.grad(loss)(x))
        x = jnp.clip(jnp.clip(x, image - epsilon, image + epsilon), 0, 1)
        points.append(x)
    best = max(points, key=loss)
    found = jaxviz.attacks.ifgsm(classifier, image, label, epsilon=epsilon, step_size=alpha, steps=4)
    assert float((jnp.abs(found - best) < 1e-6).mean()) > 0.999
    assert float(jnp.abs(found - image).max()) <= epsilon + 1e-6
    assert float(loss(found)) >= float(loss(jaxviz.attacks.fgsm(classifier, image, label, epsilon=alpha)))


def test_functions_of_a_family_are_not_hidden_by_their_files():
    for family in FAMILIES.values():
        for method in family.methods.values():
            name = method.function.__name__
            assert inspect.isroutine(inspect.unwrap(getattr(getattr(jaxviz, family.name), name)))


def test_the_readmes_table_is_made_from_the_declarations():
    import runpy

    tables = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "make_tables.py"))
    text = tables["README"].read_text(encoding="utf-8")
    assert text == tables["written"](text), "run python -m docs.make_tables"
    for family in FAMILIES.values():
        for name, method in family.methods.items():
            assert f"`{tables['command'](family, name, method)}`" in text
