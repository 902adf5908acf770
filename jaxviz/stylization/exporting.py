"""A stylizing network as a program in a file, for where this library is not: StableHLO, ONNX."""

import functools
import importlib.util
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax import export as jax_export
from jax import lax
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from jaxviz import images
from jaxviz._checks import whole
from jaxviz._typing import Number
from jaxviz.stylization.models import LEAST, Stylizer, stylize

PLATFORMS = ("cpu", "cuda", "tpu")
SUFFIXES = (".stablehlo", ".onnx")


def export(
    path: str | Path,
    model: Stylizer,
    codes: Any,
    size: tuple[int, int],
    *,
    weights: Any = None,
    alpha: Number = 1.0,
    platforms: Sequence[str] = PLATFORMS,
) -> None:
    """Writes `stylize` of one model, style and size as a program, its weights inside; never a partial file.

    The program takes a picture, [h, w, 3], float32, in [0, 1], and returns one. With the suffix `.stablehlo` it is
    what `jax.export.deserialize` reads, in any process that has JAX, now and in the releases of the next half
    year; with `.onnx` what ONNX runtimes do.

    Args:
      path: `.stablehlo` or `.onnx`.
      model: From `load`, or trained here.
      codes: From `model.codes(styles)`.
      size: h and w, at least 16.
      weights: As for `stylize`.
      alpha: As for `stylize`.
      platforms: Of StableHLO, those that the program is made for: "cpu", "cuda", "rocm", "tpu".

    Raises:
      ValueError: If the suffix is another, the size is too small, or as for `stylize`.
      ImportError: If flatbuffers, or for ONNX jax2onnx, is not installed: `pip install "jaxviz-vision[export]"`,
        `pip install "jaxviz-vision[export-onnx]"`.
      PictureError: If the file cannot be written.

    Example:
      >>> import pathlib, tempfile
      >>> from jaxviz import stylization
      >>> model = stylization.initialize("transformer", jax.random.key(0), width=4, blocks=1)
      >>> path = pathlib.Path(tempfile.mkdtemp(), "style.stablehlo")
      >>> stylization.export(path, model, model.codes(), (16, 20), platforms=["cpu"])
      >>> draw = jax.export.deserialize(path.read_bytes()).call
      >>> draw(jnp.full((16, 20, 3), 0.5)).shape
      (16, 20, 3)
    """
    sides = [whole(side, "size", LEAST) for side in size]
    shape = jax.ShapeDtypeStruct((*sides, 3), jnp.float32)

    def drawn(image: Any) -> Any:
        return stylize(model, image, codes, weights=weights, alpha=alpha)

    form = _onnx if checked_suffix(path) == ".onnx" else functools.partial(_stablehlo, platforms=platforms)
    made = form(drawn, shape)
    with images.atomically(path) as temporary:
        temporary.write_bytes(made)


def checked_suffix(path: str | Path) -> str:
    """Returns a path's suffix in lower case; raises ValueError where no format of programs has it."""
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(
            f"{path} cannot be written as {suffix or 'a file without suffix'}; expected {' or '.join(SUFFIXES)}"
        )
    return suffix


def _stablehlo(function: Callable[..., Any], shape: jax.ShapeDtypeStruct, platforms: Sequence[str]) -> bytes:
    if importlib.util.find_spec("flatbuffers") is None:
        raise ImportError('StableHLO needs flatbuffers: pip install "jaxviz-vision[export]"')
    return bytes(jax_export.export(jax.jit(function), platforms=tuple(platforms))(shape).serialize())


def _onnx(function: Callable[..., Any], shape: jax.ShapeDtypeStruct) -> bytes:
    try:
        import jax2onnx
    except ImportError as error:
        raise ImportError('ONNX needs jax2onnx: pip install "jaxviz-vision[export-onnx]"') from error

    def settled(image: Any) -> Any:
        closed = jax.make_jaxpr(function)(image)
        return _evaluated(closed.jaxpr, closed.consts, [image])[0]

    found: bytes = jax2onnx.to_onnx(settled, [shape], model_name="stylize").SerializeToString()
    return found


def _evaluated(jaxpr: Jaxpr, constants: Sequence[Any], values: Sequence[Any]) -> list[Any]:
    """Returns what a program gives where all that depends on the platform is the default, since ONNX knows none."""
    known = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*constants, *values], strict=True))

    def read(variables: Sequence[Any]) -> list[Any]:
        return [v.val if isinstance(v, Literal) else known[v] for v in variables]

    for equation in jaxpr.eqns:
        name, parameters = equation.primitive.name, equation.params
        if name == "platform_index":
            continue
        if platforms := parameters.get("branches_platforms"):
            inner = parameters["branches"][platforms.index(None)]
            found = _evaluated(inner.jaxpr, inner.consts, read(equation.invars[1:]))
        elif isinstance(inner := parameters.get("jaxpr", parameters.get("call_jaxpr")), ClosedJaxpr) and (
            name in ("jit", "pjit", "custom_jvp_call", "custom_vjp_call")
        ):
            found = _evaluated(inner.jaxpr, inner.consts, read(equation.invars))
        elif name == "reduce_window_max":
            found = [_largest(*read(equation.invars), **parameters)]
        else:
            found = equation.primitive.bind(*read(equation.invars), **parameters)
            found = found if equation.primitive.multiple_results else [found]
        known |= dict(zip(equation.outvars, found, strict=True))
    return read(jaxpr.outvars)


def _largest(
    x: Any,
    *,
    window_dimensions: Sequence[int],
    window_strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    **dilations: Any,
) -> Any:
    """Returns the pooled features as the largest of slices: runtimes have no pooling whose channels come last."""
    x = lax.pad(x, jnp.asarray(-jnp.inf, x.dtype), [(low, high, 0) for low, high in padding])
    sizes = zip(x.shape, window_dimensions, window_strides, strict=True)
    reach = [(extent - window) // stride * stride + 1 for extent, window, stride in sizes]
    slices = [
        lax.slice(x, start, [a + b for a, b in zip(start, reach, strict=True)], window_strides)
        for start in itertools.product(*map(range, window_dimensions))
    ]
    return functools.reduce(lax.max, slices)
