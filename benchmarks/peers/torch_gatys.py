"""The loss of Gatys et al. in PyTorch, and its minimization by torch.optim.LBFGS. Imports no jaxviz."""

from collections.abc import Callable

import numpy as np
import torch

from benchmarks.peers.torch_models import VGG16

CONTENT_LAYER = "relu4_2"
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
STYLE_WEIGHT = 2e-3
LAYOUTS = {"default layout": torch.contiguous_format, "channels-last": torch.channels_last}


def start(cores: int, precision: str) -> str:
    """Returns the device to use, with threads and products set as the other side has them."""
    torch.set_num_threads(cores)
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = False
    return "cuda" if torch.cuda.is_available() else "cpu"


def synchronize(device: str) -> None:
    """Waits until the device has done its work."""
    if device == "cuda":
        torch.cuda.synchronize()


def tensor(images: np.ndarray, device: str, memory_format: torch.memory_format) -> torch.Tensor:
    """Returns images [n, h, w, 3] as [n, 3, h, w] on a device."""
    moved = np.ascontiguousarray(images.transpose(0, 3, 1, 2), np.float32)
    return torch.from_numpy(moved).to(device).contiguous(memory_format=memory_format)


def array(images: torch.Tensor) -> np.ndarray:
    """Returns [n, h, w, 3] of a tensor."""
    return images.detach().cpu().numpy().transpose(0, 2, 3, 1)


def gram(features: torch.Tensor) -> torch.Tensor:
    """Returns the Gram matrix per position of one image's features."""
    _, c, h, w = features.shape
    if features.is_contiguous():
        flat = features.reshape(c, h * w)
        return flat @ flat.T / (h * w)
    flat = features.permute(0, 2, 3, 1).reshape(h * w, c)  # no copy where channels come last
    return flat.T @ flat / (h * w)


class GatysLoss(torch.nn.Module):
    """Mean squared distance on relu4_2, plus 2e-3 times the mean over five layers of ‖ΔG‖² / (4 c²)."""

    def __init__(
        self, content: np.ndarray, style: np.ndarray, device: str, memory_format: torch.memory_format
    ):
        super().__init__()
        self.network = VGG16((*STYLE_LAYERS, CONTENT_LAYER), device=device, memory_format=memory_format)
        with torch.no_grad():
            taps = self.network(tensor(style[None], device, memory_format))
            self.grams = {layer: gram(taps[layer]) for layer in STYLE_LAYERS}
            self.wanted = self.network(tensor(content[None], device, memory_format))[CONTENT_LAYER]

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        taps = self.network(image)
        loss = (taps[CONTENT_LAYER] - self.wanted).square().mean()
        for layer in STYLE_LAYERS:
            c = taps[layer].shape[1]
            squared = (gram(taps[layer]) - self.grams[layer]).square().sum()
            loss = loss + STYLE_WEIGHT / len(STYLE_LAYERS) * squared / (4 * c * c)
        return loss


def value_and_gradient(loss: Callable, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the loss and its derivative."""
    x = x.detach().requires_grad_()
    value = loss(x)
    return value.detach(), torch.autograd.grad(value, x)[0]


def minimize(loss: Callable, x: torch.Tensor, evaluations: int) -> tuple[torch.Tensor, list[float]]:
    """Returns the point of lowest loss of `evaluations` calls of torch.optim.LBFGS's closure, and all losses."""
    # LBFGS flattens gradients by views: the image itself stays in the default layout.
    x = x.detach().clone(memory_format=torch.contiguous_format).requires_grad_()
    optimizer = torch.optim.LBFGS(
        [x],
        lr=1,
        max_iter=evaluations,
        max_eval=evaluations,
        history_size=20,
        tolerance_grad=0,
        tolerance_change=0,
    )
    losses: list[float] = []
    lowest = x.detach().clone()

    def closure():
        optimizer.zero_grad()
        value = loss(x)
        value.backward()
        if not losses or value.item() < min(losses):
            lowest.copy_(x.detach())
        losses.append(value.item())
        return value

    optimizer.step(closure)
    return lowest, losses
