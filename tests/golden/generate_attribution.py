"""Writes attribution.npz: what captum finds with the shipped SqueezeNet 1.1, of twenty pictures.

Nothing of jaxviz is imported. The model takes pictures in [0, 1], so captum's maps are in the same units as ours.
In float32 of the pictures as they are, and in float64 with half a grey level of noise. Of each map some hundred
values are kept.

Made with Python 3.11, captum 0.9.0, torch 2.13.0 on a CPU, torchvision 0.28.0, numpy 2.4.6, scikit-image 0.26.0.
From the root:

    python -m tests.golden.generate_attribution
"""

import warnings
from pathlib import Path

import captum.attr
import numpy as np
import torch

from benchmarks.peers.captum_models import SqueezeNet
from tests.golden.attribution import pictures, places


def maps(model: SqueezeNet, picture: np.ndarray, label: int) -> dict[str, np.ndarray]:
    """Returns captum's maps of one picture, [h, w, 3], [h, w] or, of Grad-CAM before its ReLU, [p, q]."""
    x = torch.from_numpy(picture.transpose(2, 0, 1)[None].astype(picture.dtype)).requires_grad_()
    of = captum.attr
    found = {
        "gradient": of.Saliency(model).attribute(x, label, abs=False),
        "grad-times-input": of.InputXGradient(model).attribute(x, label),
        "guided": of.GuidedBackprop(model).attribute(x, label),
        "deconvnet": of.Deconvolution(model).attribute(x, label),
        "integrated-gradients": of.IntegratedGradients(model).attribute(
            x, 0.0, label, n_steps=50, method="gausslegendre", internal_batch_size=10
        ),
        "grad-cam": of.LayerGradCam(model, model.last).attribute(x, label),
        "occlusion": of.Occlusion(model).attribute(
            x, (3, 15, 15), (3, 8, 8), 0.5, label, perturbations_per_eval=16
        )[:, :1],
    }
    arrays = {name: value.detach().numpy()[0].transpose(1, 2, 0) for name, value in found.items()}
    return {name: value[..., 0] if value.shape[2] == 1 else value for name, value in arrays.items()}


def main() -> None:
    warnings.filterwarnings("ignore")  # captum says that it sets hooks
    golden: dict[str, np.ndarray] = {}
    for bits, dtype in ((32, torch.float32), (64, torch.float64)):
        # captum casts the weights of its integrals to float32, and torch whatever it is given.
        torch.set_default_dtype(dtype)
        torch.Tensor.float = lambda tensor, dtype=dtype: tensor.to(dtype)
        model = SqueezeNet(dtype)
        values: dict[str, list[np.ndarray]] = {}
        labels = []
        for picture in pictures(noise=bits == 64).values():
            picture = picture.astype(f"float{bits}")
            x = torch.from_numpy(picture.transpose(2, 0, 1)[None])
            labels.append(int(model(x).argmax()))
            for name, found in maps(model, picture, labels[-1]).items():
                flat = found.reshape(-1)
                values.setdefault(name, []).append(flat[places(flat.size)])
        golden[f"labels/{bits}"] = np.int32(labels)
        golden |= {f"{name}/{bits}": np.stack(some) for name, some in values.items()}
    path = Path(__file__).with_name("attribution.npz")
    np.savez_compressed(path, **golden)
    print(f"{path.name}: {len(golden)} arrays, {path.stat().st_size:,} bytes")  # noqa: T201


if __name__ == "__main__":
    main()
