"""A fitted scene in the style of pictures: the same from every side, since the field itself is painted."""

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxviz._checks import image as checked_image
from jaxviz._checks import known, number, whole
from jaxviz._checks import shares as checked_shares
from jaxviz._typing import AnyImage, Number
from jaxviz.networks import Network, compiled_features
from jaxviz.networks.structure import structure
from jaxviz.objectives import match_nearest
from jaxviz.radiance import painting, recoloring
from jaxviz.radiance.fitting import FitError
from jaxviz.radiance.models import CHUNK, NO_TINT, Model, Seen, budget_of, see, see_within
from jaxviz.radiance.painting import Losses, Work, painted, stepped
from jaxviz.radiance.paths import resized
from jaxviz.radiance.presets import STYLIZING
from jaxviz.radiance.scenes import Cameras
from jaxviz.training.stopping import stopped

COLORS = ("style", "keep", "only")
JUDGED = 25
"""Views, at most, by which colors are matched afterwards and the nearest distance is told."""


@dataclasses.dataclass(frozen=True)
class Stroke:
    """How far a stylization is, as `on_step` gets it.

    Attributes:
      step: Steps made, since the very beginning.
      steps: In all.
      stage: "colors" or "style".
      losses: Parts of the loss by name, weighted.
    """

    step: int
    steps: int
    stage: str
    losses: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class Stylized:
    """What a stylization gave.

    Attributes:
      model: The scene.
      step: Steps made, since the very beginning.
      losses: Parts of the loss of each step of this run, by name, weighted.
      nearest: Mean distance of the views' features from the nearest of the styles', before and after.
      seconds: Of this run, by what they were spent on: "views" that were rendered before, "compile" of first steps,
        "colors", "style", and "after".
      interrupted: Whether Ctrl-C or SIGTERM ended it.
    """

    model: Model
    step: int
    losses: list[Mapping[str, float]]
    nearest: tuple[float, float]
    seconds: Mapping[str, float]
    interrupted: bool


def stylize(
    model: Model,
    network: Network,
    styles: Sequence[AnyImage],
    *,
    preset: str = "default",
    shares: Sequence[Number] | None = None,
    blend: str = "weights",
    colors: str = "style",
    seed: int = 0,
    start: tuple[Work, int] | None = None,
    keep: Callable[[Work, int], None] | None = None,
    keep_every: int = 100,
    on_step: Callable[[Stroke], None] | None = None,
    **options: Any,
) -> Stylized:
    r"""Returns a scene in the style of pictures, by the views of its cameras.

    .. math:: L_v = \beta \, N(x_v, a) + \frac{\alpha}{n} \lVert \phi(x_v) - \phi(p_v) \rVert^2
              + \frac{\lambda}{2} TV(x_v)

    with N as `objectives.match_nearest` has it, on the features φ of a view. Density stays as it is; colors lose
    what depends on the direction. First the views p are given the styles' mean and covariance of colors, and the
    field's colors are fitted to them; then each step takes one view x, whose gradient is deferred to patches; at
    the end the field's colors are given the styles' mean and covariance.

    Args:
      model: A scene, such as `load` gives.
      network: Whose features are compared.
      styles: One or more pictures, RGB in [0, 1], of any size from what a feature sees on: it sets the size of the
        strokes.
      preset: "default", or "arf" for the numbers of [1]; what is given in `options` takes the place of its values.
      shares: How much of each style is wanted, at least 0; they are divided by their sum. None for equal ones.
      blend: "weights" for the shares from everywhere, or "views": from one side of the cameras to the other each
        style in turn.
      colors: "style" for the styles' colors; "keep" for the scene's, which the styles are given before; "only" to
        give the scene the styles' colors and change nothing else.
      seed: Of the order of views.
      start: Work and step to go on from, as `keep` got them.
      keep: Called with the work every `keep_every` steps and at the end.
      keep_every: Steps.
      on_step: Called after every step.
      options: `style_weight` β; `content_weight` α, which a preset has by the kind of scene, for features of the
        size of torchvision's; `tv_weight` λ; `layers` of φ; `steps` and `color_steps`, or, where these are None,
        `epochs` and `color_epochs`, steps for each view; `learning_rate` and `last_rate` of RMSprop, at the
        beginning and at the end, `basis_rate` and `memory`; `downscale`, by which views are smaller than the
        photographs.

    Raises:
      KeyError: If the preset, a layer, an option or a way does not exist.
      ValueError: If a style is no picture or smaller than what a feature sees, or a number is out of range.
      FitError: If the loss is NaN or infinite.

    References:
      [1] Zhang, Kolkin, Bi, Luan, Xu, Shechtman, Snavely. ARF: Artistic Radiance Fields. ECCV 2022.
    """
    usual = STYLIZING[known(preset, STYLIZING, "preset of stylization")]
    for name in options:
        known(name, usual.values, "option of a stylization")
    values = usual.merged(options)
    run = _Run(model, network, styles, values, shares, blend, known(colors, COLORS, "way of colors"), seed)
    return run.recolored() if colors == "only" else run.go(start, keep, keep_every, on_step)


def steps_of(values: Mapping[str, Any], views: int) -> tuple[int, int]:
    """Returns how many steps a stylization makes for colors, and how many for the style.

    Raises:
      ValueError: If a number is out of range.
    """
    found = []
    for name, epochs, low in (("color_steps", "color_epochs", 0), ("steps", "epochs", 1)):
        given = values[name]
        found.append(round(values[epochs] * views) if given is None else whole(given, name, low))
    return found[0], found[1]


def check_styles(network: Network, styles: Sequence[AnyImage], layers: Sequence[str]) -> None:
    """Raises ValueError where a style is smaller than what a feature of a layer sees."""
    parts = structure(network.architecture).parts
    deepest, sees = max(((layer, max(parts[layer].field.size)) for layer in layers), key=lambda pair: pair[1])
    for k, style in enumerate(styles):
        h, w = style.shape[:2]
        if min(h, w) < sees:
            raise ValueError(
                f"style {k + 1} has {w}×{h} pixels, and a feature of {deepest} sees {sees}×{sees}; expected a "
                "larger picture"
            )


class _Run:
    def __init__(
        self,
        model: Model,
        network: Network,
        styles: Sequence[AnyImage],
        values: Mapping[str, Any],
        shares: Sequence[Number] | None,
        blend: str,
        colors: str,
        seed: int,
    ):
        if not len(styles):
            raise ValueError("styles is empty; give at least one picture")
        self.model, self.network, self.values, self.colors, self.seed = model, network, values, colors, seed
        self.styles = [np.asarray(checked_image(style, f"style {k + 1}")) for k, style in enumerate(styles)]
        for layer in values["layers"]:
            known(layer, network.layers, f"layer of {network.name or 'this network'}")
        check_styles(network, self.styles, values["layers"])
        factor = float(number(values["downscale"], "downscale", 1))
        h, w = (max(1, round(side / factor)) for side in model.cameras.size)
        self.cameras = resized(model.cameras, (h, w))
        self.patch = min(CHUNK, h * w)
        parts = np.asarray(checked_shares(shares, len(self.styles), "style"))
        self.shares = recoloring.shares_of_views(self.cameras, parts, blend)
        self.wanted = recoloring.colors_of_styles(self.styles, self.shares.mean(0))
        self.count = self.cameras.count
        self.color_steps, style_steps = steps_of(values, self.count)
        self.steps = self.color_steps + style_steps
        self.rates = [
            float(number(values[name], name, 1e-9)) for name in ("learning_rate", "last_rate", "basis_rate")
        ]
        self.memory = float(number(values["memory"], "memory", 0, 0.9999))
        self.seconds = dict.fromkeys(("views", "compile", "colors", "style", "after"), 0.0)

    def recolored(self) -> Stylized:
        """Returns the scene with the styles' colors, and else as it was."""
        began = time.perf_counter()
        seen = list(see(self.model, self._judged()))
        change = recoloring.matched(recoloring.colors_of(self.model, seen), self.wanted)
        tint = jnp.asarray(recoloring.after(self.model.tint, change))
        self.seconds["views"] = time.perf_counter() - began
        losses = self._losses(self.styles)
        before = self._distance(losses, [np.asarray(view.color) for view in seen])
        changed = self._distance(losses, [recoloring.recolored(self.model, view, change) for view in seen])
        made = dataclasses.replace(self.model, tint=tint)
        return Stylized(made, 0, [], (before, changed), self.seconds, False)

    def go(
        self,
        start: tuple[Work, int] | None,
        keep: Callable[[Work, int], None] | None,
        keep_every: int,
        on_step: Callable[[Stroke], None] | None,
    ) -> Stylized:
        began = time.perf_counter()
        targets, palette, budget = self._seen_before()
        styles = self.styles if self.colors == "style" else self._in_colors_of(palette)
        losses = self._losses(styles)
        before = self._distance(losses, [targets[k] for k in self._few()])
        self.seconds["views"] = time.perf_counter() - began
        work, at = start or (painting.begun(self.model), 0)
        told: list[Mapping[str, float]] = []
        compiled: set[str] = set()
        with stopped() as stop:
            while at < self.steps and not stop.is_set():
                began = time.perf_counter()
                stage = "colors" if at < self.color_steps else "style"
                if at == self.color_steps:
                    # Its gradients have another size.
                    work = painting.without_memory(work)
                view = self._view(at)
                work, found = stepped(
                    work,
                    self.model,
                    losses,
                    self.cameras[view : view + 1],
                    jnp.asarray(targets[view]),
                    jnp.asarray(self.shares[view]),
                    self._numbers(at),
                    stage=stage,
                    budget=budget,
                    patch=self.patch,
                )
                told.append({name: float(value) for name, value in found.items()})
                at += 1
                if not all(math.isfinite(value) for value in told[-1].values()):
                    raise FitError(f"the loss of step {at} is NaN or infinite; take a smaller learning rate")
                self.seconds[stage if stage in compiled else "compile"] += time.perf_counter() - began
                compiled.add(stage)
                if on_step is not None:
                    on_step(Stroke(at, self.steps, stage, told[-1]))
                if keep is not None and at % keep_every == 0 and at < self.steps:
                    keep(work, at)
        if keep is not None:
            keep(work, at)
        began = time.perf_counter()
        made, views = self._tinted(work, self.wanted if self.colors == "style" else palette)
        reached = self._distance(losses, views)
        self.seconds["after"] = time.perf_counter() - began
        return Stylized(made, at, told, (before, reached), self.seconds, at < self.steps)

    def _seen_before(self) -> tuple[list[np.ndarray], np.ndarray, Any]:
        """Returns the views whose content is to be kept, their colors, and the budget of a patch of them."""
        seen: list[Seen] = []
        factor = 1
        for view, enough in see_within(self.model, self.cameras, self.patch):
            seen.append(view)
            factor = enough
        palette = recoloring.colors_of(self.model, seen)
        if self.colors == "style":
            change = recoloring.matched(palette, self.wanted)
            pictures = [recoloring.recolored(self.model, view, change) for view in seen]
        else:
            pictures = [np.asarray(view.color) for view in seen]
        return pictures, palette, budget_of(self.model, self.patch, factor)

    def _in_colors_of(self, palette: np.ndarray) -> list[np.ndarray]:
        change = recoloring.matched(self.wanted, palette)
        return [np.clip(style @ change[:, :3].T + change[:, 3], 0, 1) for style in self.styles]

    def _losses(self, styles: Sequence[np.ndarray]) -> Losses:
        values, layers = self.values, tuple(self.values["layers"])
        content = values["content_weight"]
        if isinstance(content, Mapping):
            content = content["forward" if self.model.space.forward else "box"]
        taps = [compiled_features(self.network, jnp.asarray(style), layers) for style in styles]
        even = dict.fromkeys(layers, 1 / len(layers))
        return Losses(
            self.network,
            match_nearest(taps, weights=even, precision=self.network.precision),
            number(values["style_weight"], "style_weight", 0),
            number(content, "content_weight", 0),
            number(values["tv_weight"], "tv_weight", 0),
            layers,
        )

    def _view(self, at: int) -> int:
        """Returns the view of a step: every one once, in an order that is drawn anew, before any is taken again."""
        turn, place = divmod(at, self.count)
        return int(np.random.default_rng([self.seed, turn]).permutation(self.count)[place])

    def _numbers(self, at: int) -> dict[str, Any]:
        first, last, basis = self.rates
        # While colors are fitted the rate is the first one; it falls while they are painted.
        part = max(0, at - self.color_steps) / max(1, self.steps - self.color_steps)
        rate = first * (last / first) ** part
        count = at + 1 - (0 if at < self.color_steps else self.color_steps)
        found = {"rate": rate, "basis_rate": basis, "memory": self.memory, "count": count}
        return {name: jnp.float32(value) for name, value in found.items()}

    def _few(self) -> list[int]:
        return sorted({round(k) for k in np.linspace(0, self.count - 1, min(self.count, JUDGED))})

    def _judged(self) -> Cameras:
        return self.cameras[np.asarray(self._few())]

    def _distance(self, losses: Losses, views: Sequence[np.ndarray]) -> float:
        found = [
            float(_distance(losses, jnp.asarray(view), jnp.asarray(self.shares[k])))
            for k, view in zip(self._few(), views, strict=True)
        ]
        return float(np.mean(found))

    def _tinted(self, work: Work, wanted: np.ndarray) -> tuple[Model, list[np.ndarray]]:
        """Returns the painted scene with the colors that are wanted, and some views of it."""
        bare = painted(self.model, work.paint, NO_TINT)
        seen = list(see(bare, self._judged()))
        change = recoloring.matched(recoloring.colors_of(bare, seen), wanted)
        return painted(self.model, work.paint, change), [recoloring.recolored(bare, v, change) for v in seen]


@jax.jit
def _distance(losses: Losses, view: Any, shares: Any) -> Any:
    return losses.of_style(losses.network.features(view, losses.layers), shares)
