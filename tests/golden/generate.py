"""Writes golden.npz: what PyTorch computes from the shipped weights, for jaxviz to be compared with.

Nothing of jaxviz is imported: the networks are those of benchmarks/peers/torch_models.py, the losses are
written below from the published formulas. Pictures are centre crops of scikit-image's, stored in the file, as is
the seeded noise, so that the tests need neither PyTorch nor scikit-image.

Made with Python 3.11, torch 2.13.0 on a CPU, numpy 2.4.6, scikit-image 0.26.0, safetensors 0.8; NumPy seed 0.
Values are computed in float64 except where the name ends in /float32. From the root of the repository:

    python -m tests.golden.generate
"""

from pathlib import Path

import numpy as np
import skimage.data
import torch

from benchmarks.peers.torch_models import VGG16, SqueezeNet

SEED = 0
SAMPLES = 256
PIXELS = 8192
TAPS = {
    "vgg16": ("conv1_1", "pool1", "pool2", "pool3", "pool4", "pool5"),
    "squeezenet1_1": ("conv1", "pool1", "pool3", "pool5", "logits"),
}
NETWORKS = {"vgg16": VGG16, "squeezenet1_1": SqueezeNet}
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
INVERTED = "relu3_3"
MEAN_RGB = (123.68, 116.779, 103.939)


def centre(image: np.ndarray, size: int) -> np.ndarray:
    top, left = ((n - size) // 2 for n in image.shape[:2])
    return image[top : top + size, left : left + size]


def bytes_of_inputs(rng: np.random.Generator) -> dict[str, np.ndarray]:
    return {
        "seeded": rng.integers(0, 256, (224, 224, 3), dtype=np.uint8),
        "chelsea": centre(skimage.data.chelsea(), 224),
        "coffee": centre(skimage.data.coffee(), 224),
    }


def tensor(image: np.ndarray, dtype: torch.dtype) -> torch.Tensor:
    """Returns [1, 3, h, w] of an image [h, w, 3]."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)[None])).to(dtype)


def image(value: torch.Tensor) -> np.ndarray:
    """Returns [h, w, c] of [1, c, h, w], and [c] of [1, c]."""
    array = value.detach().numpy()[0]
    return array.transpose(1, 2, 0) if array.ndim == 3 else array


def value_and_gradient(function, x: np.ndarray, dtype: torch.dtype = torch.float64):
    point = tensor(x, dtype).requires_grad_()
    value = function(point)
    value.backward()
    return value.item(), image(point.grad)


def activations(inputs, rng):
    """Yields sampled entries and the norm of every tap of both networks for every input."""
    for network, taps in TAPS.items():
        model = NETWORKS[network](taps, dtype=torch.float64)
        for name, picture in inputs.items():
            for tap, value in model(tensor(picture, torch.float64)).items():
                full = image(value)
                flat = full.ravel()
                index = np.sort(rng.choice(flat.size, min(SAMPLES, flat.size), replace=False))
                key = f"activations/{network}/{name}/{tap}"
                yield f"{key}/shape", np.int32(full.shape)
                yield f"{key}/index", index.astype(np.int32)
                yield f"{key}/value", flat[index]
                yield f"{key}/norm", np.linalg.norm(flat)


def saliency(inputs, rng):
    """Yields the map max_c |d logit / d x| of SqueezeNet, at sampled pixels, and its norm and maximum."""
    cases = [(name, inputs[name], torch.float32) for name in inputs]
    cases += [(f"{name}_noisy", noisy(inputs, name), torch.float64) for name in ("chelsea", "coffee")]
    for name, picture, dtype in cases:
        model = SqueezeNet(dtype=dtype)
        label = int(model(tensor(picture, dtype))["logits"].argmax())
        _, gradient = value_and_gradient(lambda x, m=model, c=label: m(x)["logits"][0, c], picture, dtype)
        heat = np.abs(gradient).max(-1).ravel()
        index = np.sort(rng.choice(heat.size, PIXELS, replace=False))
        key = f"saliency/{name}"
        yield f"{key}/label", np.int32(label)
        yield f"{key}/index", index.astype(np.int32)
        yield f"{key}/value", heat[index]
        yield f"{key}/norm", np.linalg.norm(heat.astype(np.float64))
        yield f"{key}/max", heat.max()


def noisy(inputs, name):
    """Returns a picture with up to half a grey level of the seeded noise, which breaks ties of flat regions."""
    return np.clip(inputs[name] + (inputs["seeded"] - 0.5) / 255, 0, 1)


def signs(inputs):
    """Yields, as bits, where the derivative of the cross-entropy of the winning class is above and below 0."""
    model = SqueezeNet()
    for name, picture in inputs.items():
        label = model(tensor(picture, torch.float32))["logits"].argmax(1)

        def loss(x, label=label):
            return torch.nn.functional.cross_entropy(model(x)["logits"], label)

        _, gradient = value_and_gradient(loss, picture, torch.float32)
        key = f"fgsm/{name}"
        yield f"{key}/label", np.int32(label.item())
        yield f"{key}/above", np.packbits(gradient > 0)
        yield f"{key}/below", np.packbits(gradient < 0)
        yield f"{key}/decided", np.packbits(np.abs(gradient) > 0.02 * np.abs(gradient).max())


def gram(features):
    _, c, h, w = features.shape
    flat = features.reshape(c, h * w)
    return flat @ flat.T / (h * w)


def gatys(content, style, x):
    """Yields value and gradient of content + 2e-3 style at x; 1 on relu4_2, 1/5 on each style layer."""
    for dtype, suffix in ((torch.float64, ""), (torch.float32, "/float32")):
        model = VGG16((*STYLE_LAYERS, "relu4_2"), dtype=dtype)
        with torch.no_grad():
            wanted = model(tensor(content, dtype))["relu4_2"]
            grams = {layer: gram(tap) for layer, tap in model(tensor(style, dtype)).items()}

        def loss(image, model=model, wanted=wanted, grams=grams):
            taps = model(image)
            total = (taps["relu4_2"] - wanted).square().mean()
            for layer in STYLE_LAYERS:
                c = taps[layer].shape[1]
                squared = (gram(taps[layer]) - grams[layer]).square().sum()
                total = total + 2e-3 * (squared / (4 * c**2)) / len(STYLE_LAYERS)
            return total

        value, gradient = value_and_gradient(loss, x, dtype)
        yield f"gatys/value{suffix}", value
        yield f"gatys/gradient{suffix}", gradient.astype(np.float32)


def variation(x, beta):
    """Returns sum ((right - x)^2 + (below - x)^2)^(beta/2), border differences 0, where the base is above 0."""
    down, right = torch.zeros_like(x), torch.zeros_like(x)
    down[..., :-1, :] = x[..., 1:, :] - x[..., :-1, :]
    right[..., :, :-1] = x[..., :, 1:] - x[..., :, :-1]
    square = down**2 + right**2
    return (square[square > 0] ** (beta / 2)).sum()


def inversion(exemplar, x):
    """Yields value and gradient of both presets' energies at x, in the units that the paper prints: 0 to 255."""
    model = VGG16((INVERTED,), dtype=torch.float64)
    mean = torch.tensor(MEAN_RGB, dtype=torch.float64).view(1, 3, 1, 1)
    with torch.no_grad():
        wanted = model(tensor(exemplar, torch.float64))[INVERTED]

    def data(image):
        return (model(image)[INVERTED] - wanted).square().sum() / wanted.square().sum()

    def default(image):
        return data(image) + 2 * variation(image, 2) / image.numel()

    def paper(image):
        squared_norm = 255**2 * 0.24**2 * image.numel()
        bytes_ = 255 * image
        prior = 8e-10 * (bytes_ - mean).abs().pow(6).sum() + 10 * variation(bytes_, 2)
        return data(image) + prior / (2 * squared_norm)

    for name, energy in (("default", default), ("paper", paper)):
        value, gradient = value_and_gradient(energy, x)
        yield f"inversion/{name}/value", value
        yield f"inversion/{name}/gradient", gradient.astype(np.float32)


def total_variation(pictures):
    for name, x in pictures.items():
        for beta in (1.0, 1.5, 2.0, 3.0):
            value, gradient = value_and_gradient(lambda image, beta=beta: variation(image, beta), x)
            yield f"variation/{name}/{beta}/value", value
            yield f"variation/{name}/{beta}/gradient", gradient


def main():
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    stored = bytes_of_inputs(rng)
    inputs = {name: value / 255 for name, value in stored.items()}
    small = {name: picture[80:144, 80:144] for name, picture in inputs.items()}
    between = (small["coffee"] + small["seeded"]) / 2
    golden = {f"input/{name}": value for name, value in stored.items()}
    golden.update(activations(inputs, rng))
    golden.update(saliency(inputs, rng))
    golden.update(signs(inputs))
    golden.update(gatys(small["coffee"], small["chelsea"], between))
    golden.update(inversion(small["coffee"], between))
    golden.update(
        total_variation({"seeded": inputs["seeded"][:32, :32], "coffee": inputs["coffee"][:32, :32]})
    )
    path = Path(__file__).with_name("golden.npz")
    np.savez_compressed(path, **golden)
    print(f"{path.name}: {len(golden)} arrays, {path.stat().st_size:,} bytes")  # noqa: T201


if __name__ == "__main__":
    main()
