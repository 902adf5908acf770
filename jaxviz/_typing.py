"""The words that every module shares: shapes and protocols of the symbols."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias, TypeVar, dataclass_transform, runtime_checkable

import jax
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

Scalar: TypeAlias = Float[Array, ""]
Image: TypeAlias = Float[Array | np.ndarray, "h w 3"]
AnyImage: TypeAlias = Float[Array | np.ndarray, "_ _ 3"]
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
    made: Any = dataclasses.dataclass(frozen=True, eq=False)(cls)
    fields = dataclasses.fields(made)
    data = [field.name for field in fields if not field.metadata.get("static")]
    fixed = [field.name for field in fields if field.metadata.get("static")]

    def flatten(value: Any) -> Any:
        leaves = [(jax.tree_util.GetAttrKey(name), getattr(value, name)) for name in data]
        return leaves, tuple(getattr(value, name) for name in fixed)

    def unflatten(fixed_values: Any, leaves: Any) -> Any:
        # JAX builds trees of placeholders too, which a checked __init__ would refuse.
        value = object.__new__(made)
        for name, leaf in (*zip(data, leaves, strict=True), *zip(fixed, fixed_values, strict=True)):
            object.__setattr__(value, name, leaf)
        return value

    jax.tree_util.register_pytree_with_keys(made, flatten, unflatten)
    return made


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
