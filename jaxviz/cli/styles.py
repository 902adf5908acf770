"""What the commands of stylizing networks share: the model, which styles of it, how much of each."""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from jaxviz import stylization
from jaxviz._checks import number
from jaxviz._checks import shares as checked_shares
from jaxviz.cli.options import HOW, WHAT, numbers, option
from jaxviz.cli.session import Failure, Session
from jaxviz.cli.synthesis.common import longer
from jaxviz.stylization import Bank

STYLE_SIZE = 512
"""Longer side of a painting where nothing else is asked for: strokes as large as on a picture of that size."""

Model = Annotated[
    str, option("--model", WHAT, "A name that `jaxviz models` lists, or a file that `jaxviz train` wrote.")
]
Styles = Annotated[
    list[str] | None,
    option(
        "--style",
        WHAT,
        "A style: one of the model's names, or a picture for a model of any style; may be repeated. Default: the "
        "model's first.",
    ),
]
Mix = Annotated[
    str | None,
    option("--mix", WHAT, "In the place of --style, several and how much of each, as waves=0.3,mosaic=0.7."),
]
StyleSize = Annotated[
    str | None,
    option(
        "--style-size",
        HOW,
        f"Longer side of pictures of styles: larger for larger strokes. Default: {STYLE_SIZE}.",
    ),
]


@dataclasses.dataclass(frozen=True)
class Chosen:
    """A model and what of it was asked for.

    Attributes:
      model: From `stylization.load`.
      names: Of the styles, as they were given.
      styles: The same as `model.codes` takes them: names or pictures.
      codes: What the model takes of them.
      shares: How much of each, of sum 1.
    """

    model: Any
    names: list[str]
    styles: list[Any]
    codes: Any
    shares: np.ndarray

    def seen(self, keep_colors: str | None) -> Any:
        """Returns the styles as `stylize` takes them, or `recolored` where colors are to be kept."""
        return self.codes if keep_colors is None or isinstance(self.model, Bank) else self.styles


def chosen(
    session: Session, model: str, style: list[str] | None, mix: str | None, style_size: str | None
) -> Chosen:
    """Returns the model of a session with the styles that were asked for, and notes both in the record.

    Raises:
      KeyError: If there is no such model, or style of it.
      ValueError: If --mix is no list of styles and shares, or a model of any style is given none.
      WeightsError: If the model's file cannot be used.
      PictureError: If the picture of a style cannot.
    """
    if style and mix:
        raise ValueError("--style and --mix both name the styles; give one of them")
    side = _side(style_size)
    names, shares = mixture(mix) if mix else (list(style or []), None)
    loaded = stylization.load(model, precision=session.given["precision"])
    described = stylization.describe(model)
    session.record["model"] = described
    if isinstance(loaded, Bank):
        names = names or [loaded.styles[0]]
        # What is no name may be a picture: the model tells why it has no use for it.
        named = [name in loaded.styles or not Path(name).is_file() for name in names]
        if style_size is not None and all(named):
            raise ValueError("--style-size is for pictures of styles, and this model has its own")
    elif names:
        named = [False] * len(names)
    else:
        raise ValueError(f"{model} draws in the style of a picture; give one with --style FILE")
    styles: list[Any] = [
        name if is_name else longer(session, name, side) for name, is_name in zip(names, named, strict=True)
    ]
    codes = loaded.codes(styles)
    parts = np.asarray(checked_shares(shares, len(names), "style"))
    session.record |= {"styles": names, "weights": parts.tolist()}
    return Chosen(loaded, names, styles, codes, parts)


def mixture(text: str) -> tuple[list[str], list[float]]:
    """Returns names and shares of a text such as "waves=0.3,mosaic=0.7".

    Raises:
      ValueError: If it is none, or a name stands in it twice.

    Example:
      >>> mixture("waves=0.3,mosaic=0.7")
      (['waves', 'mosaic'], [0.3, 0.7])
    """
    pairs = [part.rpartition("=") for part in text.split(",")]
    names = [name.strip() for name, _, _ in pairs]
    if not all(names):
        raise ValueError(f"--mix is {text!r}; expected styles and how much of each, as waves=0.3,mosaic=0.7")
    if len(set(names)) != len(names):
        raise ValueError(f"--mix names a style twice in {text!r}")
    return names, list(numbers(",".join(share for _, _, share in pairs), "--mix"))


def _side(text: str | None) -> int:
    if text is None:
        return STYLE_SIZE
    try:
        side = int(text)
    except ValueError:
        side = 0
    if side < 1:
        raise ValueError(f"--style-size is {text!r}; expected a whole number of pixels, as 512")
    return side


def alphas(text: str) -> list[float]:
    """Returns the numbers of --alpha; raises ValueError where one is not in [0, 1]."""
    found = numbers(text, "--alpha")
    for value in found:
        number(value, "--alpha", 0, 1)
    return list(found)


@functools.cache
def function(kind: str | None) -> Callable[..., Any]:
    """Returns the function of a model, a picture, styles, weights and alpha."""

    def function(model: Any, image: Any, seen: Any, weights: Any, alpha: Any) -> Any:
        if kind is None:
            return stylization.stylize(model, image, seen, weights=weights, alpha=alpha)
        return stylization.recolored(model, image, seen, kind, weights=weights, alpha=alpha)

    return function


def check_finite(values: np.ndarray) -> None:
    """Raises Failure where a picture, or one of several, is none."""
    if not np.isfinite(values).all():
        raise Failure("the picture holds NaN or infinite values; take another model")
