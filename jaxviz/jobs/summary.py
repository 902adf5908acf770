"""What a run of attacks says as a whole: accuracy before and after."""

from pathlib import Path
from typing import Any

import numpy as np

from jaxviz.jobs.manifest import RunError, settings
from jaxviz.jobs.shards import arrow
from jaxviz.techniques.attacks.sweep import interval


def read_robustness(folder: str | Path) -> list[dict[str, Any]]:
    """Returns for each radius of a run of `jobs.attack` what share of its pictures withstands.

    Args:
      folder: The run; pictures that failed are left out.

    Returns:
      Rows, one where the run has one radius or none, of "epsilon", "pictures", "clean accuracy" (the network is
      right before), "robust accuracy" (and after) with the ends "low" and "high" of its 95 % interval (Wilson
      1927), "median distance" of what fooled the network, and "mean queries", evaluations of the network for each
      picture that was attacked.

    Raises:
      RunError: If the folder has no attacks.
    """
    columns: dict[str, list[Any]] = {}
    radii = settings(Path(folder)).get("options", {}).get("epsilon")
    epsilons = radii if isinstance(radii, list) else [radii]
    wanted = ["clean", "success", "queries", "distances" if isinstance(radii, list) else "distance"]
    for path in sorted(Path(folder).glob("results-*.parquet")):
        if missing := [name for name in wanted if name not in arrow().parquet.read_schema(path).names]:
            raise RunError(f"{folder} is a run of another task; it has no {', '.join(missing)}")
        for name, values in arrow().parquet.read_table(path, columns=wanted).to_pydict().items():
            columns.setdefault(name, []).extend(values)
    kept = [k for k, clean in enumerate(columns.get("clean", [])) if clean is not None]
    if not kept:
        raise RunError(f"{folder} has no attacks; no picture of its source could be read")
    clean, success, queries, distances = (
        np.array([columns[name][k] for k in kept], float).reshape(len(kept), -1) for name in wanted
    )
    rows = []
    for e in range(success.shape[1]):
        right = clean[:, 0] > 0
        fooled = right & (success[:, e] > 0)
        robust = int(right.sum() - fooled.sum())
        asked = queries[right, : e + 1].sum(1)
        low, high = interval(robust, len(kept))
        rows.append(
            {
                "epsilon": epsilons[e],
                "pictures": len(kept),
                "clean accuracy": float(right.mean()),
                "robust accuracy": robust / len(kept),
                "low": low,
                "high": high,
                "median distance": float(np.median(distances[fooled, e])) if fooled.any() else None,
                "mean queries": float(asked.mean()) if len(asked) else None,
            }
        )
    return rows
