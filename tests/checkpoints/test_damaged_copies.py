"""Copies of shipped files whose header was changed, and numbers that are none in float32."""

import struct

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

import jaxviz
from jaxviz import WeightsError
from jaxviz.checkpoints import rewriting, store
from jaxviz.checkpoints.verifying import verify_file

HEADERS = {
    "one array of integers": ("vgg16", b'"F16"', b'"I16"', 1, "expected numbers of type float16"),
    "all arrays of integers": ("vgg16", b'"F16"', b'"U16"', -1, "expected numbers of type float16"),
    "another float": ("vgg16", b'"F16"', b'"BF16"', -1, "expected numbers of type float16"),
    "the name of the checksums": ("squeezenet1_1", b'"crc32"', b'"crc33"', 1, "expected the checksums"),
    "nothing but a note": ("squeezenet1_1", b'"source_file"', b'"source_filf"', 1, None),
    "the name of the network's name": ("squeezenet1_1", b'"network"', b'"netwosk"', 1, None),
    "another network": ("squeezenet1_1", b':"squeezenet1_1"', b':"squeezenet1_0"', 1, "expected"),
    "an unknown network": ("squeezenet1_1", b':"squeezenet1_1"', b':"squeezenet9_9"', 1, "squeezenet9_9"),
    "another shape": ("squeezenet1_1", b"[1,1,64,16]", b"[1,1,16,64]", 1, "expected|not this network's"),
    "order of colors": ("squeezenet1_1", b"BGR", b"RGB", 1, "expected the checksum of its metadata"),
}


def changed(path, name, old, new, count):
    """Writes a copy of a shipped file with a text of its header replaced, and the header's length right."""
    whole = (store.folder() / f"{name}.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", whole[:8])
    header = whole[8 : 8 + length].replace(old, new, count)
    assert header != whole[8 : 8 + length]
    path.write_bytes(struct.pack("<Q", len(header)) + header + whole[8 + length :])


@pytest.mark.parametrize("case", HEADERS)
def test_changed_headers_are_refused_or_harmless(tmp_path, case):
    name, old, new, count, message = HEADERS[case]
    path = tmp_path / "copy.safetensors"
    changed(path, name, old, new, count)
    if message is None:
        found, expected = jaxviz.load(name, weights=path), jaxviz.load(name)
        assert found.preprocessing == expected.preprocessing
        jax.tree.map(np.testing.assert_array_equal, found.params, expected.params)
        assert verify_file(path).problem == ""
        assert "crc32" in verify_file(path).check
        return
    with pytest.raises(WeightsError, match=message):
        jaxviz.load(name, weights=path)
    assert verify_file(path).problem


def test_numbers_are_held_to_checksums_where_the_network_is_not_named(tmp_path):
    path = tmp_path / "copy.safetensors"
    changed(path, "squeezenet1_1", b'"network"', b'"netwosk"', 1)
    data = bytearray(path.read_bytes())
    data[-1000] ^= 1
    path.write_bytes(data)
    assert "expected checksum" in verify_file(path).problem


@pytest.mark.parametrize("bits", [0x7FF0000000000001, 0x7E37E43C8800759C])
def test_doubles_that_are_no_floats_are_refused_without_a_warning(tmp_path, squeezenet, bits):
    """NaN that signals, and 1e300."""
    arrays = {n: np.asarray(v, np.float64) for n, v in flatten_dict(squeezenet.params, sep="/").items()}
    arrays["conv1/bias"].view(np.uint64)[0] = bits
    path = tmp_path / "doubles.npz"
    np.savez(path, **arrays)
    with pytest.raises(
        WeightsError, match="expected finite weights, found NaN or infinite ones in conv1/bias"
    ):
        jaxviz.load("squeezenet1_1", weights=path)
    with pytest.raises(WeightsError, match="expected finite weights"):
        rewriting.rewrite(path, "squeezenet1_1", tmp_path / "new.safetensors")
    assert not (tmp_path / "new.safetensors").exists()
    assert verify_file(path).problem == "NaN or infinite ones in conv1/bias"
