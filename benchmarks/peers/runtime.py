"""The settings of PyTorch's process, and what it runs on. Imports no jaxviz."""

from collections.abc import Callable, Collection
from typing import Any

import numpy as np
import torch

LAYOUTS = {"default layout": torch.contiguous_format, "channels-last": torch.channels_last}


def start(options: dict[str, Any]) -> dict[str, Any]:
    """Sets threads and products as the other side has them; returns device and version."""
    torch.set_num_threads(options["cores"])
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = options["precision"] == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = options["precision"] == "tf32"
    return {
        "torch": torch.__version__,
        "torch_platform": "gpu" if device() == "cuda" else "cpu",
        "torch_threads": torch.get_num_threads(),
    }


def device() -> str:
    """Returns the name of the device to use."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def ready(result: Any) -> Any:
    """Returns the result when the device has made it."""
    if device() == "cuda":
        torch.cuda.synchronize()
    return result


def tensor(images: np.ndarray, layout: torch.memory_format) -> torch.Tensor:
    """Returns images [n, h, w, 3] as [n, 3, h, w] on the device."""
    moved = np.ascontiguousarray(images.transpose(0, 3, 1, 2), np.float32)
    return torch.from_numpy(moved).to(device()).contiguous(memory_format=layout)


def array(images: torch.Tensor) -> np.ndarray:
    """Returns [n, h, w, 3] of a tensor."""
    return images.detach().cpu().numpy().transpose(0, 2, 3, 1)


def variants(
    make: Callable[..., Any], prefix: str = "torch ", layouts: Collection[str] = tuple(LAYOUTS)
) -> dict[str, Callable[[], Any]]:
    """Returns the variants of both layouts, eager and on a GPU compiled; `make(layout, compiled)` makes one.

    Compiled are those of `layouts`.
    """
    found = {}
    for name, layout in LAYOUTS.items():
        found[f"{prefix}eager, {name}"] = lambda layout=layout: make(layout, lambda module: module)
    if device() == "cuda":
        for name in layouts:
            found[f"{prefix}compiled, {name}"] = lambda layout=LAYOUTS[name]: make(layout, compiled)
    return found


def compiled(module: Any) -> Any:
    """Returns the module under torch.compile."""
    return torch.compile(module, dynamic=False)
