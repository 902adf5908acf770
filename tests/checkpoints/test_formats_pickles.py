"""Pickles that would do harm, and instructions that no state dict has."""

import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import weight_files as files
from weight_files import refused

from jaxviz.checkpoints.formats import pickles

TENSORS = files.arrays()


def harm(path):
    """Calls that would make a file, each with what the message must name."""
    line = f"touch {path}"
    return {
        "posix.system": files.Call("posix.system", line),
        "os.system": files.Call("os.system", line),
        "builtins.eval": files.Call("builtins.eval", f"open({str(path)!r}, 'w')"),
        "builtins.open": files.Call("builtins.open", str(path), "w"),
        "subprocess.Popen": files.Call("subprocess.Popen", ["touch", str(path)]),
        "numpy.load": files.Call("numpy.load", str(path)),
        "torch.hub.load": files.Call("torch.hub.load", str(path)),
        "torch.nn.modules.linear.Linear": files.Call("torch.nn.modules.linear.Linear", 1, 2),
    }


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("name", harm(Path()))
@pytest.mark.parametrize("protocol", [2, 4])
def test_nothing_that_a_pickle_names_is_run(tmp_path, name, protocol, legacy):
    made = tmp_path / "made"
    state, stored = files.state_dict(TENSORS, legacy)
    state["conv1.bias"] = harm(made)[name]
    content = files.pickled(state, protocol)
    (files.write_torch_stream if legacy else files.write_torch_zip)(
        tmp_path / "a", state, stored, pickle_bytes=content
    )
    refused(tmp_path / "a", name)
    (tmp_path / "bare.safetensors").write_bytes(files.pickled(harm(made)[name], protocol))
    refused(tmp_path / "bare.safetensors", name)
    assert not made.exists()


def test_the_harmful_pickles_are_harmful(tmp_path):
    made = tmp_path / "made"
    pickle.loads(files.pickled(harm(made)["posix.system"]))
    assert made.exists()


OPCODES = {
    "REDUCE": (b"cposix\nsystem\nX\x04\x00\x00\x00true\x85R.", "posix.system"),
    "REDUCE of a text": (b"X\x06\x00\x00\x00system)R.", "a call of something else"),
    "REDUCE of a storage": (b"ctorch\nFloatStorage\n)R.", "a call of torch.FloatStorage"),
    "BUILD": (b"]}b.", "dict for list"),
    "INST": (b"(X\x04\x00\x00\x00trueiposix\nsystem\n.", "the opcode INST"),
    "OBJ": (b"(cposix\nsystem\no.", "posix.system"),
    "OBJ of a dict": (b"(ccollections\nOrderedDict\no.", "the opcode OBJ"),
    "NEWOBJ": (b"ccollections\nOrderedDict\n)\x81.", "the opcode NEWOBJ"),
    "EXT1": (b"\x82\x01.", "the opcode EXT1"),
    "EXT4": (b"\x84\x01\x00\x00\x00.", "the opcode EXT4"),
    "PERSID": (b"Ppersid\n.", "the opcode PERSID"),
    "STACK_GLOBAL": (b"\x8c\x05posix\x8c\x06system\x93.", "posix.system"),
    "STACK_GLOBAL with dots": (
        b"\x8c\x0bcollections\x8c\x1aOrderedDict.__init__.__sub\x93.",
        "OrderedDict.__init__",
    ),
    "NEXT_BUFFER": (b"\x97.", "the opcode NEXT_BUFFER"),
    "BYTEARRAY8": (b"\x96\xff\xff\xff\xff\xff\xff\xff\x7f.", "the opcode BYTEARRAY8"),
    "unknown": (b"\xfa.", "the opcode 0xfa"),
    "a long text": (b"X\xff\xff\xff\x7f.", "damage"),
    "a long frame": (b"\x95\xff\xff\xff\xff\xff\xff\xff\x7f.", "damage"),
    "a large memo": (b"}r\xff\xff\xff\x7f.", "tensors"),
    "a dict in itself": (b"}q\x00X\x05\x00\x00\x00modelh\x00s.", "tensors"),
    "deep lists": (b"(" * 9_000 + b"l" * 9_000 + b".", "the opcode LIST"),
    "deep tuples": (b")" + b"\x85" * 9_000 + b".", "a tuple"),
    "deep tuples as key": (b"})" + b"\x85" * 9_000 + b"Ns.", "tuple in dict"),
    "deep dicts": (b"}X\x05\x00\x00\x00model" * 3_000 + b"N" + b"s" * 3_000 + b".", "tensors"),
    "no end": (b"}", "damage"),
    "underflow": (b"R", "damage"),
    "too long": (b"X" + struct.pack("<I", pickles.MAX_PICKLE) + b"a" * pickles.MAX_PICKLE + b".", ""),
    "a list": (b"].", "a list"),
    "control characters": (b"ca\x1b[31m\nb\n.", r"\x1b[31m"),
}


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("name", OPCODES)
def test_instructions_that_no_state_dict_needs(tmp_path, name, legacy):
    content, found = OPCODES[name]
    write = files.write_torch_stream if legacy else files.write_torch_zip
    write(tmp_path / "a", None, [], pickle_bytes=b"\x80\x02" + content)
    refused(tmp_path / "a", found)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [
        ((11,), (1,), 0),
        ((2,), (9,), 1),
        ((2,), (1,), 9),
        ((10**9,), (0,), 0),
        ((2**40, 2**40), (1, 1), 0),
        ((-1,), (1,), 0),
        ((2,), (-1,), 5),
        ((2,), (1,), -1),
        ((2, 2), (1,), 0),
        ((1,) * 2000, (1,) * 2000, 0),
        ((2.0,), (1,), 0),
        ((2**70,), (1,), 0),
    ],
)
def test_tensors_that_reach_outside_their_storage(tmp_path, shape, strides, offset, legacy):
    stored = files.Stored("0", np.zeros(10, np.float32), legacy)
    state = {"a.b": files.tensor(stored, shape, strides, offset)}
    (files.write_torch_stream if legacy else files.write_torch_zip)(tmp_path / "a", state, [stored])
    refused(tmp_path / "a")
