"""Radiance fields: the cases, and the scene that both sides take, a ball amid cameras. Imports no runtime."""

from typing import Any

import numpy as np

from benchmarks.records import Case

PLANES, LINES = ((0, 1), (0, 2), (1, 2)), (2, 1, 0)
"""Axes of the three planes, and of the line that belongs to each."""
SHIFT, STEEPNESS, THRESHOLD = -8.0, 100.0, 1e-3
"""Density is STEEPNESS / diagonal · softplus(f + SHIFT); a node is empty whose opacity is below THRESHOLD."""
RATE, BASIS_RATE, BETAS = 0.02, 0.05, (0.9, 0.99)
SPARSITY, SMOOTHNESS, COLOR_SMOOTHNESS = 4e-5, 0.01, 0.001
VISIBLE = 1e-4
VIEWS, SIDE, FOCAL, DISTANCE, NEAR = 8, 100, 140.0, 3.5, 0.1


def field(quick: bool) -> list[Case]:
    settings = ((24, 32),) if quick else ((100, 256), (100, 1024))
    return [
        Case(f"{rays} rays, {nodes}³ nodes", {"nodes": nodes, "rays": rays}, facts={"target": 1.0})
        for nodes, rays in settings
    ]


def poses() -> np.ndarray:
    """Returns the poses [n, 3, 4] of cameras around the origin, which look at it."""
    found = []
    for k in range(VIEWS):
        turn, z = 2 * np.pi * k / VIEWS, 0.2 + 0.6 * k / VIEWS
        back = np.array([np.cos(turn) * (1 - z * z) ** 0.5, np.sin(turn) * (1 - z * z) ** 0.5, z])
        right = np.cross([0.0, 0.0, 1.0], back)
        right /= np.linalg.norm(right)
        found.append(np.stack([right, np.cross(back, right), back, DISTANCE * back], 1))
    return np.stack(found).astype(np.float32)


def tables(nodes: int) -> dict[str, np.ndarray]:
    """Returns planes [3, n, n, c] and lines [3, n, c] of density and colors, and the basis: a ball, and noise."""
    rng, at = np.random.default_rng(5), np.linspace(-1, 1, nodes)
    made = {}
    for name, channels in (("density", 8), ("color", 24)):
        planes = 0.1 * rng.standard_normal((3, nodes, nodes, channels))
        lines = 0.1 * rng.standard_normal((3, nodes, channels))
        if name == "density":
            # f = 18 - 30 r² in two products.
            planes[0, ..., 0], lines[0, :, 0] = 18 - 30 * (at[:, None] ** 2 + at**2), 1
            planes[0, ..., 1], lines[0, :, 1] = 1, -30 * at**2
        made |= {f"{name} planes": planes, f"{name} lines": lines}
    made["basis"] = rng.standard_normal((72, 27)) / 72**0.5
    return {name: table.astype(np.float32) for name, table in made.items()}


def occupied(made: dict[str, np.ndarray]) -> np.ndarray:
    """Returns whether nodes, or their neighbors, hold something, [n, n, n]."""
    total = 0.0
    for (u, v), w, plane, line in zip(
        PLANES, LINES, made["density planes"], made["density lines"], strict=True
    ):
        total = total + np.moveaxis(np.einsum("uvc,wc->uvw", plane, line), (0, 1, 2), (u, v, w))
    dense = 1 - np.exp(-np.logaddexp(0, total + SHIFT) * STEEPNESS / 100) > THRESHOLD
    for axis in range(3):
        padded = np.pad(dense, [(1, 1) if k == axis else (0, 0) for k in range(3)])
        parts = [np.take(padded, range(k, k + dense.shape[axis]), axis) for k in range(3)]
        dense = parts[0] | parts[1] | parts[2]
    return dense


def rays(count: int) -> dict[str, Any]:
    """Returns which pixels are taken, through which point of its steps each is sampled, their rays and colors."""
    rng = np.random.default_rng(6)
    # Of the middle half, where the ball is: a fit takes rays that meet something.
    view, row, column = (rng.integers(low, high, count) for low, high in ((0, VIEWS), (25, 75), (25, 75)))
    pose = poses()[view]
    inside = np.stack(
        [(column + 0.5 - SIDE / 2) / FOCAL, -(row + 0.5 - SIDE / 2) / FOCAL, -np.ones(count)], 1
    )
    directions = np.sum(pose[:, :, :3] * inside[:, None], 2)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    crossings = np.stack([(-1 - pose[:, :, 3]) / directions, (1 - pose[:, :, 3]) / directions])
    return {
        "index": ((view * SIDE + row) * SIDE + column).astype(np.int32),
        "shift": rng.random(count).astype(np.float32),
        "origins": pose[:, :, 3],
        "directions": directions.astype(np.float32),
        "near": np.maximum(crossings.min(0).max(1), NEAR).astype(np.float32),
        "far": crossings.max(0).min(1).astype(np.float32),
        "colors": rng.random((VIEWS * SIDE * SIDE, 3)).astype(np.float32),
    }


def steps_through(nodes: int) -> int:
    """Returns how many steps of one node the longest ray takes, in multiples of 8."""
    return -(-int(3**0.5 * (nodes - 1) + 1) // 8) * 8
