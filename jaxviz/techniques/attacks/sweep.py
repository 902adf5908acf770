"""Projected gradient descent over a grid of norms, steps, radii and restarts, and what withstands it."""

import csv
import functools
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float, Int

from jaxviz._checks import image as checked_image
from jaxviz._checks import index, known, random_key, whole
from jaxviz._typing import Image, Key, Number
from jaxviz.batching import batched
from jaxviz.networks import Network
from jaxviz.norms import NORMS
from jaxviz.objectives import margin
from jaxviz.optimizers import steepest_descent
from jaxviz.stepping import advance, init
from jaxviz.techniques.attacks.climbing import checked_steps, starts
from jaxviz.techniques.attacks.pgd import REACH
from jaxviz.techniques.attacks.posing import SHARE, problem, radius
from jaxviz.techniques.classes import LOSSES, class_count

LEVEL = 0.95
"""Of the intervals that are told."""


class Sweep(NamedTuple):
    """What attacks over a grid found: arrays [norm, step, ε, restart, image].

    Attributes:
      norms: Names.
      steps: Numbers of steps, ascending.
      epsilons: Radii, [norm, ε], ascending.
      clean: Whether the network is right about each picture as it is; the others are not attacked.
      success: Whether it is wrong after the attack; always where it was wrong before.
      margins: The best other class's score minus that of the label, above 0 where the attack succeeds.
      distances: Of the attacked picture, in the norm; 0 where nothing was attacked.
    """

    norms: tuple[str, ...]
    steps: tuple[int, ...]
    epsilons: Float[np.ndarray, "norms e"]
    clean: Bool[np.ndarray, " n"]
    success: Bool[np.ndarray, "norms s e r n"]
    margins: Float[np.ndarray, "norms s e r n"]
    distances: Float[np.ndarray, "norms s e r n"]

    def robust(self) -> Bool[np.ndarray, "norms s e n"]:
        """Returns which pictures are classified right whatever was tried: no restart succeeds."""
        return np.logical_not(self.success.any(3))

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yields one row for each norm, number of steps and ε: the share that withstands, and its interval.

        The interval is Wilson's (1927), of 95 %: what share of all pictures like these would withstand.
        """
        robust = self.robust()
        for n, s, e in itertools.product(*map(range, robust.shape[:3])):
            count, total = int(robust[n, s, e].sum()), robust.shape[3]
            low, high = interval(count, total)
            yield {
                "norm": self.norms[n],
                "steps": self.steps[s],
                "epsilon": float(self.epsilons[n, e]),
                "pictures": total,
                "clean accuracy": float(self.clean.mean()),
                "robust accuracy": count / total,
                "low": low,
                "high": high,
            }

    def curves(self) -> dict[str, list[tuple[float, float, float, float]]]:
        """Returns name → (ε, share that withstands, low, high), as `drawing.plots.interval_plot` takes them.

        Each begins at ε = 0, which no attack is.
        """
        found: dict[str, list[tuple[float, float, float, float]]] = {}
        right, total = int(self.clean.sum()), len(self.clean)
        unattacked = 0.0, right / total, *interval(right, total)
        for row in self.rows():
            plural = "" if row["steps"] == 1 else "s"
            several = f", {row['steps']} step{plural}" if len(self.steps) > 1 else ""
            point = row["epsilon"], row["robust accuracy"], row["low"], row["high"]
            found.setdefault(f"{row['norm']}{several}", [unattacked]).append(point)
        return found

    def to_csv(self, path: str | Path) -> None:
        """Writes `rows` as a table."""
        rows = list(self.rows())
        with Path(path).open("w", newline="") as file:
            table = csv.DictWriter(file, list(rows[0]))
            table.writeheader()
            table.writerows(rows)

    def to_json(self, path: str | Path) -> None:
        """Writes `rows`, and all arrays by their names."""
        arrays = {name: np.asarray(value).tolist() for name, value in self._asdict().items()}
        Path(path).write_text(json.dumps({"rows": list(self.rows()), **arrays}, indent=1) + "\n")


def interval(count: int, total: int) -> tuple[float, float]:
    """Returns Wilson's interval of 95 % around a share, `count` of `total`, at least one."""
    from scipy import stats

    low, high = stats.binomtest(count, total).proportion_ci(LEVEL, "wilson")
    return float(low), float(high)


def sweep(
    network: Network,
    images: Float[Array | np.ndarray, "n h w 3"],
    labels: Sequence[int] | Int[Array | np.ndarray, " n"],
    *,
    epsilons: Sequence[Number] | Mapping[str, Sequence[Number]],
    steps: Sequence[int] = (10,),
    norms: Sequence[str] = ("linf",),
    restarts: int = 1,
    loss: str = "cross-entropy",
    early_exit: bool = True,
    judge: Network | None = None,
    key: Key | int | None = None,
    mesh: Mesh | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Sweep:
    r"""Returns what projected gradient descent finds over a whole grid.

    Each attack is `pgd`'s, with steps of 2.5 ε over the largest number of steps; the smaller numbers are points on
    its way. A norm is one program for all radii, numbers of steps, restarts and pictures.

    Args:
      network: One with a classifier.
      images: Of one size, RGB, float32, in [0, 1].
      labels: The class of each.
      epsilons: Radii, as for `pgd`; or norm → as many for each norm.
      steps: Numbers of steps, 1 to 1023.
      norms: "linf", "l2", "l1".
      restarts: Random starts of each attack; 0 for one from the picture itself, which counts as a restart.
      loss: What is climbed, as for `pgd`.
      early_exit: Whether a picture is done once an attack in a smaller ball, or from an earlier start, succeeded
        after each of the numbers of steps: what was found lies in the larger ball too, and stands there. Otherwise
        all is computed.
      judge: The network whose answers count, where it is another than the attacked one: what is told is then how
        attacks transfer. One of the same classes.
      key: A random key, or a seed; None for 0. What is drawn for a picture and a restart depends on it alone.
      mesh: Devices to share the pictures among, from `jaxviz.mesh`.
      on_progress: Called with the attacks that are done and those that there are at most.

    Raises:
      KeyError: If there is no such norm or loss.
      ValueError: If a picture is none, labels are missing or are no classes, a number is out of range, or norms
        have different numbers of radii.

    Example:
      >>> network = jaxviz.load("squeezenet1_1")
      >>> pictures = np.full((2, 64, 64, 3), 0.5, np.float32)
      >>> found = jaxviz.attacks.sweep(network, pictures, [904, 3], epsilons=[0.01, 0.02], steps=[1, 2])
      >>> found.success.shape
      (1, 2, 2, 1, 2)
    """
    images = np.asarray([checked_image(image, f"image {k}") for k, image in enumerate(images)])
    targets = checked_labels(network, labels, len(images))
    names = tuple(known(norm, NORMS, "norm") for norm in norms)
    known(loss, LOSSES, "loss of an attack")
    radii = _radii(epsilons, names)
    marks = tuple(sorted({checked_steps(count) for count in steps}))
    runs = max(1, whole(restarts, "restarts", 0))
    if not (names and marks and len(images)):
        raise ValueError("images, norms and steps need at least one entry each")
    keys = jax.random.split(random_key(0 if key is None else key), (runs, len(images)))

    judge = network if judge is None else judge
    if class_count(judge) != class_count(network):
        raise ValueError(f"judge has {judge.classes} classes; expected {network.classes}, as the network")
    before = np.asarray(batched(_margin, in_axes=(None, 0, 0), mesh=mesh)(judge, images, targets))
    clean = before <= 0
    # Of each attack the number of steps comes last here, as it is told.
    told = np.zeros((2, len(names), radii.shape[1], runs, len(images), len(marks)), np.float32)
    told[0] = before[:, None]
    new_steps = np.diff(np.asarray(marks, np.int32), prepend=-1).astype(np.int32)
    done, most = 0, len(names) * radii.shape[1] * runs * int(clean.sum())
    for n, norm in enumerate(names):
        axes = (None, None, 0, 0, None, 0, None)
        attack = batched(_attack(norm, loss, restarts > 0), in_axes=axes, mesh=mesh)
        here, standing = told[:, n], clean.copy()
        for e, r in itertools.product(range(radii.shape[1]), range(runs)):
            chosen = np.flatnonzero(standing)
            if len(chosen):
                found = attack(
                    network, judge, images[chosen], targets[chosen], radii[n, e], keys[r][chosen], new_steps
                )
                here[:, e, r, chosen] = np.stack([np.asarray(values) for values in found])
            if early_exit:
                fallen = chosen[(here[0, e, r, chosen] > 0).all(-1)]
                here[:, e, r + 1 :][:, :, fallen] = here[:, e, r, fallen][:, None]
                here[:, e + 1 :][:, :, :, fallen] = here[:, e, r, fallen][:, None, None]
                standing[fallen] = False
            done += int(clean.sum())
            if on_progress is not None:
                on_progress(done, most)
    margins, distances = np.moveaxis(told, -1, 2)
    return Sweep(names, marks, radii, clean, (margins > 0) | ~clean, margins, distances)


def checked_labels(network: Network, labels: Any, count: int) -> Int[np.ndarray, " n"]:
    """Returns classes as an array; raises ValueError unless there is one of the network's for each picture."""
    classes = class_count(network)
    if labels is None or np.ndim(labels) != 1 or len(labels) != count:
        raise ValueError(f"labels has shape {list(np.shape(labels))}; expected one class for each of {count}")
    return np.asarray([index(label, f"label {k}", classes) for k, label in enumerate(labels)], np.int32)


def _radii(epsilons: Any, norms: tuple[str, ...]) -> Float[np.ndarray, "norms e"]:
    given = epsilons if isinstance(epsilons, Mapping) else dict.fromkeys(norms, epsilons)
    if missing := [norm for norm in norms if norm not in given]:
        raise ValueError(f"epsilons has none for {', '.join(missing)}")
    rows = [sorted({float(radius(value, norm)) for value in given[norm]}) for norm in norms]
    if not rows or len({len(row) for row in rows}) > 1 or not rows[0]:
        raise ValueError("epsilons needs as many radii for each norm, at least one")
    return np.asarray(rows, np.float32)


def _margin(network: Network, image: Image, label: Array) -> Array:
    return margin(label)(network.features(image, ["logits"]))


@functools.cache
def _attack(norm: str, loss: str, drawn: bool) -> Callable[..., Any]:
    def function(
        network: Network,
        judge: Network,
        image: Image,
        label: Array,
        epsilon: Array,
        key: Key,
        steps: Int[Array, " s"],
    ) -> tuple[Array, Array]:
        posed, x = problem(network, image, label, epsilon=epsilon, norm=norm, loss=loss)
        start = starts(x, epsilon, norm, int(drawn), key)[0]
        optimizer = steepest_descent(REACH * epsilon / (steps.sum() - 1), norm=norm, share=SHARE)

        def on(state: Any, count: Array) -> Any:
            state = advance(posed, state, count)
            told = _margin(judge, state.best, label), NORMS[norm].measure(state.best - image)
            return state, told

        return jax.lax.scan(on, init(posed, start, optimizer, jax.random.key(0)), steps)[1]

    return function
