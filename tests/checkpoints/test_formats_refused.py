"""Files that are no weights, lead elsewhere, or claim what they do not hold."""

import errno
import importlib.util
import os
import struct
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import weight_files as files
from weight_files import check, refused

from jaxviz.checkpoints.formats import WeightsError, hdf5_worker, keras, open_file

TENSORS = files.arrays()


def test_odd_archives(tmp_path):
    state, stored = files.state_dict(TENSORS)
    path = tmp_path / "a"
    files.write_torch_zip(path, state, stored, compression=zipfile.ZIP_DEFLATED)
    refused(path, "compressed")
    for name in ("../some/data/0", "/etc/x", "some\\x", "other/x", "some/code/x.py", "some/x\x1b"):
        files.write_torch_zip(path, state, stored, extra=[(name, b"")])
        refused(path)
    with pytest.warns(UserWarning, match="Duplicate name"):
        files.write_torch_zip(path, state, stored, extra=[("some/data/0", b"")])
    refused(path, "twice")
    files.write_torch_zip(path, state, stored[1:])
    refused(path, "some/data/0", "found none")
    for members in ({"x.txt": b""}, {}, {"a.npy": b"", "b.txt": b""}, {"model.weights.h5": b""}):
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        refused(path)


@pytest.mark.parametrize("size", [10**6, 10**12])
def test_archives_that_claim_more_than_they_hold(tmp_path, size):
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({size},), }}".ljust(117).encode() + b"\n"
    start = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", start + bytes(400))
    refused(path, f"{4 * size} bytes")
    # The list at the end says how large a member is unpacked.
    content = bytearray(path.read_bytes())
    place = content.rindex(b"PK\x01\x02") + 24
    content[place : place + 4] = struct.pack("<I", min(len(start) + 4 * size, 2**32 - 2))
    path.write_bytes(content)
    refused(path)


@pytest.mark.parametrize(
    "array", [np.array([{}]), np.zeros(2, [("a", "f4")]), np.array(["a"]), np.array([1j])]
)
def test_npz_of_anything_but_numbers(tmp_path, array):
    np.savez(tmp_path / "a.npz", good=np.ones(2), bad=array)
    refused(tmp_path / "a.npz", "numbers in bad.npy")


@pytest.mark.parametrize(
    "kind", ["soft", "external", "layer", "storage", "virtual", "filter", "text", "compound"]
)
def test_hdf5_that_leads_elsewhere(tmp_path, kind):
    files.write_keras(tmp_path / "other.h5", TENSORS)
    (tmp_path / "raw").write_bytes(bytes(100))
    path = tmp_path / "a.h5"
    files.write_keras(path, TENSORS)
    with h5py.File(path, "a") as file:
        group = file["fc"]
        del group["fc/bias:0"]
        if kind == "soft":
            group["fc/bias:0"] = h5py.SoftLink("/conv1/conv1/bias:0")
        elif kind == "external":
            group["fc/bias:0"] = h5py.ExternalLink("other.h5", "/fc/fc/bias:0")
        elif kind == "layer":
            del file["fc"]
            file["fc"] = h5py.ExternalLink("other.h5", "/fc")
        elif kind == "storage":
            group.create_dataset("fc/bias:0", (5,), "f4", external=[(tmp_path / "raw", 0, 20)])
        elif kind == "virtual":
            layout = h5py.VirtualLayout((5,), "f4")
            layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "/fc/fc/bias:0", (5,))
            group.create_virtual_dataset("fc/bias:0", layout)
        elif kind == "filter":
            group.create_dataset("fc/bias:0", data=np.ones(5), compression="lzf")
        elif kind == "text":
            group["fc/bias:0"] = "text"
        else:
            group["fc/bias:0"] = np.zeros(5, [("a", "f4")])
    refused(path)


def test_hdf5_that_is_large_only_by_its_word(tmp_path):
    files.write_keras(tmp_path / "a", TENSORS)
    with h5py.File(tmp_path / "a", "a") as file:
        del file["fc"]["fc/bias:0"]
        file["fc"].create_dataset("fc/bias:0", (2**20, 2**20), "f4", chunks=(1024, 1024))
    refused(tmp_path / "a", "chunks of")


@pytest.mark.parametrize(
    ("program", "found"), [("import os; os.abort()", "ended"), ("while True: pass", "busy for")]
)
def test_hdf5_that_crashes_or_hangs_is_isolated(tmp_path, monkeypatch, program, found):
    files.write_keras(tmp_path / "a", TENSORS)
    (tmp_path / "worker.py").write_text(program)
    monkeypatch.setattr(hdf5_worker, "__file__", str(tmp_path / "worker.py"))
    monkeypatch.setattr(keras, "SECONDS", 1)
    refused(tmp_path / "a", found)


@pytest.mark.parametrize(("package", "write"), [("h5py", files.write_keras), ("onnx", files.write_onnx)])
def test_missing_packages_say_how_to_get_them(tmp_path, monkeypatch, package, write):
    write(tmp_path / "a", TENSORS)
    monkeypatch.setitem(sys.modules, package, None)
    assert package == "onnx" or importlib.util.find_spec(package) is None
    refused(tmp_path / "a", f"pip install {package}")


def test_links_and_what_is_no_file(tmp_path):
    files.write_safetensors(tmp_path / "a", TENSORS)
    link, broken, looping = (tmp_path / name for name in ("link", "broken", "looping"))
    link.symlink_to(tmp_path / "a")
    check(link, TENSORS, "safetensors")
    broken.symlink_to("nowhere")
    looping.symlink_to("looping")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").touch()
    refused(broken, "link to nowhere")
    refused(looping, "leads back to itself")
    refused(tmp_path / "pipe", "no regular file")
    refused(tmp_path / "empty", "an empty file")
    refused(tmp_path / "none", "found none")
    refused(tmp_path, "a folder")
    refused(tmp_path / "a" / "b", os.strerror(errno.ENOTDIR))
    refused(Path("x" * 5000), os.strerror(errno.ENAMETOOLONG))
    with pytest.raises(WeightsError, match="null"):
        open_file(Path("a\0b"))


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    def forbidden(self, *arguments, **options):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    files.write_safetensors(tmp_path / "a", TENSORS)
    monkeypatch.setattr(Path, "open", forbidden)
    refused(tmp_path / "a", "Permission denied")


@pytest.mark.parametrize("suffix", ["", ".onnx", ".h5", ".pth", ".npz"])
@pytest.mark.parametrize(
    "content",
    [b"some text\n" * 99, b"<html>", b"\x89PNG\r\n\x1a\n", bytes(999), b"\x80\x02", b"\xff" * 99, b"P"],
)
def test_other_files(tmp_path, content, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    refused(path)


def test_the_tar_format_of_the_first_pytorch_is_refused_with_a_word_on_what_to_do(tmp_path):
    import tarfile

    with tarfile.open(tmp_path / "a", "w") as archive:
        archive.addfile(tarfile.TarInfo("storages"))
    refused(tmp_path / "a", "a tar archive", "saves it anew")


SAFETENSORS = {
    "no object": b"[1, 2]",
    "no JSON": b"{1, 2}",
    "nested": b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "a name twice": b'{"a": 1, "a": 2}',
    "a record of the wrong kind": b'{"a": [1]}',
    "an unknown type": b'{"a": {"dtype": "F4", "shape": [1], "data_offsets": [0, 4]}}',
    "a type of the wrong kind": b'{"a": {"dtype": [], "shape": [1], "data_offsets": [0, 4]}}',
    "a shape of fractions": b'{"a": {"dtype": "F32", "shape": [1.0], "data_offsets": [0, 4]}}',
    "a negative shape": b'{"a": {"dtype": "F32", "shape": [-1, -1], "data_offsets": [0, 4]}}',
    "a huge shape": b'{"a": {"dtype": "F32", "shape": [99999999999999999999], "data_offsets": [0, 4]}}',
    "another length": b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}',
    "a gap": b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}',
    "a name with control characters": b'{"a\\u001b": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}',
    "a surrogate": b'{"a\\ud800": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}',
    "metadata of numbers": b'{"__metadata__": {"a": 1}}',
    "nothing": b"{}",
}


@pytest.mark.parametrize("name", SAFETENSORS)
def test_headers_of_safetensors(tmp_path, name):
    text = SAFETENSORS[name]
    data = bytes(0 if name == "nothing" else 8)
    (tmp_path / "a").write_bytes(struct.pack("<Q", len(text)) + text + data)
    refused(tmp_path / "a")


def test_every_truncation_is_refused(tmp_path):
    whole, path = tmp_path / "whole", tmp_path / "cut"
    for write in (files.write_safetensors, files.write_torch, lambda *a: files.write_torch(*a, legacy=True)):
        write(whole, TENSORS)
        content = whole.read_bytes()
        for size in range(1, len(content), 7):
            path.write_bytes(content[:size])
            refused(path)


def test_shapes_are_known_and_nothing_is_read_before_it_is_asked_for(tmp_path):
    files.write_safetensors(tmp_path / "a", TENSORS)
    file = open_file(tmp_path / "a")
    (tmp_path / "a").unlink()
    assert file.tensors["fc.bias"].shape == (5,)
    with pytest.raises(WeightsError, match="No such file"):
        file.tensors["fc.bias"].read()
