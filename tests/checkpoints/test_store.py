import contextlib
import json
import subprocess
import sys

import flax.linen as nn
import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from safetensors.numpy import save_file

import jaxviz
from jaxviz import WeightsError
from jaxviz.checkpoints import store
from jaxviz.networks import NETWORKS
from jaxviz.networks.layers import Conv
from jaxviz.networks.preprocessing import CAFFE, TORCHVISION


class Small(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = Conv(4, 3, name="conv1")(x)
        return {"conv1": x, "fire2": Conv(2, 1, use_bias=False, name="squeeze1x1")(x)}


def read(path, **options):
    return store.read(path, "some", Small(), **options)


def weights(dtype=np.float32):
    draw = np.random.default_rng(0)
    return {
        "conv1": {
            "kernel": draw.normal(size=(3, 3, 3, 4)).astype(dtype),
            "bias": draw.normal(size=4).astype(dtype),
        },
        "squeeze1x1": {"kernel": draw.normal(size=(1, 1, 4, 2)).astype(dtype)},
    }


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "some.safetensors"
    store.write(path, weights(), "some", TORCHVISION)
    return path


def copied(name, tmp_path):
    path = tmp_path / f"{name}.safetensors"
    path.write_bytes((store.folder() / path.name).read_bytes())
    return path


@pytest.mark.parametrize("verified", [False, True])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_what_is_written_is_read(tmp_path, dtype, verified):
    path = tmp_path / "some.safetensors"
    written = weights(dtype)
    store.write(path, written, "some", TORCHVISION)
    params, architecture, preprocessing = read(path, expected_hash=store.sha256(path) if verified else None)
    assert architecture == Small()
    assert preprocessing == TORCHVISION
    assert flatten_dict(params).keys() == flatten_dict(written).keys()
    for found, expected in (
        (params["conv1"]["kernel"], written["conv1"]["kernel"]),
        (params["conv1"]["bias"], written["conv1"]["bias"]),
        (params["squeeze1x1"]["kernel"], written["squeeze1x1"]["kernel"]),
    ):
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, expected.astype(np.float32))


def test_float16_files_are_half_as_large(tmp_path):
    sizes = []
    for dtype in (np.float16, np.float32):
        path = tmp_path / f"{np.dtype(dtype)}.safetensors"
        store.write(path, {"a": {"kernel": np.zeros((64, 64), dtype)}}, "some", CAFFE)
        sizes.append(path.stat().st_size)
    assert sizes[1] - sizes[0] == pytest.approx(64 * 64 * 2, abs=16)


def test_a_damaged_byte_is_found(tmp_path):
    path = copied("squeezenet1_1", tmp_path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    expected = store.manifest()["squeezenet1_1"]["sha256"]
    with pytest.raises(WeightsError) as caught:
        read(path, expected_hash=expected)
    for part in (str(path), f"expected sha256 {expected}", f"found {store.sha256(path)}"):
        assert part in str(caught.value)


def test_a_damaged_shipped_file_is_refused(tmp_path, monkeypatch):
    copied("squeezenet1_1", tmp_path).write_bytes(b"damaged")
    (tmp_path / "manifest.toml").write_text((store.folder() / "manifest.toml").read_text())
    monkeypatch.setattr(store, "folder", lambda: tmp_path)
    with pytest.raises(WeightsError, match="the file is damaged"):
        jaxviz.load("squeezenet1_1")


@pytest.mark.parametrize("place", ["scale", "mean", "kernel"])
def test_damage_is_found_without_a_hash(file, place):
    content = bytearray(file.read_bytes())
    where = {"scale": content.find(b"1.0"), "mean": content.find(b"0.485") + 3, "kernel": len(content) - 9}[
        place
    ]
    content[where] ^= 1
    file.write_bytes(content)
    with pytest.raises(WeightsError, match=r"some\.safetensors: expected .*checksum.*the file is damaged"):
        read(file)


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_a_truncated_or_empty_file_is_refused(file, keep):
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(WeightsError, match=r"some\.safetensors: expected "):
        read(file)


def test_a_text_file_is_refused(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("these are no weights, though there are quite a few letters of them\n" * 9)
    with pytest.raises(WeightsError, match=r"notes\.txt: expected "):
        jaxviz.load("vgg16", weights=path)


def test_a_missing_file_or_a_folder_is_named(tmp_path):
    for path in (tmp_path / "none.safetensors", tmp_path):
        with pytest.raises(WeightsError, match="expected a") as caught:
            jaxviz.load("vgg16", weights=str(path))
        assert str(path) in str(caught.value)


def test_another_networks_file_is_listed_from_both_sides(tmp_path):
    path = copied("squeezenet1_1", tmp_path)
    with pytest.raises(WeightsError) as caught:
        jaxviz.load("vgg16", weights=path)
    message = str(caught.value)
    assert str(path) in message
    missing, spare = message.split("; in the network and not in the file: ")[1].split(
        "; in the file and not in the network: "
    )
    assert "conv1_1/kernel [3, 3, 3, 64]" in missing
    assert "and 18 more" in missing  # 13 layers of two arrays, 8 of them named
    assert "conv1/kernel [3, 3, 3, 64]" in spare
    assert "conv1_1" not in spare


def test_one_wrong_shape_is_listed_from_both_sides(tmp_path):
    path, other = tmp_path / "other.safetensors", weights()
    other["conv1"]["bias"] = np.zeros(5, np.float32)
    store.write(path, other, "some", CAFFE)
    with pytest.raises(WeightsError) as caught:
        read(path)
    sides = "in the network and not in the file: conv1/bias [4]; in the file and not in the network: conv1/bias [5]"
    assert sides in str(caught.value)


def test_weights_of_a_network_of_the_same_shapes_are_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    store.write(path, weights(), "other", CAFFE)
    with pytest.raises(WeightsError, match="expected weights of some, found those of other"):
        read(path)


BAD_RECORD = '{"channels": "RGB", "scale": 1, "mean": [1, 2], "std": null}'


@pytest.mark.parametrize("preprocessing", [None, "{}", "[", BAD_RECORD])
def test_missing_or_malformed_metadata_is_refused(tmp_path, preprocessing):
    path = tmp_path / "bare.safetensors"
    metadata = {"network": "some"} | ({} if preprocessing is None else {"preprocessing": preprocessing})
    save_file(flatten_dict(weights(), sep="/"), path, metadata)
    with pytest.raises(WeightsError, match=r"bare\.safetensors: expected the checksums that .* found none"):
        read(path)
    sums = {name: store._checksum(value) for name, value in flatten_dict(weights(), sep="/").items()}
    sums[""] = store._checksum(np.frombuffer((preprocessing or "").encode(), np.uint8))
    save_file(flatten_dict(weights(), sep="/"), path, metadata | {"crc32": json.dumps(sums)})
    with pytest.raises(WeightsError, match=r"bare\.safetensors: expected metadata 'preprocessing'"):
        read(path)


def test_networks_that_are_not_shipped_say_how_to_get_them():
    with pytest.raises(WeightsError, match=r"vgg19: expected weights"):
        jaxviz.load("vgg19")


def test_shipped_files_are_found_from_any_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = copied("squeezenet1_1", tmp_path)
    shipped, given = jaxviz.load("squeezenet1_1"), jaxviz.load("squeezenet1_1", weights=path.name)
    assert given.preprocessing == shipped.preprocessing == CAFFE
    np.testing.assert_array_equal(given.params["conv10"]["bias"], shipped.params["conv10"]["bias"])


def test_the_manifest_describes_what_is_shipped():
    for name, record in store.manifest().items():
        path = store.folder() / record["file"]
        assert store.sha256(path) == record["sha256"]
        assert (path.parent / record["license_file"]).is_file()
        params, _, preprocessing = store.read(path, name, NETWORKS[name].architecture)
        assert preprocessing == type(preprocessing).from_record(record["preprocessing"])
        shapes = {key: list(leaf.shape) for key, leaf in flatten_dict(params, sep="/").items()}
        assert shapes == record["shapes"]


MEMORY = """
import resource, sys
import jax, jaxviz
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
jaxviz.load("squeezenet1_1")
before = peak()
params = jax.block_until_ready(jaxviz.load("vgg16").params)
print((peak() - before) / sum(leaf.nbytes for leaf in jax.tree.leaves(params)))
"""


def test_float16_files_are_never_in_memory_as_a_second_float32_copy():
    growth = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True).stdout
    # The weights themselves are 1, an array at a time comes on top; a whole second copy would be 2.
    assert float(growth) < 1.7


def test_damaged_copies_of_a_shipped_file_are_refused_or_harmless(tmp_path, squeezenet):
    """A flipped bit anywhere: in the header, where names, shapes and metadata stand, or among the numbers."""
    from jaxviz.checkpoints.verifying import verify_file

    whole = (store.folder() / "squeezenet1_1.safetensors").read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    random = np.random.default_rng(0)
    harmless = []
    for k in range(80):
        data = bytearray(whole)
        place = int(random.integers(0, header if k % 4 else len(data)))
        data[place] ^= 1 << int(random.integers(0, 8))
        path = tmp_path / "copy.safetensors"
        path.write_bytes(data)
        try:
            network = jaxviz.load("squeezenet1_1", weights=path)
        except WeightsError:
            with contextlib.suppress(WeightsError):
                assert verify_file(path).problem
            continue
        harmless.append(place)
        assert network.preprocessing == squeezenet.preprocessing
        for found, expected in zip(
            jax.tree.leaves(network.params), jax.tree.leaves(squeezenet.params), strict=True
        ):
            np.testing.assert_array_equal(found, expected)
        assert place < header
        assert verify_file(path).problem == ""
    assert len(harmless) < 20


def test_copies_of_shipped_files_are_held_to_their_checksums(tmp_path):
    from jaxviz.checkpoints.verifying import verify_file

    path = tmp_path / "copy.safetensors"
    data = bytearray((store.folder() / "vgg16.safetensors").read_bytes())
    path.write_bytes(data)
    assert jaxviz.load("vgg16", weights=path).layers[-1] == "pool5"
    assert verify_file(path).problem == ""
    data[-1000] ^= 1
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="expected checksum"):
        jaxviz.load("vgg16", weights=path)
    assert "expected checksum" in verify_file(path).problem
