"""Two records of measurements side by side: what became slower, faster or larger, beyond the spread of both."""

import json
import math
from pathlib import Path
from typing import Any

from jaxviz._checks import number

THRESHOLD = 0.1
BUSY = 0.5
"""Cores, on average over the minute before, above which times are not to be relied on."""
KEY = ("technique", "size", "precision", "batch")


def read(path: str | Path) -> dict[str, Any]:
    """Returns a record from a file: of `jaxviz bench --json`, or our side of one of `python -m benchmarks`.

    Raises:
      ValueError: If there is no such file, or it is no such record.
    """
    path = Path(path)
    what = "expected what `jaxviz bench --json FILE` or `python -m benchmarks` wrote"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist; {what}") from None
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is no JSON ({error}); {what}") from None
    if isinstance(record, dict) and "benchmark" in record:
        record = _of_suite(record)
    if not _sound(record):
        raise ValueError(f"{path} is no record of measurements; {what}")
    return record


def _sound(record: Any) -> bool:
    """Returns whether a record has all that is compared, as it has to be."""
    try:
        for row in record["rows"]:
            hash(tuple(row[name] for name in KEY))
            may = [row[name] for name in ("compile_s", "memory_bytes") if row.get(name) is not None]
            must = [row[name] for name in ("q1_s", "median_s", "q3_s")]
            if min(must) <= 0 or not all(math.isfinite(value) for value in must + may):
                return False
        machine, versions = record["machine"], record.get("versions", {})
        told = isinstance(machine, dict) and isinstance(versions, dict) and bool(machine["device"])
        return told and math.isfinite(machine.get("cores_busy", 0))
    except (AttributeError, KeyError, TypeError, ValueError):
        return False


def _of_suite(record: dict[str, Any]) -> dict[str, Any]:
    """Returns a record of the suite with peers in the form of ours; its processes' medians are the spread."""
    try:
        environment, rows = record["environment"], []
        for row in record["rows"]:
            side = row["sides"][row["ours"]]
            rows.append(
                {
                    "technique": f"{record['benchmark']} {row['work']}",
                    "size": row.get("size"),
                    "precision": environment["precision"],
                    "batch": row.get("batch"),
                    "compile_s": side["compile_s"],
                    "memory_bytes": side.get("peak_bytes"),
                    "median_s": side["median_s"],
                    "q1_s": side["min_s"],
                    "q3_s": side["max_s"],
                }
            )
        found = {name: environment[name] for name in ("device", "cores", "huge_pages", "commit")}
    except (KeyError, TypeError):
        return {}
    found["cores_busy"] = environment.get("cores_busy_before", 0)
    return {"machine": found, "versions": {"jax": environment.get("jax")}, "rows": rows}


def compare(
    before: dict[str, Any], after: dict[str, Any], *, threshold: float | int = THRESHOLD
) -> dict[str, Any]:
    r"""Returns the rows of two records, joined by technique, size, precision and batch.

    A row is slower if

    .. math:: t_B / t_A > 1 + threshold, \quad q_1(B) > q_3(A)

    with t the median of the seconds of a call and q its quartiles: half of the calls of each side lie between its
    own. It is larger if its memory is by more than the threshold. Compiling is measured once, so has no spread: its
    ratio is told, and not judged.

    Args:
      before: A, as `read` returns it.
      after: B.
      threshold: Share by which B may be slower or larger.

    Returns:
      `rows`, each with the ratios B ÷ A `time`, `compile` and `memory` (None where one side has none), `slower`,
      `faster`, `larger`; `only_in_first` and `only_in_second`; `notes` on what else differs; `regressed`,
      how many are slower or larger.

    Raises:
      ValueError: If the threshold is negative, or no row is in both.

    Example:
      >>> from jaxviz.costs import comparing
      >>> row = {"technique": "fgsm", "size": 128, "precision": "float32", "batch": 1}
      >>> a = {"machine": {"device": "x"}, "rows": [row | {"median_s": 1.0, "q1_s": 0.9, "q3_s": 1.1}]}
      >>> b = {"machine": {"device": "x"}, "rows": [row | {"median_s": 1.5, "q1_s": 1.4, "q3_s": 1.6}]}
      >>> found = comparing.compare(a, b)
      >>> found["rows"][0]["time"], found["rows"][0]["slower"], found["regressed"]
      (1.5, True, 1)
    """
    number(threshold, "threshold", 0)
    sides = [{tuple(row[name] for name in KEY): row for row in record["rows"]} for record in (before, after)]
    first, second = sides
    joined = [_joined(key, first[key], second[key], threshold) for key in first if key in second]
    if not joined:
        raise ValueError("the two records have no row of the same technique, size, precision and batch")
    return {
        "rows": joined,
        "only_in_first": [_told(key) for key in first if key not in second],
        "only_in_second": [_told(key) for key in second if key not in first],
        "notes": _notes(before, after),
        "regressed": sum(row["slower"] or row["larger"] for row in joined),
    }


def _joined(
    key: tuple[Any, ...], before: dict[str, Any], after: dict[str, Any], threshold: float | int
) -> dict[str, Any]:
    ratios = {
        said: _ratio(before.get(name), after.get(name))
        for said, name in (("time", "median_s"), ("compile", "compile_s"), ("memory", "memory_bytes"))
    }
    slower = ratios["time"] > 1 + threshold and after["q1_s"] > before["q3_s"]
    faster = 1 / ratios["time"] > 1 + threshold and after["q3_s"] < before["q1_s"]
    larger = ratios["memory"] is not None and ratios["memory"] > 1 + threshold
    seconds = {"first_s": before["median_s"], "second_s": after["median_s"]}
    marks = {"slower": slower, "faster": faster, "larger": larger}
    return dict(zip(KEY, key, strict=True)) | seconds | ratios | marks


def _ratio(before: float | int | None, after: float | int | None) -> Any:
    return after / before if before and after is not None else None


def _told(key: tuple[Any, ...]) -> str:
    technique, size, precision, batch = key
    parts = [
        technique,
        "" if size is None else f"{size}²",
        precision,
        "" if batch is None else f"batch {batch}",
    ]
    return ", ".join(part for part in parts if part)


def _notes(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    said = [record["machine"] | record.get("versions", {}) for record in (before, after)]
    names = ("device", "devices", "cores", "huge_pages", "commit", "jaxviz", "jax", "jaxlib")
    pairs = [(name, *[side.get(name) for side in said]) for name in names]
    notes = [f"{name}: {a}, then {b}" for name, a, b in pairs if a != b and None not in (a, b)]
    busy = [side.get("cores_busy", 0) for side in said]
    if max(busy) > BUSY:
        told = ", then ".join(f"{load:.1f}" for load in busy)
        notes.append(f"cores that other work kept busy: {told}; measure again when it is done")
    return notes
