"""The words that every module shares: shapes and protocols of the symbols."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias, TypeVar, dataclass_transform, runtime_checkable

import jax
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

Scalar: TypeAlias = Float[Array, ""]
Image: TypeAlias = Float[Array | np.ndarray, "h w 3"]
Heatmap: TypeAlias = Float[Array, "h w"]
Key: TypeAlias = PRNGKeyArray
Taps: TypeAlias = Mapping[str, Float[Array, "..."]]
Params: TypeAlias = Mapping[str, Any]
Number: TypeAlias = float | int | np.number | np.ndarray | Array
Relu: TypeAlias = Callable[[Array], Array]

Cls = TypeVar("Cls", bound=type)


def static(**options: Any) -> Any:
    """Returns a dataclass field that chooses code; every other field is data and may vary without compiling."""
    return dataclasses.field(metadata={"static": True}, **options)


@dataclass_transform(frozen_default=True, eq_default=False, field_specifiers=(static, dataclasses.field))
def symbol(cls: Cls) -> Cls:
    """Returns `cls` as a frozen dataclass that is a pytree: plain fields are leaves, `static` ones are not."""
    return jax.tree_util.register_dataclass(dataclasses.dataclass(frozen=True, eq=False)(cls))


@runtime_checkable
class Objective(Protocol):
    """L: the taps of one image to a scalar that is to become small."""

    def __call__(self, taps: Taps) -> Scalar: ...


@runtime_checkable
class Prior(Protocol):
    """R: one image to a scalar that is small for likely images."""

    def __call__(self, image: Image) -> Scalar: ...


@runtime_checkable
class Transform(Protocol):
    """t: one image to a randomly changed one."""

    def __call__(self, key: Key, image: Image) -> Image: ...


@runtime_checkable
class Parameterization(Protocol):
    """ψ: unknowns to an image."""

    def decode(self, z: Any) -> Image: ...


@runtime_checkable
class Constraint(Protocol):
    """C: the set that an image must stay in."""

    def project(self, image: Any) -> Any: ...
