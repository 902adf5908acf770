"""What a run of training shows while it goes on: curves, sheets of samples, and both for TensorBoard."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxviz import images
from jaxviz.drawing import plots, sheets
from jaxviz.training.data import Crop
from jaxviz.training.recipe import Recipe

SHOWN = 4
"""Photographs on a sheet: always the first of the source."""


class Reports:
    """Writes `losses.png`, `sheets/` and `tensorboard/` in a run's folder."""

    def __init__(self, folder: Path, recipe: Recipe, crops: Mapping[str, Crop]):
        self.folder, self.recipe, self.crops = folder, recipe, crops
        self.writer = _tensorboard(folder / "tensorboard")
        self._pictures: dict[str, list[np.ndarray]] = {}

    def tell(self, step: int, losses: Mapping[str, float | int], per_second: float) -> None:
        """Adds numbers for TensorBoard."""
        if self.writer is not None:
            for name, value in losses.items():
                self.writer.add_scalar(f"loss/{name}", value, step)
            self.writer.add_scalar("pictures per second", per_second, step)

    def draw(self, step: int, model: Any, rows: Sequence[Mapping[str, float | int]]) -> None:
        """Draws samples of the network as it is, and the curves until now."""
        photographs = self._firsts("content")
        paintings = self._firsts("style") if self.recipe.least_styles else [None] * len(photographs)
        lines = []
        for k, photograph in enumerate(photographs):
            painting = paintings[k % len(paintings)]
            drawn = self.recipe.samples(model, photograph, painting)
            lines.append(
                [("photograph", photograph), *((name, np.asarray(one)) for name, one in drawn.items())]
            )
        (self.folder / "sheets").mkdir(exist_ok=True)
        sheet = sheets.scenes(lines, caption=f"step {step}")
        images.write(self.folder / "sheets" / f"{step:07d}.png", sheet)
        if rows:
            images.write(self.folder / "losses.png", _curves(rows))
        if self.writer is not None:
            self.writer.add_image("samples", np.asarray(images.to_bytes(sheet)), step, dataformats="HWC")
            self.writer.flush()

    def close(self) -> None:
        """Ends what was begun."""
        if self.writer is not None:
            self.writer.close()

    def _firsts(self, kind: str) -> list[np.ndarray]:
        if kind not in self._pictures:
            crop = self.crops[kind]
            count = min(SHOWN, len(crop.source))
            # Their own random numbers, so that a sheet takes none from the training.
            cut = [crop(k, np.random.default_rng(k)) for k in range(count)]
            self._pictures[kind] = [images.to_floats(one) for one in cut]
        return self._pictures[kind]


def _curves(rows: Sequence[Mapping[str, float | int]]) -> np.ndarray:
    names = [name for name in rows[0] if name not in ("step", "per_second")]
    curves = {
        name: ([row["step"] for row in rows], [row[name] for row in rows])
        for name in names
        if any(row[name] > 0 for row in rows)
    }
    return plots.curves_plot(curves, across="step", up="loss")


def _tensorboard(folder: Path) -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder))
