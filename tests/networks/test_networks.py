import csv
import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import skimage.data

import jaxviz
from jaxviz import networks
from jaxviz.checkpoints import store
from jaxviz.networks.network import compiled_features, parameter_shapes
from jaxviz.networks.preprocessing import CAFFE, TORCHVISION, Preprocessing
from jaxviz.networks.structure import structure

VGG_DEPTHS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
CATS = {281, 282, 285}
ESPRESSO = 967


def blank(name, **options):
    """A known network with weights of zero, made without reading or drawing any."""
    architecture = networks.NETWORKS[name].architecture.clone(**options)
    params = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), parameter_shapes(architecture))
    return networks.Network(params, architecture, CAFFE, name)


def shapes_of(network, shape, layers=None):
    """Returns the shapes of taps by name, in the order in which they are computed; computes none."""
    found = {}

    def run(network, image):
        found.update({name: tap.shape for name, tap in network.features(image, layers).items()})

    jax.eval_shape(run, network, jax.ShapeDtypeStruct(shape, np.float32))
    return found


def vgg_layers(depths):
    names = []
    for stage, depth in enumerate(depths, 1):
        for i in range(1, depth + 1):
            names += [f"conv{stage}_{i}", f"relu{stage}_{i}"]
        names.append(f"pool{stage}")
    return tuple(names)


HEADS = ("alexnet", "vgg16_classifier", "squeezenet1_1", "googlenet", "resnet18", "densenet121")


@pytest.mark.parametrize("name", HEADS)
def test_a_network_of_one_class_has_the_weights_of_that_class(name):
    network = blank(name)
    layer = network.architecture.classifier
    whole = {
        kind: jax.random.normal(jax.random.key(0), leaf.shape) for kind, leaf in network.params[layer].items()
    }
    network = dataclasses.replace(network, params={**network.params, layer: whole})
    one = networks.of_one_class(network, jnp.asarray(7))
    for kind, leaf in whole.items():
        np.testing.assert_array_equal(one.params[layer][kind], leaf[..., 7:8])
    assert shapes_of(one, (224, 224, 3), ["logits"]) == {"logits": (1,)}
    assert one.classes == 1
    with pytest.raises(ValueError, match="has no classifier"):
        networks.of_one_class(blank("vgg16"), jnp.asarray(0))


@pytest.mark.parametrize("name", VGG_DEPTHS)
def test_layers_and_shapes_of_vgg(name):
    network = blank(name)
    assert network.layers == vgg_layers(VGG_DEPTHS[name])
    shapes = network.shapes
    assert shapes["conv1_1"] == (224, 224, 64)
    assert shapes["relu3_2"] == (56, 56, 256)
    assert shapes["pool5"] == (7, 7, 512)
    assert network.labels == ()


@pytest.mark.parametrize("name", VGG_DEPTHS)
def test_the_classifier_adds_its_layers_at_the_end(name):
    architecture = networks.NETWORKS[f"{name}_classifier"].architecture
    network = networks.Network(parameter_shapes(architecture), architecture, CAFFE)
    assert network.layers == (
        *vgg_layers(VGG_DEPTHS[name]),
        *("fc6", "relu6", "fc7", "relu7", "logits"),
    )
    assert [network.shapes[layer] for layer in ("fc6", "relu7", "logits")] == [(4096,), (4096,), (1000,)]
    kernel = parameter_shapes(architecture)["fc6"]["kernel"]
    assert kernel.shape == (7 * 7 * 512, 4096)


def test_layers_and_shapes_of_squeezenet(squeezenet):
    layers, shapes = squeezenet.layers, squeezenet.shapes
    inside = ("squeeze1x1", "relu_squeeze1x1", "expand1x1", "relu_expand1x1", "expand3x3", "relu_expand3x3")
    fires = [f"fire{n}/{part}" for n in (2, 3) for part in inside]
    assert layers[:17] == ("conv1", "relu1", "pool1", *fires[:6], "fire2", *fires[6:], "fire3")
    assert layers[-5:] == ("fire9/relu_expand3x3", "fire9", "conv10", "relu10", "logits")
    assert shapes["conv1"] == (111, 111, 64)
    assert shapes["pool1"] == (55, 55, 64)
    assert shapes["pool3"] == (27, 27, 128)
    assert shapes["pool5"] == (13, 13, 256)
    assert shapes["fire9"] == (13, 13, 512)
    assert shapes["logits"] == (1000,)
    assert len(squeezenet.labels) == 1000


@pytest.mark.parametrize("size", [(32, 32), (35, 50), (40, 33)])
def test_taps_have_the_shapes_of_their_picture(vgg16, size):
    h, w = size
    assert shapes_of(vgg16, (*size, 3), ["relu1_1", "pool1", "pool3"]) == {
        "relu1_1": (h, w, 64),
        "pool1": (h // 2, w // 2, 64),
        "pool3": (h // 8, w // 8, 256),
    }


def test_without_layers_all_that_exist_are_returned(vgg16, squeezenet):
    assert tuple(shapes_of(vgg16, (32, 32, 3))) == vgg16.layers
    small = tuple(shapes_of(vgg16, (4, 4, 3)))
    assert small == vgg16.layers[: len(small)]
    assert small[-1] == "relu3_3"
    assert tuple(shapes_of(squeezenet, (64, 64, 3))) == squeezenet.layers


def test_an_unknown_layer_is_answered_with_the_nearest(vgg16):
    with pytest.raises(KeyError, match=r"no layer of vgg16 is named 'relu3-3'; nearest: relu3_3"):
        vgg16.features(jnp.zeros((32, 32, 3)), ["relu3-3"])


@pytest.mark.parametrize("size", [(1, 1), (3, 64), (6, 6)])
@pytest.mark.parametrize(("name", "layer"), [("vgg16", "pool5"), ("squeezenet", "logits")])
def test_a_picture_too_small_is_refused_with_its_size(request, name, layer, size):
    network = request.getfixturevalue(name)
    with pytest.raises(ValueError, match=rf"layer '{layer}' .* {size[0]}×{size[1]}"):
        network.features(jnp.zeros((*size, 3)), [layer])


def test_a_single_pixel_has_the_layers_before_the_first_pool(vgg16):
    assert shapes_of(vgg16, (1, 1, 3), ["relu1_2"]) == {"relu1_2": (1, 1, 64)}


def test_a_fully_connected_classifier_names_the_size_it_needs():
    network = networks.Network({}, networks.NETWORKS["vgg16_classifier"].architecture, CAFFE, "vgg")

    def features(params, image):
        return dataclasses.replace(network, params=params).features(image, ["logits"])

    params = parameter_shapes(network.architecture)
    with pytest.raises(ValueError, match="224×224"):
        jax.eval_shape(features, params, jnp.zeros((256, 256, 3)))
    assert jax.eval_shape(features, params, jnp.zeros((224, 224, 3)))["logits"].shape == (1000,)


@pytest.mark.parametrize("name", networks.NETWORKS)
def test_number_of_convolutions(name):
    entry = networks.NETWORKS[name]
    leaves = jax.tree.leaves(parameter_shapes(entry.architecture))
    assert sum(leaf.ndim == 4 for leaf in leaves) == entry.convolutions


def test_shown_in_a_line(vgg16, squeezenet):
    assert repr(vgg16) == "Network('vgg16', 31 layers, 14,714,688 parameters, no classifier)"
    assert repr(squeezenet) == "Network('squeezenet1_1', 64 layers, 1,235,496 parameters, 1000 classes)"
    shapes = jax.eval_shape(lambda network: network, vgg16)
    assert repr(shapes) == repr(vgg16)


def test_unused_taps_cost_nothing(vgg16):
    image = jnp.zeros((64, 64, 3))

    def flops(function, *arguments):
        return jax.jit(function).lower(*arguments).compile().cost_analysis()["flops"]

    def two_convolutions(params, image):
        x = vgg16.preprocessing.apply(image)[None]
        for name in ("conv1_1", "conv1_2"):
            x = jax.lax.conv_general_dilated(
                x, params[name]["kernel"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
            )
            x = jax.nn.relu(x + params[name]["bias"])
        return x[0]

    whole = flops(lambda network, image: network.features(image), vgg16, image)
    asked = flops(lambda network, image: network.features(image, ["relu1_2"]), vgg16, image)
    alone = flops(two_convolutions, vgg16.params, image)
    assert alone > 64 * 64 * 9 * 64 * 64  # one multiplication or more for each weight and position
    assert asked == pytest.approx(alone, rel=0.03)
    assert whole > 4 * asked


def test_features_of_a_batch_equal_those_of_each(vgg16, picture):
    images = jnp.stack([picture(name, 48) for name in ("chelsea", "coffee", "astronaut")])

    @jax.jit
    def features(network, images):
        return jax.vmap(lambda image: network.features(image, ["relu2_2", "pool3"]))(images)

    together = features(vgg16, images)
    for i, image in enumerate(images):
        for layer, tap in compiled_features(vgg16, image, ("relu2_2", "pool3")).items():
            scale = float(jnp.abs(tap).max())
            np.testing.assert_allclose(together[layer][i], tap, rtol=1e-5, atol=1e-5 * scale)


def test_average_pooling_is_the_mean_of_four(vgg16, picture):
    network = jaxviz.load("vgg16", pooling="average")
    taps = compiled_features(network, picture("chelsea", 32), ("relu1_2", "pool1"))
    mean = np.asarray(taps["relu1_2"]).reshape(16, 2, 16, 2, 64).mean((1, 3))
    np.testing.assert_allclose(taps["pool1"], mean, rtol=1e-4, atol=1e-3)
    strongest = compiled_features(vgg16, picture("chelsea", 32), ("pool1",))["pool1"]
    assert (np.asarray(strongest) >= mean - 1e-3).all()


def test_bfloat16_is_near_and_typed_so(vgg16, picture):
    image = picture("chelsea", 96)
    exact, rounded = (
        compiled_features(network, image, ("relu4_2",))["relu4_2"]
        for network in (vgg16, jaxviz.load("vgg16", precision="bfloat16"))
    )
    assert rounded.dtype == jnp.bfloat16
    error = jnp.linalg.norm(rounded.astype(jnp.float32) - exact) / jnp.linalg.norm(exact)
    assert 1e-4 < float(error) < 2e-2


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name not in HEADS)) for name in networks.NETWORKS]
)
def test_class_scores_are_made_in_float32(name):
    """Of 16 bits they would tie: the neighbors of 30 are an eighth away."""
    architecture = networks.NETWORKS[name].architecture.clone(precision="bfloat16")
    image = jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
    shapes = parameter_shapes(architecture)
    taps = jax.eval_shape(lambda params, x: architecture.apply({"params": params}, x), shapes, image)
    kinds = {tap: found.dtype for tap, found in taps.items()}
    assert kinds.pop("logits", jnp.float32) == jnp.float32
    assert set(kinds.values()) == {jnp.dtype(jnp.bfloat16)}


def test_derivative_rule_of_the_relus_is_exchangeable(squeezenet):
    doubled = dataclasses.replace(squeezenet, relu=lambda x: 2 * jax.nn.relu(x))
    image = jnp.full((32, 32, 3), 0.5)
    once, twice = (compiled_features(n, image, ("relu1",))["relu1"] for n in (squeezenet, doubled))
    np.testing.assert_allclose(twice, 2 * once, rtol=1e-6)
    assert doubled.layers == squeezenet.layers


@pytest.mark.parametrize("record", [CAFFE, TORCHVISION, Preprocessing("BGR", 2.0)])
def test_preprocessing_is_inverted(record):
    image = jnp.asarray(np.random.default_rng(0).uniform(size=(5, 4, 3)), jnp.float32)
    np.testing.assert_allclose(record.invert(record.apply(image)), image, atol=1e-6)


def test_preprocessing_by_hand():
    orange = jnp.asarray([[[1.0, 0.5, 0.0]]])
    np.testing.assert_allclose(
        CAFFE.apply(orange)[0, 0], [-103.939, 127.5 - 116.779, 255 - 123.68], rtol=1e-5
    )
    expected = [(1 - 0.485) / 0.229, (0.5 - 0.456) / 0.224, -0.406 / 0.225]
    np.testing.assert_allclose(TORCHVISION.apply(orange)[0, 0], expected, rtol=1e-5)
    with pytest.raises(ValueError, match="GBR"):
        Preprocessing("GBR")


@pytest.mark.parametrize("name", ["vgg16", "squeezenet1_1"])
def test_activations_hold_to_the_manifest(name):
    picture = skimage.data.chelsea()
    top, left = (picture.shape[0] - 224) // 2, (picture.shape[1] - 224) // 2
    image = (picture[top : top + 224, left : left + 224] / 255).astype(np.float32)
    norms = store.manifest()[name]["checksum"]["norms"]
    taps = compiled_features(jaxviz.load(name), image, tuple(norms))
    found = {layer: float(np.linalg.norm(np.asarray(tap, np.float64))) for layer, tap in taps.items()}
    assert found == pytest.approx(norms, rel=1e-3)


@pytest.mark.parametrize(("name", "classes"), [("chelsea", CATS), ("coffee", {ESPRESSO})])
def test_known_pictures_are_recognized(squeezenet, picture, name, classes):
    logits = compiled_features(squeezenet, picture(name, 224), ("logits",))["logits"]
    assert int(logits.argmax()) in classes


def test_names_of_networks_and_options_are_checked():
    with pytest.raises(KeyError, match="nearest: vgg16"):
        jaxviz.load("vgg-16")
    with pytest.raises(KeyError, match="no pooling is named 'mean'"):
        jaxviz.load("vgg16", pooling="mean")
    with pytest.raises(KeyError, match="no precision is named 'float64'"):
        jaxviz.load("vgg16", precision="float64")


@pytest.mark.data
def test_accuracy_on_five_hundred_photographs(squeezenet, data):
    folder = Path(data) / "images" / "imagenet500"
    with (folder / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    images = [jaxviz.images.fit_square(jaxviz.images.read(folder / row["file"]), 224) for row in rows]
    classify = jax.jit(
        jax.vmap(lambda network, image: network.features(image, ["logits"])["logits"].argmax(), (None, 0))
    )
    found = [classify(squeezenet, np.stack(images[i : i + 50])) for i in range(0, len(images), 50)]
    truth = [int(row["class_index"]) for row in rows]
    assert len(truth) == 500
    assert 100 * np.mean(np.concatenate(found) == truth) == pytest.approx(59.0, abs=0.6)


PARAMETERS = {  # as torchvision lists them
    "alexnet": 61_100_840,
    "vgg16_classifier": 138_357_544,
    "vgg16_bn_classifier": 138_365_992,
    "squeezenet1_0": 1_248_424,
    "squeezenet1_1": 1_235_496,
    "googlenet": 6_624_904,
    "resnet18": 11_689_512,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "densenet121": 7_978_856,
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name == "resnet101")) for name in PARAMETERS]
)
def test_published_numbers_of_parameters(name):
    built = structure(networks.NETWORKS[name].architecture)
    assert built.parameters == PARAMETERS[name]
    assert sum(part.parameters for part in built.parts.values()) == built.parameters
