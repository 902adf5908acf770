"""The part of pickle that a PyTorch state dict needs, in which nothing that a file names is ever called.

A pickle is a program for a machine with a stack. This one has the instructions that build numbers, texts,
lists, tuples and dicts; what it is told to call is one of five names, each of which stands for a few lines
here; any other name or instruction ends it.
"""

import dataclasses
import io
import math
import pickle
import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import numpy as np

from jaxviz.checkpoints.formats.checks import BFLOAT16, MAX_DIMENSIONS, reading, refusal, shown

MAX_PICKLE = 2**20
"""Bytes: room for about six thousand tensors, and the bound of what a hostile file can make grow."""
MAX_LINE = 256
STORAGES = {
    "torch.DoubleStorage": np.dtype("<f8"),
    "torch.FloatStorage": np.dtype("<f4"),
    "torch.HalfStorage": np.dtype("<f2"),
    "torch.BFloat16Storage": BFLOAT16,
    "torch.LongStorage": np.dtype("<i8"),
    "torch.IntStorage": np.dtype("<i4"),
    "torch.ShortStorage": np.dtype("<i2"),
    "torch.CharStorage": np.dtype("i1"),
    "torch.ByteStorage": np.dtype("u1"),
    "torch.BoolStorage": np.dtype(bool),
}
DICT = "collections.OrderedDict"
# PyTorch 0.1 wrote the first form, and Parameters where later ones have tensors.
TENSORS = ("torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2")
PARAMETERS = ("torch._utils._rebuild_parameter", "torch.nn.parameter.Parameter")
ADMITTED = {DICT, *TENSORS, *PARAMETERS, *STORAGES}
OPCODES = """PROTO FRAME STOP MARK NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINFLOAT BINUNICODE
SHORT_BINUNICODE BINSTRING SHORT_BINSTRING EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_LIST APPEND APPENDS
EMPTY_DICT SETITEM SETITEMS GLOBAL STACK_GLOBAL REDUCE BUILD BINPERSID BINPUT LONG_BINPUT MEMOIZE BINGET
LONG_BINGET""".split()  # noqa: SIM905


# The names of its attributes are not in the stubs of the standard library.
_Python: Any = pickle._Unpickler


@dataclasses.dataclass(frozen=True)
class Global:
    """A name that a file mentions; never what it names."""

    name: str


@dataclasses.dataclass(frozen=True)
class Storage:
    """So many numbers of one type, somewhere in the file under a key."""

    dtype: np.dtype
    key: str
    count: int


@dataclasses.dataclass(frozen=True)
class Strided:
    """A tensor: where in a storage it begins, and how far it is to the next number along each axis."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Bounded:
    """A file that is read up to a limit; a length that goes beyond it allocates nothing."""

    def __init__(self, file: io.BufferedIOBase):
        self.file, self.left = file, MAX_PICKLE

    def read(self, count: int) -> bytes:
        if not 0 <= count <= self.left:
            raise EOFError(f"{count} bytes wanted where {self.left} may follow")
        self.left -= count
        data = self.file.read(count)
        if len(data) != count:
            raise EOFError("the pickle ends early")
        return data

    def readline(self) -> bytes:
        line = self.file.readline(min(MAX_LINE, self.left))
        self.left -= len(line)
        if not line.endswith(b"\n"):
            raise EOFError("a name without an end")
        return line


class _Instructions(dict[int, Callable[[Any], None]]):
    """What to do at each instruction; those that are not here are refused."""

    def __missing__(self, code: int) -> Callable[[Any], None]:
        known = next((op for op in pickletools.opcodes if op.code == chr(code)), None)
        name = f"the opcode {known.name if known else hex(code)}"
        return lambda machine: machine.refuse("a pickle of tensors", name)


def _sizes(values: Any) -> bool:
    return type(values) in (tuple, list) and all(type(x) is int and 0 <= x < 2**48 for x in values)


class Unpickler(_Python):
    """Python's own unpickler without C, whose every dangerous instruction is replaced or gone."""

    dispatch: ClassVar[Any] = _Instructions()

    def __init__(self, path: Path, file: io.BufferedIOBase):
        super().__init__(_Bounded(file), encoding="utf-8")
        self.path = path
        self.storages: dict[str, Storage] = {}

    def refuse(self, expected: str, found: str) -> NoReturn:
        """Raises WeightsError."""
        raise refusal(self.path, expected, found)

    def find_class(self, module: str, name: str) -> Any:
        """Returns the name as a mere name, if it is one that state dicts have."""
        full = f"{module}.{name}"
        if full not in ADMITTED:
            self.refuse("a pickle of tensors", f"{shown(full)}, which is not run; save a state_dict")
        return Global(full)

    def persistent_load(self, pid: Any) -> Storage:
        """Returns the storage that the file describes: kind, key, device, and how many numbers."""
        if type(pid) is not tuple or not 5 <= len(pid) <= 6 or any(part is not None for part in pid[5:]):
            self.refuse("a storage of its own", "another reference")
        word, kind, key, _, count = pid[:5]
        dtype = STORAGES.get(kind.name) if type(kind) is Global else None
        texts = type(word) is str and word == "storage" and type(key) is str
        if dtype is None or not texts or not _sizes((count,)):
            self.refuse("kind, key and length of a storage", "others")
        storage = Storage(dtype, key, count)
        if self.storages.setdefault(key, storage) != storage:
            self.refuse(f"one kind and length of storage {shown(key)}", "two")
        return storage

    def _tensor(self, arguments: tuple) -> Strided:
        storage, offset, shape, strides = arguments[:4]
        if type(storage) is not Storage or not _sizes((offset,)) or not _sizes(shape) or not _sizes(strides):
            self.refuse("storage, offset, shape and strides of a tensor", "others")
        if len(arguments) > 6 and arguments[6]:
            self.refuse("tensors as they are", "one to be negated or conjugated")
        if len(shape) > MAX_DIMENSIONS:
            self.refuse(f"at most {MAX_DIMENSIONS} dimensions", f"{len(shape)}")
        count = math.prod(shape)
        last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
        # The second bound keeps a stride of zero from making much of little.
        if count and max(last + 1, offset + count) > storage.count:
            view = shown(f"shape {list(shape)}, strides {list(strides)}, offset {offset}")
            self.refuse(f"a tensor within its storage of {storage.count}", view)
        return Strided(storage, offset, tuple(shape), tuple(strides))

    def _reduce(self) -> None:
        """Does what a call of one of the admitted names would have done."""
        arguments, called = self.stack.pop(), self.stack[-1]
        if type(called) is not Global or type(arguments) is not tuple:
            self.refuse("a call of a name", "a call of something else")
        if called.name == DICT:
            value: Any = {}
            for key, item in arguments[0] if arguments else ():
                self._set(value, key, item)
        elif called.name in TENSORS:
            value = self._tensor(arguments)
        elif called.name in PARAMETERS:
            value = arguments[0]
        else:
            self.refuse("a pickle of tensors", f"a call of {called.name}")
        if called.name in PARAMETERS and type(value) is not Strided:
            self.refuse("a parameter of a tensor", type(value).__name__)
        self.stack[-1] = value

    def _build(self) -> None:
        """Takes the state of a dict or a parameter off the stack; neither is needed."""
        state, built = self.stack.pop(), self.stack[-1]
        if (type(built), type(state)) not in ((dict, dict), (Strided, tuple)):
            self.refuse("the state of a dict", f"{type(state).__name__} for {type(built).__name__}")

    def _set(self, target: Any, key: object, value: object) -> None:
        # To hash a tuple of tuples, thousands deep, would overflow the stack of C.
        if type(target) is not dict or type(key) not in (str, int):
            self.refuse("texts as keys of a dict", f"{type(key).__name__} in {type(target).__name__}")
        target[key] = value

    def _extend(self, items: list) -> None:
        if type(self.stack[-1]) is not list:
            self.refuse("a list", type(self.stack[-1]).__name__)
        self.stack[-1].extend(items)

    def _setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set(self.stack[-1], key, value)

    def _setitems(self) -> None:
        items = self.pop_mark()
        for key, value in zip(items[::2], items[1::2], strict=True):
            self._set(self.stack[-1], key, value)

    def _append(self) -> None:
        self._extend([self.stack.pop()])

    def _appends(self) -> None:
        self._extend(self.pop_mark())


for _name in OPCODES:
    _code = getattr(pickle, _name)[0]
    Unpickler.dispatch[_code] = vars(Unpickler).get(f"_{_name.lower()}", _Python.dispatch[_code])


def load(path: Path, file: io.BufferedIOBase) -> tuple[Any, dict[str, Storage]]:
    """Returns the object of the pickle at the file's position, and the storages that it mentions by key."""
    with reading(path, "a pickle of tensors"):
        unpickler = Unpickler(path, file)
        return unpickler.load(), unpickler.storages
