"""Damaged weight files: refused with WeightsError, or read with names, shapes and types unchanged."""

import contextlib
import json
import random
import signal
import subprocess
import sys

import numpy as np
import pytest
import weight_files as files

from jaxviz.checkpoints.formats import WeightsError, hdf5_worker, keras, open_file

FILES = 300
SECONDS = 5
TENSORS = files.arrays()

WRITERS = {
    "safetensors": lambda path: files.write_safetensors(path, TENSORS, {"network": "some"}),
    "pytorch": lambda path: files.write_torch(path, TENSORS),
    "pytorch-stream": lambda path: files.write_torch(path, TENSORS, legacy=True),
    "npz": lambda path: np.savez(path, **TENSORS),
    "npz-deflated": lambda path: np.savez_compressed(path, **TENSORS),
    "onnx": lambda path: files.write_onnx(path, TENSORS),
}
CHECKSUMS = {"pytorch", "npz", "npz-deflated"}
KERAS = {
    "fixed": {},
    "variable": {"vlen": True},
    "deflated": {"options": {"compression": "gzip", "shuffle": True, "chunks": True}},
}


class Hung(BaseException):
    """A file took too long; no reader catches this."""


@contextlib.contextmanager
def limited():
    def hung(*_):
        raise Hung

    before = signal.signal(signal.SIGALRM, hung)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def within_data(content, draw):
    """The bounds of the numbers of one array in a file; of the whole file if they lie there in another form."""
    numbers = draw.choice(list(TENSORS.values())).tobytes()
    found = content.find(numbers)
    return (found, found + len(numbers)) if found >= 0 else (0, len(content))


def damaged(content, seed):
    """The content of a file with one sort of damage, and whether it hit nothing but the numbers of an array."""
    draw = random.Random(seed)
    inside = draw.random() < 0.3
    first, last = within_data(content, draw) if inside else (0, len(content))
    data, at = bytearray(content), draw.randrange(first, last)
    count = draw.randrange(1, last - at + 1) if inside else draw.randrange(1, 60)
    match draw.randrange(6):
        case 0:
            for _ in range(draw.randrange(1, 12)):
                data[draw.randrange(first, last)] ^= 1 << draw.randrange(8)
        case 1:
            data[at] = draw.randrange(256)
        case 2:
            data[at : at + count] = draw.randbytes(min(count, len(data) - at))
        case 3:
            data[at : at + count] = draw.choice([b"\0", b"\xff", b"\x01"]) * min(count, len(data) - at)
        case 4 if not inside:
            data = data[:at]
        case 5 if not inside:
            data[at:at] = draw.randbytes(count)
        case _ if not inside:
            del data[at : at + count]
    numbers = content.find(next(iter(TENSORS.values())).tobytes()) >= 0
    return bytes(data), inside and numbers


def contents(file):
    """The arrays of a file, each of which has the shape and the type that was announced."""
    read = {}
    for name, tensor in file.tensors.items():
        read[name] = tensor.read()
        assert read[name].shape == tensor.shape
        assert read[name].dtype == tensor.dtype
    return read


def outcome(open_it, original, same, checksums):
    """Whether a file was read; whatever it says must then be well formed, or even the same as before."""
    error = file = read = None
    try:
        with limited():
            file = open_it()
            read = contents(file)
    except WeightsError as caught:
        error = str(caught)
    if error is not None:
        # A check of types that fails is a bug here, not damage there.
        assert not any(word in error for word in ("Violation", "TypeCheckError", "NameError")), error
        return False
    if same or checksums:
        announced = {name: (x.shape, x.dtype) for name, x in file.tensors.items()}
        assert announced == {name: (x.shape, x.dtype) for name, x in original.items()}
    if checksums:
        for name, array in original.items():
            np.testing.assert_array_equal(read[name], array)
    return True


@pytest.mark.parametrize("kind", WRITERS)
def test_damage_is_refused_or_changes_numbers_alone(tmp_path, kind):
    whole, path = tmp_path / "whole", tmp_path / "some.onnx"
    with whole.open("wb") as target:
        WRITERS[kind](whole if "npz" not in kind else target)
    content = whole.read_bytes()
    path.write_bytes(content)
    original = contents(open_file(path))
    assert original.keys() == TENSORS.keys()
    read = 0
    for seed in range(FILES):
        data, same = damaged(content, seed)
        path.write_bytes(data)
        read += outcome(lambda: open_file(path), original, same, kind in CHECKSUMS)
    assert read < FILES * (0.2 if kind in CHECKSUMS else 0.8)


def descriptions(paths):
    """What HDF5 says of files; None of those on which it hangs or crashes. One process for many, as they are."""
    said = []
    while len(said) < len(paths):
        command = [sys.executable, "-P", hdf5_worker.__file__, *map(str, paths[len(said) :])]
        try:
            output = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False).stdout
        except subprocess.TimeoutExpired as error:
            output = error.stdout or b""
        said += [json.loads(line) for line in output.splitlines(keepends=True) if line.endswith(b"\n")]
        if len(said) < len(paths):
            said.append(None)
    return said


@pytest.mark.parametrize("kind", KERAS)
def test_damage_to_hdf5_is_refused_or_changes_numbers_alone(tmp_path, kind):
    whole = tmp_path / "whole.h5"
    files.write_keras(whole, TENSORS, **KERAS[kind])
    content = whole.read_bytes()
    original = contents(open_file(whole))
    damages = [damaged(content, seed) for seed in range(FILES)]
    paths = [tmp_path / f"{seed}.h5" for seed in range(FILES)]
    for path, (data, _) in zip(paths, damages, strict=True):
        path.write_bytes(data)
    read = 0
    for path, (_, same), said in zip(paths, damages, descriptions(paths), strict=True):
        if said is not None:
            read += outcome(lambda p=path, s=said: keras.interpret(p, s), original, same, False)
    assert 0 < read < FILES * 0.95
    for path, said in list(zip(paths, descriptions(paths[:8]), strict=False)):
        if said is not None and "found" in said:
            with pytest.raises(WeightsError):
                contents(open_file(path))
