import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from test_compilation import assert_compiles_once

from jaxviz import features
from jaxviz.networks import NETWORKS, Network, compiled_features, parameter_shapes, tap_shapes
from jaxviz.networks.fields import fields
from jaxviz.networks.preprocessing import TORCHVISION
from jaxviz.networks.structure import structure

RANDOM = np.random.default_rng(0)
FAMILIES = [
    *("alexnet", "vgg11", "vgg16_bn_classifier", "squeezenet1_0", "squeezenet1_1", "googlenet"),
    *("resnet18", "resnet50", "resnet50_caffe", "densenet121"),
]


def described(name):
    """A known network without weights."""
    return Network({}, NETWORKS[name].architecture, TORCHVISION, name)


class TestFilters:
    @pytest.mark.parametrize(("name", "layer"), [("vgg16", "conv1_1"), ("squeezenet", "conv1")])
    def test_first_layer_is_red_green_blue(self, request, name, layer):
        network = request.getfixturevalue(name)
        kernels = features.filters(network)
        assert kernels.shape == (64, 3, 3, 3)
        image = RANDOM.random((12, 12, 3), np.float32)
        x = network.preprocessing.apply(image)[..., ::-1]  # both networks are BGR
        tap = compiled_features(network, image, (layer,))[layer]
        for i, j in ((2, 2), (3, 4)):
            at = (2 * i, 2 * j) if name == "squeezenet" else (i - 1, j - 1)
            window = x[at[0] : at[0] + 3, at[1] : at[1] + 3]
            sums = np.einsum("nijc,ijc->n", kernels, window) + network.params[layer]["bias"]
            np.testing.assert_allclose(tap[i, j], sums, rtol=1e-4, atol=1e-2)

    def test_channels_of_an_rgb_network_stay(self, vgg16):
        rgb = dataclasses.replace(vgg16, preprocessing=TORCHVISION)
        stored = vgg16.params["conv1_1"]["kernel"]
        np.testing.assert_array_equal(features.filters(rgb), np.transpose(stored, (3, 0, 1, 2)))
        np.testing.assert_array_equal(features.filters(rgb), features.filters(vgg16)[..., ::-1])

    @pytest.mark.parametrize("layer", ["fire2/squeeze1x1", "fire9/expand3x3", "conv10"])
    def test_higher_layers_are_as_stored(self, squeezenet, layer):
        module = functools.reduce(lambda tree, part: tree[part], layer.split("/"), squeezenet.params)
        expected = np.transpose(module["kernel"], (3, 0, 1, 2))
        np.testing.assert_array_equal(features.filters(squeezenet, layer), expected)

    def test_a_new_set_of_weights_is_taken(self, squeezenet):
        other = dataclasses.replace(squeezenet, params=jax.tree.map(lambda w: 2 * w, squeezenet.params))
        np.testing.assert_array_equal(features.filters(other), 2 * features.filters(squeezenet))

    @pytest.mark.parametrize("name", ["relu1", "fire2", "pool1", "logits"])
    def test_a_layer_without_kernel_is_refused(self, squeezenet, name):
        with pytest.raises(
            KeyError, match=f"layer '{name}' of squeezenet1_1 is no convolution.*(conv1|fire2/)"
        ):
            features.filters(squeezenet, name)

    @pytest.mark.parametrize("name", ["conv11", ""])
    def test_an_unknown_layer_is_answered_with_names(self, squeezenet, name):
        with pytest.raises(KeyError, match=f"no convolution of squeezenet1_1 is named '{name}'; .*conv1"):
            features.filters(squeezenet, name)

    def test_a_matrix_is_no_kernel(self):
        with pytest.raises(KeyError, match="layer 'fc6' of alexnet is no convolution"):
            features.filters(described("alexnet"), "fc6")

    @pytest.mark.parametrize("name", FAMILIES)
    def test_every_convolution_of_every_network_has_its_names(self, name):
        architecture = NETWORKS[name].architecture
        built, shapes = structure(architecture), parameter_shapes(architecture)
        leaves = jax.tree_util.tree_leaves_with_path(shapes)
        stored = {tuple(k.key for k in path[:-1]) for path, leaf in leaves if len(leaf.shape) == 4}
        assert set(built.convolutions.values()) == stored
        first = next(iter(built.convolutions))
        assert "conv1" in first
        channels = {}
        for tap, path in built.convolutions.items():
            kernel = functools.reduce(lambda tree, part: tree[part], path, shapes)["kernel"]
            assert path not in channels or channels[path] == kernel.shape
            channels[path] = kernel.shape
            if tap in built.parts:
                assert built.parts[tap].shape[-1] == kernel.shape[3]
        assert channels[built.convolutions[first]][2] == 3

    def test_a_unit_with_a_convolution_inside_has_its_name_too(self):
        found = structure(NETWORKS["googlenet"].architecture).convolutions
        path = ("inception_3a_1x1", "conv")
        for name in ("inception_3a/1x1_conv", "inception_3a/1x1", "inception_3a_1x1/conv"):
            assert found[name] == path
        assert "inception_3a/1x1_bn" not in found
        assert "inception_3a" not in found
        resnet = structure(NETWORKS["resnet50"].architecture).convolutions
        assert "conv2_1" not in resnet
        assert resnet["conv2_1/shortcut_conv"] == ("conv2_1", "shortcut_conv")


class TestActivations:
    def test_maps_are_the_taps_and_the_strongest_come_first(self, squeezenet, picture):
        image = picture("chelsea", 64)
        found = features.activations(squeezenet, image, "fire3/expand3x3")
        tap = np.asarray(compiled_features(squeezenet, image, ("fire3/expand3x3",))["fire3/expand3x3"])
        np.testing.assert_allclose(found.maps, tap, rtol=1e-4, atol=1e-2)
        assert (tap < 0).any()
        strength = np.maximum(tap, 0).mean((0, 1))
        np.testing.assert_allclose(found.strength, strength, rtol=1e-4, atol=1e-3)
        assert sorted(np.asarray(found.order)) == list(range(tap.shape[2]))
        assert (np.diff(np.asarray(found.strength)[found.order]) <= 0).all()

    def test_of_equal_channels_the_first_comes_first(self, squeezenet):
        blank = dataclasses.replace(squeezenet, params=jax.tree.map(jnp.zeros_like, squeezenet.params))
        found = features.activations(blank, np.zeros((16, 16, 3), np.float32), "fire2")
        np.testing.assert_array_equal(found.order, np.arange(128))

    def test_a_new_picture_compiles_nothing(self, squeezenet, picture):
        images = [picture(name, 64) for name in ("chelsea", "coffee", "brick")]
        call = functools.partial(features.activations, squeezenet, layer="fire2")
        assert_compiles_once(call, [(images[0],)], [(image,) for image in images[1:]])

    @pytest.mark.parametrize(
        ("layer", "size", "kind", "words"),
        [
            ("fire99", 64, KeyError, "nearest: fire9"),
            ("logits", 64, ValueError, "no positions"),
            ("fire9", 6, ValueError, "6×6; take a larger one"),
        ],
    )
    def test_what_cannot_be_shown_is_refused(self, squeezenet, layer, size, kind, words):
        with pytest.raises(kind, match=words):
            features.activations(squeezenet, np.zeros((size, size, 3), np.float32), layer)

    def test_bad_pictures_are_refused(self, squeezenet):
        with pytest.raises(ValueError, match="NaN"):
            features.activations(squeezenet, np.full((16, 16, 3), np.nan, np.float32), "conv1")
        assert features.activations(squeezenet, np.zeros((7, 7, 3), np.float32), "conv1").maps.shape[0] == 3

    def test_a_single_pixel_has_the_maps_before_the_first_pool(self, vgg16):
        assert features.activations(vgg16, np.zeros((1, 1, 3), np.float32), "relu1_2").maps.shape == (
            1,
            1,
            64,
        )


PUBLISHED = {
    ("alexnet", "pool5"): 195,
    ("vgg16", "conv5_3"): 196,
    ("vgg16", "pool5"): 212,
    ("vgg19", "pool5"): 268,
    ("resnet18", "conv5_2"): 435,
    ("resnet50_caffe", "conv5_3"): 483,
    ("resnet101_caffe", "conv5_3"): 1027,
    ("resnet50", "conv5_3"): 427,  # its stride is one convolution later, where a 3×3 kernel then sees less
}


class TestReceptiveFields:
    @pytest.mark.parametrize(("name", "layer"), PUBLISHED)
    def test_published_sizes(self, name, layer):
        assert features.receptive_field(described(name), layer).size == (PUBLISHED[name, layer],) * 2

    def test_stride_and_position(self):
        field = features.receptive_field(described("vgg16"), "conv5_3")
        assert (field.stride, field.center) == ((16, 16), (8.0, 8.0))
        assert field.box(0, 0) == ((-90, 106), (-90, 106))
        assert field.box(3, 1) == ((-42, 154), (-74, 122))
        first = features.receptive_field(described("squeezenet1_1"), "conv1")
        assert (first.size, first.stride, first.center) == ((3, 3), (2, 2), (1.5, 1.5))

    @pytest.mark.parametrize("name", ["squeezenet1_1", "vgg16_classifier", "resnet18", "googlenet"])
    def test_without_positions_the_whole_picture_is_seen(self, name):
        field = features.receptive_field(described(name), "logits")
        assert (field.size, field.stride, field.center) == ((224, 224), (0, 0), (112.0, 112.0))

    def test_an_unknown_layer_is_answered_with_the_nearest(self):
        with pytest.raises(KeyError, match="no layer of vgg16 is named 'conv5_4'; nearest: conv5_"):
            features.receptive_field(described("vgg16"), "conv5_4")

    @pytest.mark.parametrize("name", FAMILIES)
    def test_positions_agree_with_the_shapes(self, name):
        built = structure(NETWORKS[name].architecture)
        shapes = tap_shapes(NETWORKS[name].architecture, parameter_shapes(NETWORKS[name].architecture))
        assert {tap: part.shape for tap, part in built.parts.items()} == shapes
        for part in built.parts.values():
            h, w = part.field.size
            assert h == w
            if len(part.shape) == 3:
                step = part.field.stride[0]
                assert step * (part.shape[0] - 1) < 224 <= step * (part.shape[0] + 3)
                # The last unit's field begins inside the picture, else it would see padding alone.
                assert part.field.box(part.shape[0] - 1, 0)[0][0] < 224
            else:
                assert part.field.stride == (0, 0)


def positive(architecture):
    """Weights with which, poolings being means, every pixel that can change a unit has a positive derivative."""

    def leaf(path, blank):
        kind = path[-1].key
        if kind == "kernel":
            inputs = blank.shape[-2]
            return jnp.asarray(RANDOM.uniform(0.5, 1.5, blank.shape) / inputs, jnp.float32)
        return jnp.ones(blank.shape) if kind in ("scale", "variance") else jnp.zeros(blank.shape)

    return jax.tree_util.tree_map_with_path(leaf, parameter_shapes(architecture))


@pytest.mark.parametrize(
    ("name", "layer", "height", "width", "options"),
    [
        ("alexnet", "pool5", 270, 75, {}),
        pytest.param("vgg16", "conv5_3", 210, 17, {}, marks=pytest.mark.slow),
        ("vgg16", "pool3", 90, 61, {}),
        ("squeezenet1_0", "fire5", 120, 41, {}),
        pytest.param("squeezenet1_1", "fire9", 230, 60, {}, marks=pytest.mark.slow),
        pytest.param("resnet18", "conv5_1", 330, 33, {}, marks=pytest.mark.slow),
        ("resnet18", "conv3_1/shortcut_bn", 60, 70, {"depths": (1, 1, 1, 1)}),
        ("resnet50", "conv4_1", 200, 41, {"depths": (1, 2, 1, 1)}),
        ("resnet50_caffe", "conv4_1", 200, 40, {"depths": (1, 2, 1, 1)}),
        ("googlenet", "inception_3a", 100, 49, {}),
        pytest.param("googlenet", "inception_4b", 170, 49, {}, marks=pytest.mark.slow),
        ("densenet121", "dense2_1/conv2", 120, 33, {"depths": (2, 2)}),
        ("densenet121", "transition1", 100, 43, {"depths": (6, 1)}),
    ],
)
def test_fields_are_where_derivatives_are(name, layer, height, width, options):
    architecture = NETWORKS[name].architecture.clone(pooling="average", classes=None, **options)
    params = positive(architecture)

    @jax.jit
    def derivative(image, row, column):
        def unit(x):
            return architecture.apply({"params": params}, x[None])[layer][0][row, column].sum()

        return jax.grad(unit)(image).sum(-1)

    field = features.receptive_field(Network({}, architecture, TORCHVISION), layer)
    image = jnp.asarray(RANDOM.uniform(0.5, 1, (height, width, 3)), jnp.float32)
    inside = math.ceil(-field.box(0, 0)[0][0] / field.stride[0])
    assert field.box(inside, 0)[0][1] <= height, "no unit sees the picture alone"
    for row, column in ((0, 0), (inside, 0), (inside, 1)):
        seen = np.asarray(derivative(image, row, column)) > 0
        edges = []
        for axis, (start, stop) in enumerate(field.box(row, column)):
            found = np.flatnonzero(seen.any(1 - axis))
            edges.append((found[0], found[-1] + 1))
            assert found[0] == max(start, 0)
            # A window that has no room at the lower or right border leaves out the last pixels of the picture.
            assert (
                found[-1] + 1 == stop if stop <= seen.shape[axis] else found[-1] + 1 > seen.shape[axis] - 32
            )
        (top, bottom), (left, right) = edges
        assert seen[top:bottom, left:right].all()


def traced(function, *shape):
    shape = shape or (1, 32, 24, 3)
    return fields(jax.make_jaxpr(function)(jnp.zeros(shape)).jaxpr, 0)[0]


def pooled(x, window, stride):
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, *window, 1), (1, *stride, 1), "VALID")


class TestTracing:
    def test_height_and_width_are_apart(self):
        field = traced(lambda x: pooled(x, (3, 5), (2, 1)))
        assert (field.size, field.stride, field.center) == ((3, 5), (2, 1), (1.5, 2.5))
        assert field.box(1, 1) == ((2, 5), (1, 6))

    def test_axes_are_followed(self):
        plain = traced(lambda x: pooled(x, (3, 5), (2, 1)))

        def shuffled(x):
            y = pooled(x, (3, 5), (2, 1))[0].transpose(2, 1, 0)[:, None]
            return jnp.einsum("cuwh,cd->hwdu", y, jnp.ones((3, 7)))

        assert traced(shuffled) == plain

    def test_a_dilated_kernel_sees_further(self):
        def dilated(x):
            numbers = ("NHWC", "HWIO", "NHWC")
            kernel = jnp.ones((3, 3, 3, 1))
            return lax.conv_general_dilated(
                x, kernel, (1, 1), "VALID", rhs_dilation=(2, 4), dimension_numbers=numbers
            )

        assert traced(dilated).size == (5, 9)

    def test_slices_and_padding_move_the_field(self):
        field = traced(lambda x: jnp.pad(x, ((0, 0), (3, 0), (0, 0), (0, 0)))[:, ::2, 5:])
        assert (field.size, field.stride, field.center) == ((1, 1), (2, 1), (-2.5, 5.5))

    def test_what_is_gated_by_a_mean_sees_everything(self):
        field = traced(lambda x: x * jax.nn.sigmoid(x.mean((1, 2), keepdims=True)))
        assert (field.size, field.stride, field.center) == ((32, 24), (0, 0), (16.0, 12.0))

    def test_a_mean_of_some_rows_sees_those(self):
        field = traced(lambda x: pooled(x, (2, 2), (2, 2))[:, 3:5].mean((1, 2)))
        assert (field.size, field.center) == ((4, 24), (8.0, 12.0))

    def test_what_does_not_depend_on_the_picture_has_no_field(self):
        assert traced(lambda x: jnp.ones(3)) is None

    @pytest.mark.parametrize(
        ("function", "words"),
        [
            (lambda x: jnp.cumsum(x, 1), "cumsum"),
            (lambda x: x[:, ::-1], "rev"),
            (lambda x: jnp.sort(x, 2), "sort"),
            (lambda x: jnp.concatenate([x, x], 1), "concatenate"),
            (lambda x: x[:, :16] + x[:, ::2], "steps 1 and 2"),
            (lambda x: lax.cond(x.sum() > 0, jnp.sin, jnp.cos, x), "cond"),
            (lambda x: lax.conv_transpose(x, jnp.ones((3, 3, 3, 1)), (2, 2), "VALID"), "transposed"),
        ],
    )
    def test_what_is_not_understood_is_said(self, function, words):
        with pytest.raises(ValueError, match=words):
            traced(function)
