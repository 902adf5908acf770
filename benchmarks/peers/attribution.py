"""The same attribution methods by captum, with the number of pictures at a time that suits it."""

import warnings
from typing import Any

import captum.attr as of
import torch

from benchmarks import workload
from benchmarks.peers import runtime
from benchmarks.peers.captum_models import MODELS
from benchmarks.worker import Work

TOGETHER = (1, 4, 16, 64)
"""captum's `internal_batch_size` and `perturbations_per_eval`: each is tried, the fastest counts."""


def rows(options: dict[str, Any]) -> dict[str, Any]:
    """Returns a row for each method."""
    warnings.filterwarnings("ignore")  # captum says that it sets hooks
    batch, name = options["batch"], options["network"]
    target = workload.LABEL if name == "squeezenet1_1" else 0
    layout = torch.channels_last
    model = MODELS[name]().to(runtime.device(), memory_format=layout)
    x = runtime.tensor(workload.crops(batch, options["size"]), layout).requires_grad_()
    noise = {"nt_type": "smoothgrad", "nt_samples": 50, "stdevs": 0.15}
    window = {
        "sliding_window_shapes": (3, 32, 32),
        "strides": (3, 16, 16),
        "baselines": 0.0,
        "target": target,
    }
    enlarged = {"attr_dim_summation": True, "relu_attributions": True, "target": target}
    together = [n for n in TOGETHER if n >= batch] if batch > 1 else TOGETHER[:3]

    def grad_cam():
        small = of.LayerGradCam(model, model.last).attribute(x, **enlarged)
        return of.LayerAttribution.interpolate(small, x.shape[2:], "bilinear")[:, 0]

    def each(call, counts=together):
        return {f"captum, {n} at a time": lambda n=n: made(lambda: call(n)) for n in counts}

    def made(call, named: bool = True) -> Work:
        def done():
            return runtime.ready(call()).detach()

        def maps():
            found = done()
            return {"maps": found.cpu().numpy() if found.ndim == 3 else runtime.array(found)}

        return Work(done, units=batch, result=maps if named else dict)

    def saliency():
        return of.Saliency(model).attribute(x, target).amax(1)

    def occlusion(n):
        return of.Occlusion(model).attribute(x, **window, perturbations_per_eval=n)[:, 0]

    def smoothgrad(n):
        tunnel = of.NoiseTunnel(of.Saliency(model))
        return tunnel.attribute(x, **noise, nt_samples_batch_size=n, target=target, abs=False)

    def integrated(n):
        given = {"n_steps": 50, "method": "gausslegendre", "internal_batch_size": max(n, batch)}
        return of.IntegratedGradients(model).attribute(x, 0.0, target, **given)

    samples = [n for n in (1, 5, 10) if n * batch <= 64]
    return {
        "gradient": {"captum": lambda: made(saliency)},
        "guided": {"captum": lambda: made(lambda: of.GuidedBackprop(model).attribute(x, target))},
        "SmoothGrad, 50": {
            f"captum, {n} at a time": lambda n=n: made(lambda: smoothgrad(n), named=False) for n in samples
        },
        "integrated gradients, 50": each(integrated),
        "occlusion, window 32, stride 16": each(occlusion, TOGETHER[:3] if batch == 1 else TOGETHER[:2]),
        "Grad-CAM": {"captum": lambda: made(grad_cam)},
    }
