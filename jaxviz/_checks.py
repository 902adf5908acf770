"""Checks of arguments, made before anything is traced: each error says what was given and what exists.

Values inside `jit` or `vmap` are not known yet; of those only shapes and types are checked.
"""

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxviz._typing import AnyImage, Number


def concrete(value: Any) -> bool:
    """Returns whether a value is known, so not being traced."""
    return not isinstance(value, jax.core.Tracer)


def nearest(name: str, names: Iterable[str]) -> str:
    """Returns the names most like `name`, for the end of an error message."""
    names = list(names)
    close = difflib.get_close_matches(name, names, n=4, cutoff=0.5)
    return f"nearest: {', '.join(close)}" if close else f"there are: {', '.join(names[:40])}"


def known(name: str, names: Iterable[str], what: str) -> str:
    """Returns `name`; raises KeyError with the nearest of `names` where it is not one of them."""
    names = list(names)
    if name not in names:
        raise KeyError(f"no {what} is named {name!r}; {nearest(str(name), names)}")
    return name


def image(value: Any, name: str = "image") -> AnyImage:
    """Returns an image as float32; raises ValueError unless it is [h, w, 3] with finite values in [0, 1].

    Where JAX computes in float64 (`jax_enable_x64`), an image of that type keeps it.
    """
    shape = np.shape(value)
    if len(shape) != 3 or shape[2] != 3 or 0 in shape:
        raise ValueError(f"{name} has shape {list(shape)}; expected [height, width, 3]")
    if not jnp.issubdtype(getattr(value, "dtype", np.float32), np.floating):
        raise ValueError(f"{name} is of type {value.dtype}; expected floats in [0, 1] (divide bytes by 255)")
    if concrete(value):
        values = np.asarray(value)
        if not np.isfinite(values).all():
            raise ValueError(f"{name} holds NaN or infinite values")
        if values.min() < -1e-6 or values.max() > 1 + 1e-6:
            span = f"[{values.min():.4g}, {values.max():.4g}]"
            raise ValueError(f"{name} has values in {span}; expected [0, 1]")
    wide = getattr(value, "dtype", None) == np.float64 and jax.config.read("jax_enable_x64")
    return jnp.asarray(value, jnp.float64 if wide else jnp.float32)


def number(value: Number, name: str, low: float | int = -np.inf, high: float | int = np.inf) -> Array:
    """Returns a float32 scalar; raises ValueError unless it is finite and in [`low`, `high`]."""
    if np.shape(value) != ():
        raise ValueError(f"{name} has shape {list(np.shape(value))}; expected one number")
    if concrete(value) and not (np.isfinite(float(value)) and low <= float(value) <= high):
        raise ValueError(f"{name} is {float(value):g}; expected a number in [{low:g}, {high:g}]")
    return jnp.asarray(value, jnp.float32)


def whole(value: Any, name: str, low: int = 1) -> int:
    """Returns a number that decides shapes as an int; raises ValueError unless it is whole and at least `low`."""
    if isinstance(value, bool) or value != int(value) or value < low:
        raise ValueError(f"{name} is {value}; expected a whole number of at least {low}")
    return int(value)


def index(value: Number | str, name: str, count: int | None = None) -> Array:
    """Returns an int32 scalar; raises ValueError unless it is an integer in [0, `count`)."""
    if isinstance(value, str):
        raise ValueError(f"{name} is {value!r}; expected an index, such as network.labels.index({value!r})")
    dtype = getattr(value, "dtype", type(value))
    if np.shape(value) != () or not jnp.issubdtype(dtype, np.integer):
        raise ValueError(f"{name} is {value!r}; expected one integer")
    if concrete(value) and (int(value) < 0 or (count is not None and int(value) >= count)):
        bound = "" if count is None else f" and at most {count - 1}"
        raise ValueError(f"{name} is {int(value)}; expected at least 0{bound}")
    return jnp.asarray(value, jnp.int32)


def random_key(value: Any) -> Array:
    """Returns a random key: the one that is given, or that of a seed, an integer from 0 to 2³² - 1.

    Raises:
      ValueError: If the value is neither.
    """
    dtype = getattr(value, "dtype", type(value))
    if np.shape(value) == () and jnp.issubdtype(dtype, jax.dtypes.prng_key):
        return value
    seeds = np.shape(value) == () and dtype is not bool and jnp.issubdtype(dtype, np.integer)
    if not seeds or (concrete(value) and not 0 <= int(value) < 2**32):
        raise ValueError(f"key is {value!r}; expected jax.random.key(seed), or a seed from 0 to {2**32 - 1}")
    return jax.random.key(value)


def shares(values: Sequence[Number] | None, count: int, what: str) -> Array:
    """Returns how much of each of several examples is wanted, [count], of sum 1.

    Args:
      values: At least 0, not all of them; None for equal ones.
      count: How many examples there are.
      what: What an example is called in an error, such as "style".

    Raises:
      ValueError: If there is not one share for each, one is negative, or all are zero.

    Example:
      >>> shares([3, 1], 2, "style").tolist()
      [0.75, 0.25]
    """
    given = [1.0] * count if values is None else list(values)
    if len(given) != count:
        raise ValueError(f"there are {len(given)} shares for {count} {what}s")
    parts = jnp.stack([number(share, f"share of {what} {k}", 0) for k, share in enumerate(given)])
    if concrete(parts) and not float(parts.sum()):
        raise ValueError("all shares are zero; give one above zero")
    return parts / parts.sum()
