import contextlib
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxviz
from jaxviz import optimizers

EVENT = "/jax/core/compile/backend_compile_duration"


@contextlib.contextmanager
def compilations():
    """Yields a list that gains one entry for each program compiled."""
    seen = []

    def listen(event, seconds, **about):
        if event == EVENT:
            seen.append(about.get("fun_name", event))

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield seen
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


def forms(value):
    """The same number as Python, NumPy and JAX give it."""
    whole = isinstance(value, int)
    return value, (np.int32 if whole else np.float32)(value), (jnp.int32 if whole else jnp.float32)(value)


@pytest.fixture(scope="module")
def pictures(picture):
    """Pairs of the same picture from NumPy and from JAX."""
    made = [picture(name, 64) for name in ("chelsea", "coffee", "astronaut", "brick")]
    return [image for value in made for image in (value, jnp.asarray(value))]


def assert_compiles_once(call, *groups):
    """Calls with the arguments of all groups; only the first call of all may compile."""
    first, *later = [arguments for group in groups for arguments in group]
    jax.block_until_ready(call(*first))
    with compilations() as seen:
        for arguments in later:
            jax.block_until_ready(call(*arguments))
    assert len(later) > 0
    assert seen == []


def test_the_counter_sees_a_new_shape_and_nothing_else():
    double = jax.jit(lambda x: 2 * x)
    inputs = [np.zeros(n, np.float32) for n in (3, 3, 5)]
    counts = []
    for x in inputs:
        with compilations() as seen:
            double(x).block_until_ready()
        counts.append(len(seen))
    assert counts == [1, 0, 1]
    with compilations() as seen:
        pass
    double(np.zeros(7, np.float32))
    assert seen == []


def test_saliency(squeezenet, pictures):
    def call(image, label):
        return jaxviz.saliency.gradient(squeezenet, image, label)

    assert_compiles_once(
        call,
        zip(pictures[:2] + pictures[:1], forms(3), strict=True),
        zip(pictures[2:8], forms(285) + forms(0), strict=True),
    )


@pytest.mark.parametrize("targeted", [False, True])
def test_fgsm(squeezenet, pictures, targeted):
    def call(image, label, epsilon, target):
        target = target if targeted else None
        return jaxviz.attacks.fgsm(squeezenet, image, label, epsilon=epsilon, target=target)

    def arguments(images, label, epsilon, target):
        return zip(images, forms(label), forms(epsilon), forms(target), strict=True)

    assert_compiles_once(
        call,
        arguments(pictures[:2] + pictures[:1], 1, 0.1, 7),
        arguments(pictures[2:5], 285, 0.02, 10),
        arguments(pictures[5:8], 9, 0.5, 999),
    )


def test_a_batched_attack(squeezenet, pictures):
    batched = jax.vmap(lambda image, label: jaxviz.attacks.fgsm(squeezenet, image, label, epsilon=0.1))
    first, second = (jnp.stack(pictures[k : k + 3]) for k in (0, 4))
    labels = jnp.arange(3), jnp.arange(3) + 100
    assert_compiles_once(batched, [(first, labels[0])], [(second, labels[1]), (first, labels[1])])


def test_inversion(vgg16, pictures):
    def call(image, weight, seed, steps):
        return jaxviz.inversion.invert(
            vgg16,
            image,
            layer="relu1_2",
            tv_weight=weight,
            alpha_weight=weight,
            key=jax.random.key(seed),
            steps=steps,
        ).value

    def arguments(images, weight, seed, steps):
        return [(image, w, seed, steps) for image, w in zip(images, forms(weight), strict=True)]

    assert_compiles_once(
        call,
        arguments(pictures[:2] + pictures[:1], 1.0, 0, 2),
        arguments(pictures[2:5], 0.5, 7, 3),
        arguments(pictures[5:8], 3.0, 8, 1),
    )


def test_the_papers_inversion(vgg16, pictures):
    def call(image, beta, steps):
        options = {"layer": "relu1_1", "preset": "paper", "tv_beta": beta, "steps": steps}
        return jaxviz.inversion.invert(vgg16, image, **options).value

    assert_compiles_once(
        call,
        zip(pictures[:2] + pictures[:1], forms(2.0), [2, 2, 2], strict=True),
        zip(pictures[2:5], forms(1.5), [1, 3, 4], strict=True),
    )


def test_texture(vgg16, pictures):
    def call(exemplar, weight, seed, steps):
        return jaxviz.texture.synthesize(
            vgg16,
            exemplar,
            weights={"relu1_1": weight, "pool1": 1.0},
            key=jax.random.key(seed),
            steps=steps,
        ).value

    assert_compiles_once(
        call,
        zip(pictures[:2] + pictures[:1], forms(1.0), [0, 0, 0], [2, 2, 2], strict=True),
        zip(pictures[2:5], forms(0.25), [1, 2, 3], [1, 3, 2], strict=True),
    )


def test_a_mixed_texture_of_the_paper(vgg16, pictures):
    def call(exemplars, share, seed, steps):
        return jaxviz.texture.synthesize(
            vgg16,
            exemplars,
            preset="paper",
            weights={"relu1_1": share},
            shares=[share, 1.0],
            tileable=True,
            key=jax.random.key(seed),
            steps=steps,
        ).value

    pairs = [[pictures[k], pictures[k + 1]] for k in range(6)]
    assert_compiles_once(
        call,
        zip(pairs[:3], forms(0.5), [0, 0, 0], [2, 2, 2], strict=True),
        zip(pairs[3:], forms(0.25), [1, 2, 3], [1, 3, 2], strict=True),
    )


def test_inversions_of_several_layers_from_several_starts(vgg16, pictures):
    def call(image, weight, seed, steps):
        layers = {"relu1_1": weight, "relu1_2": 1.0}
        return jaxviz.inversion.restarts(vgg16, image, layer=layers, count=2, seed=seed, steps=steps).value

    assert_compiles_once(
        call,
        zip(pictures[:3], forms(0.5), [0, 0, 0], [2, 2, 2], strict=True),
        zip(pictures[3:6], forms(0.25), [1, 2, 3], [1, 3, 2], strict=True),
    )


@pytest.mark.parametrize("init", ["content", "noise", "image"])
def test_style(vgg16, pictures, init):
    def call(content, style, weight, seed, steps):
        return jaxviz.style.transfer(
            vgg16,
            content,
            [style],
            content_weight=weight,
            style_weight=weight,
            tv_weight=weight,
            content_weights={"relu1_2": weight},
            style_weights={"relu1_1": weight},
            init=style if init == "image" else init,
            key=jax.random.key(seed),
            steps=steps,
        ).value

    assert_compiles_once(
        call,
        zip(pictures[:3], pictures[3:6], forms(1.0), [0, 0, 0], [2, 2, 2], strict=True),
        zip(pictures[5:8], pictures[2:5], forms(0.125), [1, 2, 3], [1, 3, 2], strict=True),
    )


def test_optimizers_numbers(vgg16, pictures):
    posed, start = jaxviz.inversion.problem(vgg16, pictures[0], layer="relu1_1")

    def call(rate, steps):
        return jaxviz.minimize(posed, start, steps=steps, optimizer=optimizers.adam(rate)).value

    assert_compiles_once(
        call, zip(forms(0.02), [2, 2, 2], strict=True), zip(forms(0.25), [3, 1, 4], strict=True)
    )


@pytest.mark.parametrize("inside", [optimizers.adam, lambda rate: optimizers.lbfgs(3)])
def test_an_average(vgg16, pictures, inside):
    posed, start = jaxviz.inversion.problem(vgg16, pictures[0], layer="relu1_1")

    def call(rate, decay, steps):
        optimizer = optimizers.averaged(inside(rate), decay)
        return jaxviz.minimize(posed, start, steps=steps, optimizer=optimizer).value

    assert_compiles_once(
        call,
        zip(forms(0.02), forms(0.5), [2, 2, 2], strict=True),
        zip(forms(0.25), forms(0.99), [3, 1, 4], strict=True),
    )


def test_a_batch(vgg16, pictures):
    def call(images, steps):
        posed = [jaxviz.inversion.problem(vgg16, image, layer="relu1_1") for image in images]
        (batch, z), (axes, _) = jaxviz.stack(posed)
        return jaxviz.minimize(batch, z, steps=steps, batch_axes=axes).value

    assert_compiles_once(call, [(pictures[:3], 2)], [(pictures[3:6], 3), (pictures[5:8], 1)])


def test_new_weights_of_a_network(squeezenet, pictures):
    other = dataclasses.replace(squeezenet, params=jax.tree.map(lambda w: w / 2, squeezenet.params))
    image = pictures[0]
    assert_compiles_once(
        lambda network: jaxviz.saliency.gradient(network, image, 3), [(squeezenet,)], [(other,)]
    )
