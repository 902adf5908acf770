import itertools
import math
import time
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_compilation import compilations

import jaxviz
from jaxviz import batching

WEIGHTS = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)


def pixels(n):
    return np.random.default_rng(0).random((n, 5, 5, 3), np.float32)


def mapped(weights, image, label):
    return {"map": jnp.tanh(image @ weights).sum(-1) * label, "mean": image.mean()}


def arguments(n):
    return WEIGHTS, pixels(n), np.arange(n)


@pytest.mark.parametrize("size", [None, 1, 2, 3, 4, 8])
@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 13])
def test_a_batch_of_any_length_equals_one_image_at_a_time(n, size):
    found = jaxviz.batched(mapped, in_axes=(None, 0, 0), size=size)(*arguments(n))
    alone = jax.jit(mapped)
    weights, images, labels = arguments(n)
    for i in range(n):
        one = alone(weights, images[i], labels[i])
        # The map is a sum of four terms of at most 1, times the label: so is what rounding leaves.
        rounding = 1e-6 * max(1, labels[i])
        jax.tree.map(
            lambda many, one, i=i, atol=rounding: np.testing.assert_allclose(
                many[i], one, rtol=1e-6, atol=atol
            ),
            found,
            one,
        )
    assert found["map"].shape == (n, 5, 5)
    assert isinstance(found["mean"], jax.Array)


def test_the_number_of_images_changes_no_bit_of_full_parts():
    form = jaxviz.batched(mapped, in_axes=(None, 0, 0), size=4)
    many = form(*arguments(12))["map"]
    for n in (4, 7, 8, 11):
        np.testing.assert_array_equal(form(*arguments(n))["map"], many[:n])


def test_settings_of_the_caller_hold_in_all_threads(monkeypatch):
    monkeypatch.setattr(batching, "cores", lambda: 3)
    with jax.enable_x64(True):
        found = jaxviz.batched(lambda x: x / 3)(np.arange(11.0))
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, np.arange(11.0) / 3, rtol=1e-15)


def test_an_error_in_a_thread_is_the_callers(monkeypatch):
    monkeypatch.setattr(batching, "cores", lambda: 3)

    def refuses(image):
        def refused(image):
            raise ValueError("no such image")

        return jax.pure_callback(
            refused, jax.ShapeDtypeStruct((), np.float32), image, vmap_method="sequential"
        )

    with pytest.raises(Exception, match="no such image"):
        jaxviz.batched(refuses)(pixels(9))


@pytest.mark.parametrize(("threads", "parts"), [(1, {4, 1}), (2, {2, 1}), (8, {2, 1})])
def test_each_core_has_its_own_few(threads, parts, monkeypatch):
    monkeypatch.setattr(batching, "cores", lambda: threads)
    monkeypatch.setattr(batching, "IN_A_THREAD", 4 if threads == 1 else 2)
    seen = []
    form = jaxviz.batched(lambda image: image.mean() * threads)
    program = form.program
    form._analysis = lambda arguments, size: None
    form.program = lambda images: seen.append(len(images)) or program(images)
    np.testing.assert_allclose(form(pixels(9)), pixels(9).mean((1, 2, 3)) * threads, rtol=1e-6)
    form.program = program
    assert set(seen) == parts


@pytest.mark.parametrize(("room", "expected"), [(100, (2, 4)), (25, (1, 4)), (12, (1, 2)), (1, (1, 1))])
def test_as_many_threads_as_the_memory_holds(room, expected, monkeypatch):
    monkeypatch.setattr(batching, "cores", lambda: 4)
    monkeypatch.setattr(batching, "device_memory", lambda device: room / batching.MEMORY_SHARE)
    form = jaxviz.batched(lambda image: image.std() + room)
    form._need = lambda arguments, size: 5 * size
    assert form._form((pixels(40),), 40) == expected


@pytest.mark.parametrize(("weights", "expected"), [(0, 2), (1, 2), (2, 4), (4, 8), (100, 16)])
def test_heavy_weights_are_read_for_more_images(weights, expected, monkeypatch):
    monkeypatch.setattr(batching, "cores", lambda: 2)
    shared = np.zeros(weights, np.float32)
    form = jaxviz.batched(lambda weights, image: image.std() + weights.sum(), in_axes=(None, 0))
    images = pixels(32)
    own = images[0].nbytes + 24

    def analysis(arguments, size):
        arguments = 4 * weights * own + size * images[0].nbytes
        return types.SimpleNamespace(
            argument_size_in_bytes=arguments, output_size_in_bytes=4 * size, temp_size_in_bytes=20 * size
        )

    form._analysis = analysis
    assert form._form((shared, images), 32) == (expected, 2)


def test_weights_that_are_not_used_are_not_heavy(monkeypatch):
    monkeypatch.setattr(batching, "cores", lambda: 2)
    form = jaxviz.batched(lambda weights, image: image * weights[0], in_axes=(None, 0))
    assert form._form(((np.float32(2), np.zeros(10**6, np.float32)), pixels(64)), 64) == (2, 2)


@pytest.mark.slow
def test_saliency_and_an_attack(squeezenet, picture):
    image = picture("chelsea", 80)
    images = np.stack([image[k : k + 48, k : k + 48] for k in (0, 9, 20)])
    labels = np.array([285, 1, 999])

    def attack(network, image, label, epsilon):
        return jaxviz.attacks.fgsm(network, image, label, epsilon=epsilon)

    maps = jaxviz.batched(jaxviz.saliency.gradient, in_axes=(None, 0, 0))(squeezenet, images, labels)
    attacked = jaxviz.batched(attack, in_axes=(None, 0, 0, None))(squeezenet, images, labels, 0.1)
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        one = jaxviz.saliency.gradient(squeezenet, image, label)
        np.testing.assert_allclose(maps[i], one, rtol=1e-6, atol=1e-6 * float(one.max()))
        signs = attacked[i] == jaxviz.attacks.fgsm(squeezenet, image, label, epsilon=0.1)
        assert signs.mean() > 0.999


@pytest.mark.parametrize("size", [1, 2, 4])
def test_what_is_drawn_depends_on_the_key_alone(size):
    keys = jax.random.split(jax.random.key(7), 6)

    def draw(key, scale):
        return scale * jax.random.normal(key, (3,))

    form = jaxviz.batched(draw, in_axes=(0, None), size=size)
    found = form(keys, 2.0)
    for i in range(6):
        np.testing.assert_array_equal(found[i], 2 * jax.random.normal(keys[i], (3,)))
    np.testing.assert_array_equal(form(keys[2:5], 2.0), found[2:5])


def test_any_number_of_images_is_few_programs():
    def function(image):
        return jnp.sin(image).sum()

    counts = [*range(1, 20), 33, 64, 100]
    inputs = [pixels(n) for n in counts] + [jnp.asarray(pixels(n)) for n in counts]
    with compilations() as seen:
        for images in inputs:
            assert len(jaxviz.batched(function, size=8)(images)) == len(images)
    assert len(seen) == int(math.log2(8)) + 1


def test_the_size_chosen_by_itself_compiles_nothing_more():
    def function(image):
        return jnp.cos(image).sum()

    form = jaxviz.batched(function)
    with compilations() as seen:
        for n in (4, 8, 12, 4):
            form(pixels(n))
    assert len(seen) == 1


def test_the_program_that_was_measured_is_the_one_that_runs():
    def function(image):
        return jnp.tan(image).sum()

    with compilations() as seen:
        size = jaxviz.chunk_size(function, pixels(1), memory="1GB")
        jaxviz.batched(function, size=size)(pixels(2 * size))
    assert len(seen) == 1


def test_asking_again_compiles_nothing():
    first, again = (jaxviz.batched(mapped, in_axes=(None, 0, 0), size=2) for _ in range(2))
    first(*arguments(5))
    with compilations() as seen:
        again(WEIGHTS / 2, pixels(6), np.arange(6) + 3)
    assert seen == []


def test_weights_are_arguments_of_the_program(squeezenet):
    form = jaxviz.batched(jaxviz.saliency.gradient, in_axes=(None, 0, 0), size=1)
    text = form.program.lower(squeezenet, pixels(1).repeat(9, 1).repeat(9, 2), np.array([3])).as_text()
    assert len(text) < sum(leaf.size for leaf in jax.tree.leaves(squeezenet.params))


def test_no_image_gives_an_empty_result():
    found = jaxviz.batched(mapped, in_axes=(None, 0, 0))(*arguments(0))
    assert found["map"].shape == (0, 5, 5)
    assert found["mean"].shape == (0,)


@pytest.mark.parametrize("n", [2, 4, 7])
def test_inside_another_program(n):
    form = jaxviz.batched(mapped, in_axes=(None, 0, 0), size=4)
    inside, outside = jax.jit(form)(*arguments(n)), form(*arguments(n))
    np.testing.assert_allclose(inside["map"], outside["map"], rtol=1e-6, atol=1e-6)


def test_arguments_may_be_trees():
    pairs = {"a": pixels(5), "b": pixels(5)[::-1].copy()}
    found = jaxviz.batched(lambda pair, w: (pair["a"] - pair["b"]) * w["scale"], in_axes=(0, None), size=2)(
        pairs, {"scale": np.float32(2)}
    )
    np.testing.assert_allclose(found, 2 * (pairs["a"] - pairs["b"]), rtol=1e-6)


def heavy(image):
    """Sorts, which no compiler fuses away: each image needs the same memory once more."""
    spread = jnp.sort(jnp.sin(image[..., None] * jnp.arange(4096.0)))
    return (spread * jnp.flip(spread, -1)).sum()


def test_less_memory_is_fewer_images():
    image = jax.ShapeDtypeStruct((1, 64), np.float32)
    form = jaxviz.batched(heavy)

    def need(n):
        used = form.program.lower(jax.ShapeDtypeStruct((n, 64), np.float32)).compile().memory_analysis()
        return used.argument_size_in_bytes + used.output_size_in_bytes + used.temp_size_in_bytes

    assert jaxviz.chunk_size(heavy, image, memory="100GB") == batching.AT_ONCE["cpu"] == 4
    for n in (1, 2, 4):
        assert jaxviz.chunk_size(heavy, image, memory=need(n)) == n
        if n > 1:
            assert jaxviz.chunk_size(heavy, image, memory=need(n) - 1) == n // 2


def test_memory_that_one_image_exceeds_is_refused():
    with pytest.raises(ValueError, match=r"memory is 1,000 bytes, but one image needs [\d,]+"):
        jaxviz.chunk_size(heavy, np.zeros((2, 64), np.float32), memory=1000)


def test_a_machine_has_memory():
    assert 2**28 < batching.device_memory(jax.devices()[0]) < 2**50


@pytest.mark.parametrize(
    ("text", "expected"),
    [("4GB", 4e9), ("4 gb", 4e9), ("500M", 5e8), ("1.5KiB", 1536), ("2GiB", 2**31), ("77", 77), (1e9, 1e9)],
)
def test_amounts_of_memory(text, expected):
    assert batching.bytes_of(text) == expected


@pytest.mark.parametrize(
    "text", ["lots", "", "-4GB", "4XB", "0", "0.1", "4GBs", "GB", "nan", "inf", 0, -1.0, math.nan]
)
def test_what_is_no_amount_of_memory_is_refused(text):
    with pytest.raises(ValueError, match="expected an amount such as '4GB'"):
        batching.bytes_of(text)
    with pytest.raises(ValueError, match="expected an amount such as '4GB'"):
        jaxviz.chunk_size(heavy, np.zeros((1, 64), np.float32), memory=text)


@pytest.mark.parametrize("size", [0, -1, True])
def test_a_size_that_is_none_is_refused(size):
    with pytest.raises(ValueError, match="expected a whole number of images, at least 1"):
        jaxviz.batched(mapped, size=size)


def test_arguments_that_do_not_fit_together_are_refused():
    form = jaxviz.batched(mapped, in_axes=(None, 0, 0), size=4)
    with pytest.raises(ValueError, match=r"number of images: 3 in argument \[1\], 5 in argument \[2\]"):
        form(WEIGHTS, pixels(3), np.arange(5))
    with pytest.raises(ValueError, match=r"argument \[2\] is one number"):
        form(WEIGHTS, pixels(3), 5)
    with pytest.raises(ValueError, match="axes are given for 3 arguments; there are 2"):
        form(WEIGHTS, pixels(3))
    with pytest.raises(ValueError, match="no argument has axis 0"):
        jaxviz.batched(mapped, in_axes=None)(*arguments(3))


@pytest.mark.parametrize("size", range(1, 9))
def test_parts_are_filled_to_powers_of_two(size):
    seen = set()

    def function(image):
        return image.sum()

    form = jaxviz.batched(function, size=size)
    program = form.program
    form.program = lambda images: seen.add(len(images)) or program(images)
    for n in range(1, 3 * size):
        form(pixels(n))
    form.program = program
    powers = set(itertools.takewhile(lambda power: power < size, (2**k for k in range(9))))
    assert seen == powers | {size}


def test_the_fastest_size_is_found_by_running():
    def calling_is_dear(image):
        return jax.pure_callback(
            _dear, jax.ShapeDtypeStruct((), np.float32), image, vmap_method="broadcast_all"
        )

    pixels = np.ones((8, 4), np.float32)
    assert jaxviz.chunk_size(calling_is_dear, pixels, measure=True) == 8
    assert jaxviz.chunk_size(calling_is_dear, pixels[:3], measure=True) == 4


def _dear(images):
    time.sleep(0.02)
    return np.sum(images, axis=-1, dtype=np.float32)
