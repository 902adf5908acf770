"""A step of fitting the same radiance field in PyTorch, as TensoRF's published program goes about it.

Planes and lines are looked up by `grid_sample`, samples in occupied space and those that can be seen are picked by
masks, so that shapes differ from step to step.
"""

from typing import Any

import torch
import torch.nn.functional as F

from benchmarks import fields
from benchmarks.peers import runtime
from benchmarks.worker import Work


def rows(options: dict[str, Any]) -> dict[str, Any]:
    """Returns the step."""
    return {"": {"torch eager": lambda: made(options)}}


class Field(torch.nn.Module):
    """Density and color of points in [-1, 1]³."""

    def __init__(self, nodes: int):
        super().__init__()
        given = {name: torch.from_numpy(table) for name, table in fields.tables(nodes).items()}
        for name in ("density", "color"):
            # A plane's first axis is its rows: `grid_sample` takes the column's coordinate first.
            planes = [plane.permute(2, 0, 1)[None].contiguous() for plane in given[f"{name} planes"]]
            lines = [line.T[None, :, :, None].contiguous() for line in given[f"{name} lines"]]
            for kind, tables in (("planes", planes), ("lines", lines)):
                setattr(self, f"{name}_{kind}", torch.nn.ParameterList(map(torch.nn.Parameter, tables)))
        self.basis = torch.nn.Parameter(given["basis"])

    def products(self, name: str, points: torch.Tensor) -> list[torch.Tensor]:
        """Returns [c, n] of each plane and its line."""
        found = []
        for (u, v), w, plane, line in zip(
            fields.PLANES,
            fields.LINES,
            getattr(self, f"{name}_planes"),
            getattr(self, f"{name}_lines"),
            strict=True,
        ):
            across = points[:, [v, u]][None, :, None]
            along = torch.stack([torch.zeros_like(points[:, w]), points[:, w]], 1)[None, :, None]
            parts = (
                F.grid_sample(*pair, align_corners=True)[0, ..., 0]
                for pair in ((plane, across), (line, along))
            )
            one, two = parts
            found.append(one * two)
        return found

    def density(self, points: torch.Tensor) -> torch.Tensor:
        total = sum(product.sum(0) for product in self.products("density", points))
        return fields.STEEPNESS / 12**0.5 * F.softplus(total + fields.SHIFT)

    def colors(self, points: torch.Tensor, looks: torch.Tensor) -> torch.Tensor:
        parts = torch.cat(self.products("color", points)).T @ self.basis
        return torch.sigmoid((parts.view(-1, 9, 3) * harmonics(looks)[:, :, None]).sum(1))

    def roughness(self, name: str) -> torch.Tensor:
        """Returns the mean squared differences of neighboring nodes of planes, both ways, summed."""
        planes = getattr(self, f"{name}_planes")
        return sum(plane.diff(dim=dim).square().mean() for plane in planes for dim in (2, 3))

    def magnitude(self) -> torch.Tensor:
        """Returns the mean absolute value of the density's planes and of its lines, summed."""
        groups = self.density_planes, self.density_lines
        return sum(torch.stack([table.abs().mean() for table in group]).mean() for group in groups)


def harmonics(looks: torch.Tensor) -> torch.Tensor:
    """Returns the real spherical harmonics up to degree 2, [n, 9]."""
    x, y, z = looks.T
    c0, c1, c2, c3 = 0.28209479177387814, 0.4886025119029199, 1.0925484305920792, 0.31539156525252005
    parts = [
        torch.full_like(x, c0),
        c1 * y,
        c1 * z,
        c1 * x,
        c2 * x * y,
        c2 * y * z,
        c3 * (3 * z * z - 1),
        c2 * x * z,
        c2 / 2 * (x * x - y * y),
    ]
    return torch.stack(parts, 1)


def made(options: dict[str, Any]) -> Work:
    """Returns the work of a step, and the losses of the first two."""
    nodes, where = options["nodes"], runtime.device()
    seen = {name: torch.from_numpy(array).to(where) for name, array in fields.rays(options["rays"]).items()}
    colors = seen["colors"][seen["index"].long()]
    cells = torch.from_numpy(fields.occupied(fields.tables(nodes))).to(where)
    steps, half = fields.steps_through(nodes), (nodes - 1) / 2
    pace = 1 / (seen["directions"] * half).norm(dim=1)

    def rendered(field: Field) -> torch.Tensor:
        at = (
            seen["near"][:, None]
            + (torch.arange(steps, device=where) + seen["shift"][:, None]) * pace[:, None]
        )
        points = seen["origins"][:, None] + at[..., None] * seen["directions"][:, None]
        near = ((points + 1) * half).round().long().clamp(0, nodes - 1)
        there = (at < seen["far"][:, None]) & cells[near[..., 0], near[..., 1], near[..., 2]]
        density = torch.zeros_like(at)
        density[there] = field.density(points[there])
        alpha = 1 - torch.exp(-density * pace[:, None])
        through = torch.cumprod(torch.cat([torch.ones_like(alpha[:, :1]), 1 - alpha[:, :-1]], 1), 1)
        weight = alpha * through
        shown = weight > fields.VISIBLE
        looks = seen["directions"][:, None].expand_as(points)[shown]
        color = torch.zeros_like(points)
        color[shown] = field.colors(points[shown], looks)
        weight = weight * shown
        return (weight[..., None] * color).sum(1) + (1 - weight.sum(1, keepdim=True))

    def fresh():
        field = Field(nodes).to(where)
        slow = [field.basis]
        fast = [one for name, one in field.named_parameters() if name != "basis"]
        groups = [{"params": fast}, {"params": slow, "lr": fields.RATE * fields.BASIS_RATE}]
        return field, torch.optim.Adam(groups, lr=fields.RATE, betas=fields.BETAS)

    def step(field, optimizer):
        optimizer.zero_grad(set_to_none=True)
        error = (rendered(field) - colors).square().mean()
        smooth = fields.SMOOTHNESS * field.roughness("density")
        smooth = smooth + fields.COLOR_SMOOTHNESS * field.roughness("color")
        (error + smooth + fields.SPARSITY * field.magnitude()).backward()
        optimizer.step()
        return runtime.ready(error.detach())

    state = fresh()

    def result():
        again = fresh()
        return {"loss": step(*again).item(), "loss after a step": step(*again).item()}

    return Work(lambda: step(*state), result=result)
