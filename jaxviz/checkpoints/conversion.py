"""Weights of other libraries made ours: names, layouts, the order of flattened features, folded normalization."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import flax.linen as nn
import numpy as np
from flax.traverse_util import flatten_dict

from jaxviz.checkpoints import naming
from jaxviz.checkpoints.formats import Tensor, WeightFile, WeightsError
from jaxviz.networks.densenet import DenseNet
from jaxviz.networks.googlenet import GoogLeNet
from jaxviz.networks.network import parameter_shapes
from jaxviz.networks.preprocessing import CAFFE, SYMMETRIC, TORCHVISION, Preprocessing

HEADS = ("fc6", "fc7", "fc8", "fc", "conv10")
"""Modules that turn features into classes."""
EPSILON = 1e-5
KERAS_EPSILON = 1.001e-5
"""The ε of normalization in Keras Applications, where ours and torchvision's is 1e-5."""


class MismatchError(WeightsError):
    """A sound file with other names or shapes than the network's."""


@dataclasses.dataclass(frozen=True)
class Convention:
    """How a library names and lays out weights.

    Attributes:
      name: The library.
      modules: Architecture → our module → its module; empty where it has no such network.
      joint: What stands between module and kind.
      kinds: Our kind of array → its; "shift" stands for the bias of a normalization.
      layout: "OIHW" or "HWIO" of a convolution's kernel; with OIHW, dense kernels are [out, in], and features
        are flattened channels first.
    """

    name: str
    modules: Callable[[nn.Module], Mapping[str, str]]
    joint: str
    kinds: Mapping[str, str]
    layout: str


def _same(architecture: nn.Module) -> Mapping[str, str]:
    return {name: name for name in naming.modules(architecture)}


_OURS = {kind: kind for kind in ("kernel", "bias", "scale", "mean", "variance")} | {"shift": "bias"}
_TORCH = {"kernel": "weight", "bias": "bias"}
_TORCH |= {"scale": "weight", "shift": "bias", "mean": "running_mean", "variance": "running_var"}
_KERAS = {"kernel": "kernel", "bias": "bias"}
_KERAS |= {"scale": "gamma", "shift": "beta", "mean": "moving_mean", "variance": "moving_variance"}

CONVENTIONS = (
    Convention("jaxviz", _same, "/", _OURS, "HWIO"),
    Convention("caffe", _same, "/", _OURS, "OIHW"),
    Convention("torchvision", naming.torchvision, ".", _TORCH, "OIHW"),
    Convention("timm", naming.timm, ".", _TORCH, "OIHW"),
    Convention("keras", naming.keras, "/", _KERAS, "HWIO"),
    Convention("keras", naming.keras, "/", _KERAS, "OIHW"),
)


@dataclasses.dataclass(frozen=True)
class Plan:
    """How a file's arrays become a network's, made from names and shapes alone.

    Attributes:
      path: The file.
      architecture: The network, without classifier where the file has none, with as many classes as it has.
      convention: Whose names and layouts the file has.
      readers: Our parameter, such as `conv1/kernel` → what reads it, in our layout.
      folded: Whether the file's convolutions have swallowed the normalization that follows them.
      head_left: Whether the file has a classifier, or a part of one, that is not read.
    """

    path: Path
    architecture: nn.Module
    convention: Convention
    readers: Mapping[str, Callable[[], np.ndarray]]
    folded: bool
    head_left: bool

    @property
    def preprocessing(self) -> Preprocessing:
        """What weights of this origin expect as input."""
        if self.convention.name in ("torchvision", "timm"):
            # torchvision's GoogLeNet came from TensorFlow, and undoes torchvision's own standardization.
            return SYMMETRIC if isinstance(self.architecture, GoogLeNet) else TORCHVISION
        is_keras_densenet = self.convention.name == "keras" and isinstance(self.architecture, DenseNet)
        return TORCHVISION if is_keras_densenet else CAFFE

    def arrays(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yields our parameters, one read at a time, in the file's type.

        Raises:
          WeightsError: For values that no weights have.
        """
        for name, read in self.readers.items():
            value = read()
            if not finite(value):
                raise WeightsError(
                    f"{self.path}: expected finite weights, found NaN or infinite ones in {name}"
                )
            if name.endswith("/variance") and (value < 0).any():
                raise WeightsError(
                    f"{self.path}: expected variances of at least 0, found a negative one in {name}"
                )
            yield name, value


def finite(value: np.ndarray) -> bool:
    """Returns whether all numbers are finite as float32, which networks compute in."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(value.astype(np.float32)).all())


def plan(file: WeightFile, architecture: nn.Module, *, whole: bool = False) -> Plan:
    """Returns how to read a file as the weights of an architecture; reads no array.

    Args:
      file: From `formats.open_file`.
      architecture: The network.
      whole: Whether a classifier is read that the file has and the architecture has not. One of other widths,
        or without some layer, is not read all the same.

    Raises:
      MismatchError: If names or shapes are not this network's; lists what is missing and what is too much.
    """
    tensors = {_spelled(name): t for name, t in file.tensors.items() if not _of_training_alone(name)}
    convention = max(CONVENTIONS, key=lambda c: _matches(tensors, architecture, c))
    if whole and getattr(architecture, "classes", 0) is None:
        with contextlib.suppress(MismatchError):
            head = _with_head_of(tensors, architecture.clone(classes=1000), convention)
            return _Matching(file, tensors, head, convention).plan()
    architecture = _with_head_of(tensors, architecture, convention)
    return _Matching(file, tensors, architecture, convention).plan()


def _spelled(name: str) -> str:
    # Archives of Keras's SqueezeNet write fire2.squeeze1x1/kernel.
    return name.replace(".", "/") if name.endswith(("/kernel", "/bias")) else name


def _of_training_alone(name: str) -> bool:
    return name.endswith("num_batches_tracked") or name.startswith(("aux1.", "aux2."))


def _shapes(architecture: nn.Module) -> dict[str, tuple[int, ...]]:
    return {k: v.shape for k, v in flatten_dict(parameter_shapes(architecture), sep="/").items()}


def _names(convention: Convention, architecture: nn.Module) -> dict[str, str]:
    """Returns our parameter → its name in files of a convention."""
    modules, shapes, names = convention.modules(architecture), _shapes(architecture), {}
    for ours in shapes if modules else ():
        module, _, kind = ours.rpartition("/")
        kind = "shift" if kind == "bias" and f"{module}/variance" in shapes else kind
        names[ours] = f"{modules[module]}{convention.joint}{convention.kinds[kind]}"
    return names


def _matches(tensors: Mapping[str, Tensor], architecture: nn.Module, convention: Convention) -> int:
    shapes, count = _shapes(architecture), 0
    for ours, theirs in _names(convention, architecture).items():
        if theirs in tensors:
            # Names tell libraries apart, shapes only the layouts of one.
            count += 1000 + (tensors[theirs].shape in _possible_shapes(shapes[ours], convention))
    return count


def _possible_shapes(shape: tuple[int, ...], convention: Convention) -> list[tuple[int, ...]]:
    if convention.layout == "HWIO" or len(shape) == 1:
        return [shape]
    if len(shape) == 4:
        return [(shape[3], shape[2], shape[0], shape[1])]
    # timm writes VGG's dense layers as the convolutions that they are on 7×7 features.
    return [shape[::-1], (shape[1], shape[0], 1, 1), (shape[1], shape[0] // 49, 7, 7)]


def _with_head_of(
    tensors: Mapping[str, Tensor], architecture: nn.Module, convention: Convention
) -> nn.Module:
    if getattr(architecture, "classes", None) is None:
        return architecture
    names = _names(convention, architecture)
    head = {ours: theirs for ours, theirs in names.items() if ours.split("/")[0] in HEADS}
    if names and not any(theirs in tensors for theirs in head.values()):
        return architecture.clone(classes=None)
    for ours, theirs in head.items():
        last = ours in ("fc8/bias", "fc/bias", "conv10/bias")
        if last and theirs in tensors and len(tensors[theirs].shape) == 1:
            return architecture.clone(classes=tensors[theirs].shape[0])
    return architecture


def _convolution_before(normalization: str, architecture: nn.Module) -> str | None:
    """Returns the convolution whose output a normalization takes, if it takes one's."""
    if not isinstance(architecture, DenseNet):
        return normalization.replace("bn", "conv")
    if normalization.endswith("/bn2"):
        return normalization.replace("bn2", "conv1")
    return "conv1" if normalization == "bn1" else None


class _Matching:
    """One file held against one network."""

    def __init__(
        self, file: WeightFile, tensors: dict[str, Tensor], architecture: nn.Module, convention: Convention
    ):
        self.file, self.tensors = file, tensors
        self.architecture, self.convention = architecture, convention
        self.shapes = _shapes(architecture)
        self.names = _names(convention, architecture) or {name: name for name in self.shapes}
        self.modules = dict(convention.modules(architecture))
        self.used: set[str] = set()
        self.folded = False

    def plan(self) -> Plan:
        readers, missing = {}, []
        for ours, shape in self.shapes.items():
            reader = (
                self._reader(ours, shape) or self._reader_of_folded(ours, shape) or self._zero(ours, shape)
            )
            if reader is None:
                missing.append(f"{self.names[ours]} {list(_possible_shapes(shape, self.convention)[0])}")
            else:
                readers[ours] = reader
        head = self._head()
        known = self.used | head
        spare = [f"{n} {list(t.shape)}" for n, t in self.tensors.items() if n not in known]
        if missing or spare:
            raise MismatchError(
                f"{self.file.path}: the weights are not this network's; "
                f"in the network and not in the file: {_listed(missing)}; "
                f"in the file and not in the network: {_listed(spare)}"
            )
        head_left = not head.isdisjoint(self.tensors)
        return Plan(self.file.path, self.architecture, self.convention, readers, self.folded, head_left)

    def _head(self) -> set[str]:
        """Returns the names of a classifier that was not asked for, in any library: features alone look alike."""
        if getattr(self.architecture, "classes", 0) is not None:
            return set()
        whole = self.architecture.clone(classes=1000)
        names = [name for convention in CONVENTIONS for name in _names(convention, whole).items()]
        return {theirs for ours, theirs in names if ours.split("/")[0] in HEADS}

    def _reader(self, ours: str, shape: tuple[int, ...]) -> Callable[[], np.ndarray] | None:
        tensor = self.tensors.get(self.names[ours])
        if tensor is None or tensor.shape not in _possible_shapes(shape, self.convention):
            return None
        self.used.add(self.names[ours])
        module, _, kind = ours.rpartition("/")
        if self.convention.name == "keras" and kind in ("mean", "variance"):
            return self._reader_of_keras(module, kind, tensor)
        if self.convention.layout == "HWIO" or len(shape) == 1:
            return tensor.read
        side = getattr(self.architecture, "head_size", (1, 1)) if module == "fc6" else (1, 1)

        def read() -> np.ndarray:
            value = tensor.read()
            if len(shape) == 2:
                value = value.reshape(shape[1], -1, *side)
            return value.transpose(2, 3, 1, 0).reshape(shape)

        return read

    def _reader_of_keras(self, module: str, kind: str, tensor: Tensor) -> Callable[[], np.ndarray]:
        if kind == "variance":
            return lambda: tensor.read() + np.float32(KERAS_EPSILON - EPSILON)
        bias = self._bias_before(module)
        return tensor.read if bias is None else lambda: tensor.read() - bias.read()

    def _bias_before(self, normalization: str) -> Tensor | None:
        before = _convolution_before(normalization, self.architecture)
        if before not in self.modules:
            return None
        name = f"{self.modules[before]}{self.convention.joint}bias"
        tensor = self.tensors.get(name)
        if tensor is not None:
            self.used.add(name)
        return tensor

    def _zero(self, ours: str, shape: tuple[int, ...]) -> Callable[[], np.ndarray] | None:
        """Returns what reads a bias that an ONNX exporter left away, as it does where all of it is 0."""
        module, _, kind = ours.rpartition("/")
        kernel = self.names.get(f"{module}/kernel")
        if self.file.format != "onnx" or kind != "bias" or kernel not in self.tensors:
            return None
        return None if self.names[ours] in self.tensors else lambda: np.zeros(shape, np.float32)

    def _reader_of_folded(self, ours: str, shape: tuple[int, ...]) -> Callable[[], np.ndarray] | None:
        """Returns what reads a normalization that only adds, since its factor is in the kernel before it."""
        module, _, kind = ours.rpartition("/")
        stands = any(
            f"{module}/{other}" in self.shapes and self.names[f"{module}/{other}"] in self.tensors
            for other in ("scale", "mean", "variance")
        )
        if f"{module}/variance" not in self.shapes or stands:
            return None
        bias = self._bias_before(module)
        if bias is None or bias.shape != shape:
            return None
        self.folded = True
        # Where our convolution adds the bias itself, as VGG's does, nothing is left for the normalization.
        if kind == "bias" and f"{_convolution_before(module, self.architecture)}/bias" not in self.shapes:
            return bias.read
        epsilon = 1e-3 if isinstance(self.architecture, GoogLeNet) else EPSILON
        constant = {"scale": 1.0, "bias": 0.0, "mean": 0.0, "variance": 1 - epsilon}[kind]
        return lambda: np.full(shape, constant, np.float32)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return (", ".join(names[:8]) or "nothing") + more
