"""A technique's program as StableHLO for a platform, which need not be here: nothing is compiled or computed."""

import jax
from jax import export

from jaxviz._checks import known
from jaxviz.costs.programs import Program

PLATFORMS = ("tpu", "cuda", "cpu")


def lowered(program: Program, platform: str) -> export.Exported:
    """Returns a program lowered for one platform, its arguments as shapes.

    Args:
      program: As `program` makes it.
      platform: One of `PLATFORMS`.

    Returns:
      JAX's record: `mlir_module()` is the StableHLO, with the platform's own derivative rules.

    Raises:
      KeyError: If there is no such platform.
      NotImplementedError, ValueError: If the program calls Python while it runs.

    Example:
      >>> from jaxviz import costs
      >>> found = costs.lowered(costs.program("grad-cam", size=64), "tpu")
      >>> found.platforms, "stablehlo.convolution" in found.mlir_module()
      (('tpu',), True)
    """
    known(platform, PLATFORMS, "platform")
    return export.export(jax.jit(program.function), platforms=(platform,))(*program.shapes)
