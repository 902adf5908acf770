"""Many images: a function of one image is mapped over a batch in the form that is fastest where it runs.

On a processor that is two images at a time on each core, by threads of the host: the intermediate results of more
do not fit its caches, and where one program waits for its own threads another goes on. On an accelerator it is as
many as fit its memory. The parts are fed to one compiled program from the host, so any number of images is served
by few programs.
"""

import functools
import math
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxviz import sharding
from jaxviz.threads import cores, side_by_side

AT_ONCE = {"cpu": 4}
"""Images at once on one device, where memory allows it; other platforms take `AT_ONCE_ELSEWHERE`."""
AT_ONCE_ELSEWHERE = 64
IN_A_THREAD = 2
"""Images at once in each thread, where a processor's cores have one each."""
MEMORY_SHARE = 0.5
TRIALS = 3
UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
BINARY_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def batched(
    function: Callable, *, in_axes: Any = 0, size: int | None = None, mesh: Mesh | None = None
) -> Callable:
    r"""Returns a function of one image as a function of a batch, compiled in its fastest form.

    Like `jax.jit(jax.vmap(function, in_axes))`, with these differences: images go through the device some at a
    time; the last part is filled up to a power of two by repeating its last image, and cut off, so that all
    numbers of images together compile at most :math:`\lceil \log_2 size \rceil + 1` programs; and with a `mesh`
    the images are split over its devices. Asking again for the same function compiles nothing.

    What an image gives depends on its own arguments alone, so a random function takes an array of keys.

    Args:
      function: Of the arguments of one image; returns a pytree of arrays. Give a network as an argument with
        axis None, so that its weights are no constants of the program.
      in_axes: As for `jax.vmap`: 0 for stacked and None for shared arguments, one for all, or a tuple.
      size: Images at once on a device, at least 1, in one program after the other; None for what is usually fastest
        and fits the memory, on a processor several programs side by side.
      mesh: From `jaxviz.mesh`; None for one device.

    Returns:
      A function of positional arguments; its results have the leading axis of the stacked ones.

    Raises:
      ValueError: If `size` is below 1; when called, if the arguments differ in their number of images, or an
        axis is neither 0 nor None.

    Example:
      >>> network = jaxviz.load("squeezenet1_1")
      >>> maps = jaxviz.batched(jaxviz.saliency.gradient, in_axes=(None, 0, 0))
      >>> maps(network, np.full((3, 48, 48, 3), 0.5, np.float32), np.array([285, 1, 2])).shape
      (3, 48, 48)
    """
    if size is not None and (isinstance(size, bool) or int(size) != size or size < 1):
        raise ValueError(f"size is {size!r}; expected a whole number of images, at least 1")
    leaves, structure = jax.tree.flatten(in_axes, is_leaf=lambda axis: axis is None)
    return _batched(function, tuple(leaves), structure, None if size is None else int(size), mesh)


def chunk_size(
    function: Callable,
    *arguments: Any,
    in_axes: Any = 0,
    memory: str | int | float | None = None,
    mesh: Mesh | None = None,
    measure: bool = False,
) -> int:
    """Returns how many images are a good `size` for `batched`, in one program on each device: a power of two.

    That is the number that is usually fastest on the platform, one program after the other, or fewer where the
    compiled program's memory would exceed the budget. Which number is fastest differs from processor to processor:
    `measure` finds it. By itself `batched` never measures, since a batch of another size may differ in its last
    bits, and results would then depend on what else the machine did.

    Args:
      function: As for `batched`.
      arguments: As for `batched`; `jax.ShapeDtypeStruct`s will do for the stacked ones, unless `measure`.
      in_axes: As for `batched`.
      memory: Budget of one device, in bytes or as text such as "4GB"; None for half of what it has.
      mesh: As for `batched`.
      measure: Whether to run all the images with 1, 2, 4, … at once, and take the fastest. Takes some seconds.

    Raises:
      ValueError: If `memory` is given and one image needs more, or it is no amount of memory.

    Example:
      >>> images = np.full((4, 48, 48, 3), 0.5, np.float32)
      >>> jaxviz.chunk_size(lambda x: x.mean(), images, measure=True) in (1, 2, 4)
      True
    """
    budget = None if memory is None else bytes_of(memory)
    made: Any = batched(function, in_axes=in_axes, mesh=mesh)
    return made.fastest(arguments, budget) if measure else made.chunk_size(arguments, budget)


def bytes_of(memory: str | int | float) -> int:
    """Returns an amount of memory in bytes: "4GB" is 4·10⁹, "4GiB" is 4·2³⁰, a number is itself.

    Raises:
      ValueError: If it is no such amount, or below one byte.

    Example:
      >>> from jaxviz.batching import bytes_of
      >>> bytes_of("4GB"), bytes_of("1.5 MiB")
      (4000000000, 1572864)
    """
    found = re.fullmatch(r"\s*(\d+\.?\d*|\.\d+)\s*([KMGT]?)(I?)B?\s*", str(memory), re.IGNORECASE)
    amount = math.nan
    if isinstance(memory, int | float) and math.isfinite(memory):
        amount = memory
    elif found:
        number, unit, binary = found.groups()
        amount = float(number) * (BINARY_UNITS if binary else UNITS)[unit.upper()]
    if not amount >= 1:
        raise ValueError(f"memory is {memory!r}; expected an amount such as '4GB' or '500MB'")
    return int(amount)


def device_memory(device: jax.Device) -> int:
    """Returns the bytes that a device may use: those of the accelerator, or of this machine or container."""
    limit = (device.memory_stats() or {}).get("bytes_limit")
    if limit:
        return int(limit)
    # All, not what is free now: the number of images at once decides the last bits of results.
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")] if hasattr(os, "sysconf") else [2**33]
    container = Path("/sys/fs/cgroup/memory.max")
    if container.is_file() and (text := container.read_text().strip()).isdecimal():
        limits.append(int(text))
    return min(limits) // sum(other.platform == "cpu" for other in jax.local_devices())


class _Batched:
    """A function of a batch: parts of it go through `program`, that of one part."""

    def __init__(self, function: Callable, program: Any, axes: Any, size: int | None, mesh: Mesh | None):
        functools.update_wrapper(self, function, updated=())
        self.function = function
        self.axes, self.size, self.mesh = axes, size, mesh
        self.devices = 1 if mesh is None else mesh.size
        self.device = jax.local_devices()[0] if mesh is None else mesh.devices.flat[0]
        self.program = program
        self.chosen: dict[Any, tuple[int, int]] = {}

    def __call__(self, *arguments: Any) -> Any:
        n = sharding.image_count(self.axes, arguments)
        arguments = self._shared_placed(arguments)
        if n == 0:
            shapes = jax.eval_shape(self.program, *self._shapes(arguments, self.devices))
            return jax.tree.map(lambda leaf: jnp.zeros((0, *leaf.shape[1:]), leaf.dtype), shapes)
        size, threads = self._form(arguments, n) if self.size is None else (self.size, 1)

        def made(start: int) -> Any:
            stop = min(start + size * self.devices, n)
            local = min(_power_of_two(math.ceil((stop - start) / self.devices)), size)
            count = local * self.devices
            part = self._part(arguments, start, stop, count)
            return self._cut(self.program(*part), stop - start, count)

        starts = range(0, n, size * self.devices)
        if min(threads, len(starts)) == 1:
            parts = [made(start) for start in starts]
        else:
            parts = side_by_side(made, starts, threads)
        return jax.tree.map(self._joined, *parts)

    def chunk_size(self, arguments: tuple[Any, ...], budget: int | None) -> int:
        """Returns how many images at once on each device fit `budget` bytes, None for the device's share."""
        sharding.image_count(self.axes, arguments)
        most = AT_ONCE.get(self.device.platform, AT_ONCE_ELSEWHERE)
        return self._fitting(self._shared_placed(arguments), most, budget)

    def fastest(self, arguments: tuple[Any, ...], budget: int | None) -> int:
        """Returns how many images at once, of the powers of two that fit, take the least time for all images."""
        share = math.ceil(sharding.image_count(self.axes, arguments) / self.devices)
        most = self._fitting(self._shared_placed(arguments), _power_of_two(share), budget)
        sizes = [1 << power for power in range(most.bit_length())]

        def seconds(size):
            began = time.perf_counter()
            jax.block_until_ready(
                _Batched(self.function, self.program, self.axes, size, self.mesh)(*arguments)
            )
            return time.perf_counter() - began

        for size in sizes:
            seconds(size)
        # In turns, so that what else the machine does falls on all alike.
        taken = [[seconds(size) for size in sizes] for _ in range(TRIALS)]
        return sizes[int(np.argmin(np.min(taken, axis=0)))]

    def _form(self, arguments: tuple[Any, ...], n: int) -> tuple[int, int]:
        """Returns how many images one program takes, and how many programs run side by side."""
        traced = any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(arguments))
        threads, most = 1, AT_ONCE.get(self.device.platform, AT_ONCE_ELSEWHERE)
        if self.device.platform == "cpu" and self.mesh is None and not traced:
            threads, most = cores(), IN_A_THREAD
        part = _power_of_two(math.ceil(n / self.devices / threads))
        shapes, structure = jax.tree.flatten(self._shapes(arguments, 1))
        key = (part, threads, structure, tuple((np.shape(leaf), _kind(leaf)) for leaf in shapes))
        if key not in self.chosen:
            size = self._fitting(arguments, min(most, part), None, threads)
            if threads > 1:
                size = self._fitting(arguments, self._worthwhile(arguments, size, part), None, threads)
            fits = self._share(1) // max(self._need(arguments, size), 1) if threads > 1 else 1
            self.chosen[key] = size, min(threads, max(fits, 1))
        return self.chosen[key]

    def _worthwhile(self, arguments: tuple[Any, ...], size: int, most: int) -> int:
        """Returns how many images at once are worth reading all weights for: they fill half as many bytes."""
        used = self._analysis(arguments, size)
        if used is None:
            return size
        images = sum(
            np.prod(np.shape(leaf)[1:]) * _kind(leaf).itemsize for leaf in self._leaves(arguments, 0)
        )
        # What the program does not use is no argument of it.
        weights = max(0, used.argument_size_in_bytes - size * images)
        own = images + (used.output_size_in_bytes + used.temp_size_in_bytes) / size
        while size < most and 2 * size * own < weights:
            size *= 2
        return size

    def _leaves(self, arguments: tuple[Any, ...], kind: int | None) -> list[Any]:
        """Returns the leaves that are stacked, 0, or shared, None."""
        leaves = zip(sharding.flat_axes(self.axes, arguments), jax.tree.leaves(arguments), strict=True)
        return [leaf for axis, leaf in leaves if axis == kind]

    def _share(self, threads: int) -> int:
        return int(MEMORY_SHARE * device_memory(self.device) / threads)

    def _fitting(self, arguments: tuple[Any, ...], size: int, budget: int | None, threads: int = 1) -> int:
        limit = self._share(threads) if budget is None else budget
        shared = sum(np.size(leaf) * _kind(leaf).itemsize for leaf in self._leaves(arguments, None))
        while True:
            need = self._need(arguments, size)
            if need <= limit or (size == 1 and budget is None):
                return size
            if size == 1:
                raise ValueError(f"memory is {limit:,} bytes, but one image needs {need:,}; give more")
            fitting = int((limit - shared) / ((need - shared) / size))
            size = min(size // 2, _power_of_two(max(fitting, 0) + 1) // 2) or 1

    def _need(self, arguments: tuple[Any, ...], size: int) -> int:
        """Returns the bytes that the program of so many images needs; 0 where the compiler tells none."""
        used = self._analysis(arguments, size)
        if used is None:
            return 0
        return int(used.argument_size_in_bytes + used.output_size_in_bytes + used.temp_size_in_bytes)

    def _analysis(self, arguments: tuple[Any, ...], size: int) -> Any:
        # JAX keeps what is compiled here for the calls with arguments of these shapes.
        return self.program.lower(*self._shapes(arguments, size * self.devices)).compile().memory_analysis()

    def _shared_placed(self, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        if self.mesh is None:
            return arguments
        leaves, structure = jax.tree.flatten(arguments)
        both = zip(leaves, sharding.flat_axes(self.axes, arguments), strict=True)
        placed = [sharding.place(None, leaf, self.mesh) if axis is None else leaf for leaf, axis in both]
        return jax.tree.unflatten(structure, placed)

    def _part(self, arguments: tuple[Any, ...], start: int, stop: int, count: int) -> tuple[Any, ...]:
        def taken(leaf):
            part = sharding.rows(leaf, start, stop, count)
            return part if self.mesh is None else sharding.place(0, part, self.mesh)

        return sharding.map_stacked(taken, self.axes, arguments)

    def _shapes(self, arguments: tuple[Any, ...], n: int) -> tuple[Any, ...]:
        where = None if self.mesh is None else sharding.placement(0, self.mesh)

        def shape(leaf):
            return jax.ShapeDtypeStruct((n, *np.shape(leaf)[1:]), _kind(leaf), sharding=where)

        return sharding.map_stacked(shape, self.axes, arguments)

    def _cut(self, result: Any, kept: int, count: int) -> Any:
        traced = any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(result))
        if not traced and (self.mesh is not None or self.device.platform == "cpu"):
            # Waiting for each part keeps the memory to one; slices on the host compile nothing.
            return jax.tree.map(lambda leaf: np.asarray(leaf)[:kept], result)
        return result if kept == count else jax.tree.map(lambda leaf: leaf[:kept], result)

    @staticmethod
    def _joined(*parts: Any) -> Any:
        on_host = all(isinstance(part, np.ndarray) for part in parts)
        joined = parts[0] if len(parts) == 1 else (np.concatenate if on_host else jnp.concatenate)(parts)
        # Unlike `jnp.asarray` this compiles nothing.
        return jax.device_put(joined) if on_host else joined


@functools.lru_cache(maxsize=256)
def _batched(function: Callable, leaves: tuple, structure: Any, size: int | None, mesh: Mesh | None) -> Any:
    program = _program(function, leaves, structure, mesh)
    return _Batched(function, program, jax.tree.unflatten(structure, leaves), size, mesh)


@functools.lru_cache(maxsize=256)
def _program(function: Callable, leaves: tuple, structure: Any, mesh: Mesh | None) -> Any:
    """Returns the program of a part, which all sizes share."""
    axes = jax.tree.unflatten(structure, leaves)
    return jax.jit(sharding.split(jax.vmap(function, in_axes=axes), mesh, axes))


def _power_of_two(n: int) -> int:
    """Returns the least power of two that is at least `n`."""
    return 1 << max(n - 1, 0).bit_length()


def _kind(leaf: Any) -> Any:
    """Returns the type that a leaf has in a program: its own where it is JAX's, that of a key too."""
    return leaf.dtype if isinstance(leaf, jax.Array) else jnp.result_type(leaf)
