"""Roots of symmetric matrices, with a derivative that stays finite where eigenvalues vanish or coincide."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxviz._typing import Scalar

EXACT = jax.lax.Precision.HIGHEST


def root(matrix: Float[Array, "c c"]) -> Float[Array, "c c"]:
    r"""Returns the symmetric root :math:`A^{1/2}` of a symmetric matrix; negative eigenvalues count as zero.

    It is meant for constants: its derivative is infinite where eigenvalues coincide.

    Example:
      >>> root(jnp.diag(jnp.array([4.0, 9.0]))).tolist()
      [[2.0, 0.0], [0.0, 3.0]]
    """
    values, vectors = jnp.linalg.eigh(matrix)
    return jnp.matmul(vectors * jnp.sqrt(jnp.maximum(values, 0)), vectors.T, precision=EXACT)


@jax.custom_vjp
def trace_of_root(matrix: Float[Array, "c c"]) -> Scalar:
    r"""Returns :math:`\mathrm{tr} A^{1/2} = \sum_i \sqrt{\lambda_i}` of a symmetric matrix.

    Negative eigenvalues count as zero. The derivative :math:`\frac{1}{2} A^{-1/2}` needs no differences of
    eigenvalues, unlike that of the root itself; those below the type's rounding of the largest, 1.2e-7 of it in
    float32, are rounding, and count as that in it.

    Example:
      >>> float(trace_of_root(jnp.diag(jnp.array([4.0, 9.0]))))
      5.0
    """
    return _forward(matrix)[0]


def _forward(matrix):
    values, vectors = jnp.linalg.eigh(matrix)
    return jnp.sum(jnp.sqrt(jnp.maximum(values, 0))), (values, vectors)


def _backward(saved, g):
    values, vectors = saved
    kind = jnp.finfo(values.dtype)
    floor = jnp.maximum(kind.eps * values[-1], kind.tiny)
    scaled = vectors * (0.5 * g / jnp.sqrt(jnp.maximum(values, floor)))
    return (jnp.matmul(scaled, vectors.T, precision=EXACT),)


trace_of_root.defvjp(_forward, _backward)
