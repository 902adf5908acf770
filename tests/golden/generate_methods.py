"""Writes methods.npz: what PyTorch finds by every method of saliency and attacks, from the shipped SqueezeNet.

Nothing of jaxviz is imported: the network is that of benchmarks/peers/torch_models.py, the methods are written
below from the published formulas; guided backpropagation and deconvnet are captum's. Methods that draw at random
are tested elsewhere. Pictures are centre crops of scikit-image's with half a grey level of seeded noise, which
breaks ties of flat regions; computed in float64, except attacks' pictures, which are stored so.

Made with Python 3.11, torch 2.13.0 on a CPU, captum 0.9.0, numpy 2.4.6, scikit-image 0.26.0; NumPy seed 0.
From the root:

    python -m tests.golden.generate_methods
"""

from pathlib import Path

import captum.attr
import numpy as np
import skimage.data
import torch

from benchmarks.peers import captum_models
from benchmarks.peers.torch_models import SqueezeNet
from tests.golden.attack_formulas import (
    apgd,
    array,
    cw,
    deepfool,
    derivative,
    fgsm,
    fooling,
    ifgsm,
    mifgsm,
    minimum,
    nifgsm,
    pgd,
    score,
)

SIZE = 64
LAYER = "fire9"


def pictures() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    found = {}
    for name in ("chelsea", "coffee"):
        picture = getattr(skimage.data, name)()
        top, left = ((n - SIZE) // 2 for n in picture.shape[:2])
        square = picture[top : top + SIZE, left : left + SIZE] / 255
        found[name] = np.clip(square + (rng.random(square.shape) - 0.5) / 255, 0, 1).astype(np.float32)
    return found


def tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image.transpose(2, 0, 1)[None].astype(np.float64))


def gradient(model, x, label):
    return array(derivative(x, score(model, label)).abs().amax(1, keepdim=True))[..., 0]


def grad_times_input(model, x, label):
    return array(x * derivative(x, score(model, label)))


def guided(model, x, label):
    return array(
        captum.attr.GuidedBackprop(captum_models.SqueezeNet(torch.float64)).attribute(
            x.requires_grad_(), label
        )
    )


def deconvnet(model, x, label):
    return array(
        captum.attr.Deconvolution(captum_models.SqueezeNet(torch.float64)).attribute(
            x.requires_grad_(), label
        )
    )


def integrated_gradients(model, x, label, steps=50):
    places, weights = np.polynomial.legendre.leggauss(steps)
    slopes = [
        w / 2 * derivative((t + 1) / 2 * x, score(model, label)) for t, w in zip(places, weights, strict=True)
    ]
    return array(x * sum(slopes))


def features_and_slopes(model, x, label):
    taps = model(x.detach().requires_grad_())
    return taps[LAYER].detach(), torch.autograd.grad(taps["logits"][0, label], taps[LAYER])[0]


def enlarged(values):
    positive = values.sum(1, keepdim=True).clamp(min=0)
    return array(torch.nn.functional.interpolate(positive, (SIZE, SIZE), mode="bilinear"))[..., 0]


def grad_cam(model, x, label):
    tap, slope = features_and_slopes(model, x, label)
    return enlarged(tap * slope.mean((2, 3), keepdim=True))


def grad_cam_plus_plus(model, x, label):
    tap, g = features_and_slopes(model, x, label)
    below = 2 * g**2 + g**3 * tap.sum((2, 3), keepdim=True)
    alpha = torch.where(below == 0, 0, g**2 / torch.where(below == 0, 1, below))
    return enlarged(tap * (alpha * g.clamp(min=0)).sum((2, 3), keepdim=True))


def hirescam(model, x, label):
    tap, slope = features_and_slopes(model, x, label)
    return enlarged(tap * slope)


def layercam(model, x, label):
    tap, slope = features_and_slopes(model, x, label)
    return enlarged(tap * slope.clamp(min=0))


def guided_grad_cam(model, x, label):
    return guided(model, x, label) * grad_cam(model, x, label)[..., None]


def occlusion(model, x, label, window=15, stride=8):
    total, count = torch.zeros(2, SIZE, SIZE, dtype=x.dtype)
    with torch.no_grad():
        whole = score(model, label)(x)
        starts = range(0, SIZE - window + stride, stride)
        for place in ((slice(i, i + window), slice(j, j + window)) for i in starts for j in starts):
            hidden = x.clone()
            hidden[:, :, *place] = 0.5
            total[place] += whole - score(model, label)(hidden)
            count[place] += 1
    return (total / count).numpy()


METHODS = {
    "saliency/gradient": gradient,
    "saliency/grad-times-input": grad_times_input,
    "saliency/guided": guided,
    "saliency/deconvnet": deconvnet,
    "saliency/integrated-gradients": integrated_gradients,
    "saliency/grad-cam": grad_cam,
    "saliency/grad-cam++": grad_cam_plus_plus,
    "saliency/hirescam": hirescam,
    "saliency/layercam": layercam,
    "saliency/guided-grad-cam": guided_grad_cam,
    "saliency/occlusion": occlusion,
    "attacks/fgsm": fgsm,
    "attacks/ifgsm": ifgsm,
    "attacks/pgd": pgd,
    "attacks/mifgsm": mifgsm,
    "attacks/nifgsm": nifgsm,
    "attacks/apgd": apgd,
    "attacks/cw": cw,
    "attacks/deepfool": deepfool,
    "attacks/minimum": minimum,
    "attacks/fooling": fooling,
}
CLIMBING = {name for name in METHODS if name.startswith("attacks/")} - {"attacks/fgsm"}
"""Which take many steps: dear in float64, so that one picture of each is enough."""


def main() -> None:
    torch.set_default_dtype(torch.float64)
    model = SqueezeNet((LAYER, "logits"), dtype=torch.float64)
    golden: dict[str, np.ndarray] = {}
    for name, picture in pictures().items():
        x = tensor(picture)
        label = int(model(x)["logits"].argmax())
        golden |= {f"input/{name}": picture, f"label/{name}": np.int32(label)}
        for method, function in METHODS.items():
            if method in CLIMBING and name != "coffee":
                continue
            golden[f"{method}/{name}"] = function(model, x, label).astype(np.float32)
    path = Path(__file__).with_name("methods.npz")
    np.savez_compressed(path, **golden)
    print(f"{path.name}: {len(golden)} arrays, {path.stat().st_size:,} bytes")  # noqa: T201


if __name__ == "__main__":
    main()
