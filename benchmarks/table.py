"""Writes the tables of README.md and benchmarks/README.md from results/*.json: `python -m benchmarks.table`."""

import json
import statistics
from collections.abc import Iterable
from pathlib import Path

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
OPEN, CLOSE = "<!-- benchmarks -->", "<!-- /benchmarks -->"
GRIDS = ("networks", "networks16")
"""Benchmarks of too many rows for a table of rows, which has their medians instead."""
SUMMED = {
    **dict.fromkeys(GRIDS, ("torchvision", "networks")),
    **dict.fromkeys(("attribution", "attribution64"), ("captum at its best setting", "methods")),
    "attacks64": ("the best of foolbox, torchattacks and ART", "networks"),
    **dict.fromkeys(("stylize", "arbitrary", "training", "field"), ("PyTorch at its best setting", "sizes")),
}
"""Those of which the main README has medians alone → the rival, and what they go over."""
FOR_GPUS = ("evaluations", "evaluations1024", "attribution64", "attacks64", "stylize32", "training32")
COMPILING = "compiling"
FORMS = {
    "operation by operation": "operation by operation",
    "`jit`": "jit",
    "`jit(vmap)` of 1": "jit(vmap), 1",
    "of 4": "jit(vmap), 4",
    "of 16": "jit(vmap), 16",
    "`batched`, 16": "batched, 16",
    "PyTorch eager, best": "torch eager",
    "`torch.compile`": "torch compiled",
}
ORDER = (
    "gatys",
    "transfer",
    "descent",
    "evaluations",
    "evaluations1024",
    "batch",
    "memory",
    "saliency",
    "attribution",
    "attribution64",
    "attacks",
    "attacks64",
    "step",
    "rules",
    "networks",
    "networks16",
    "methods",
    "stylize",
    "stylize32",
    "arbitrary",
    "training",
    "training32",
    "field",
    "compiling",
)
HEAD = ("Work", "", "Device", "jaxviz", "against", "its time", "ours ÷ its (range)", "commit")
MORE = ("results apart", "versions")
"""Columns of the full table alone."""


def seconds(value: float) -> str:
    """Returns a time with three digits and its unit."""
    return f"{value * 1e3:.3g} ms" if value < 1 else f"{value:.3g} s"


def spread(side: dict) -> str:
    """Returns the median, and lowest and highest in brackets."""
    return f"{seconds(side['median_s'])} ({seconds(side['min_s'])} – {seconds(side['max_s'])})"


def markdown(head: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    head = list(head)
    rows = [head, ["---"] * len(head), *map(list, lines)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def losses(row: dict, name: str) -> str:
    """Returns the loss that a side reached, and the memory that it took, where they were measured."""
    side = row["sides"][name]
    reached, most = side.get("loss_reached_clipped_to_colors"), side.get("peak_bytes")
    text = "" if reached is None else f", loss {reached:.4g}"
    if "reached" in side:
        text += f" after {side['evaluations']} evaluations" + ("" if side["reached"] else ", not there")
    if "seconds_to_clipped" in side:
        text += f", at the loss of the other's picture in [0, 1] after {seconds(side['seconds_to_clipped'])}"
    if "fraction_of_peak" in side:
        text += f", {side['fraction_of_peak']:.0%} of the card's peak"
    return text + ("" if most is None else f", peak {most / 1e9:.2f} GB")


def apart(row: dict) -> str:
    """Returns how far both sides' results are apart: values as they are, arrays by their median difference."""
    found = [(what, each) for what, each in (row["agreement"] or {}).items() if what != "agrees"]
    texts = []
    for what, each in found:
        if "values" in each:
            texts.append(
                f"{what.replace('_', ' ')} {' and '.join(f'{value:.4g}' for value in each['values'])}"
            )
        else:
            texts.append(f"{what} {each['median_difference_over_largest']:.0e} of the largest")
    return "; ".join(texts) or "–"


def lines(record: dict) -> Iterable[list[str]]:
    """Yields the cells of each row of one benchmark, those of `MORE` last."""
    environment = record["environment"]
    for row in record["rows"]:
        ours = row["sides"][row["ours"]]
        cells = [record["title"], row["work"], device(environment)]
        cells.append(spread(ours) + losses(row, row["ours"]))
        if row["rival"] is None:
            cells += ["–", "–", "–"]
        else:
            ratio = row["ratio"]
            cells.append(row["rival"])
            cells.append(spread(row["sides"][row["rival"]]) + losses(row, row["rival"]))
            target = f", target ≤ {row['target']}" if "target" in row else ""
            cells.append(f"**{ratio['median']:.2f}** ({ratio['min']:.2f} – {ratio['max']:.2f}){target}")
        commit = environment["commit"] + (" (quick)" if record["quick"] else "")
        yield [*cells, commit, apart(row), packages(environment)]


def device(environment: dict) -> str:
    cores = f", {environment['cores']} cores" if environment["platform"] == "cpu" else ""
    precision = "" if environment["precision"] == "float32" else f", {environment['precision']}"
    return environment["device"] + cores + precision


def medians(record: dict) -> Iterable[list[str]]:
    """Yields the cells of one row for each kind of work of a benchmark of many: the median of their ratios."""
    rival, many = SUMMED[record["benchmark"]]
    kinds: dict[str, list[float]] = {}
    targets: dict[str, str] = {}
    for row in record["rows"]:
        if row["rival"] is not None:
            kind = "".join(row["work"].split(", ")[1:2])
            kinds.setdefault(kind, []).append(row["ratio"]["median"])
            targets[kind] = f", target ≤ {row['target']} each" if "target" in row else ""
    for kind, ratios in kinds.items():
        among = f"{min(ratios):.2f} – {max(ratios):.2f} among {many}"
        ratio = f"**{statistics.median(ratios):.2f}** ({among}){targets[kind]}"
        place, commit = device(record["environment"]), record["environment"]["commit"]
        what = ", ".join(filter(None, (kind, f"median of {len(ratios)}")))
        versions = packages(record["environment"])
        yield [record["title"], what, place, "–", rival, "–", ratio, commit, "–", versions]


def packages(environment: dict) -> str:
    """Returns the versions that a row was measured with, of peers those that took part."""
    said = {"jaxviz": environment["jaxviz"], "JAX": environment["jax"], "PyTorch": environment["torch"]}
    said |= environment.get("peers", {})
    return ", ".join(f"{name} {version}" for name, version in said.items() if version)


def table(records: Iterable[dict], summed: Iterable[str], *, short: bool = False) -> str:
    """Returns one line per row of every benchmark: ours, the best rival, the ratio; medians of those `summed`."""
    ordered = sorted(records, key=lambda r: (r["environment"]["platform"], ORDER.index(r["benchmark"])))
    cells = [(medians if r["benchmark"] in summed else lines)(r) for r in ordered]
    head = HEAD if short else HEAD + MORE
    return markdown(head, (line[: len(head)] for rows in cells for line in rows))


def grid(records: Iterable[dict]) -> str:
    """Returns one line per network and a column for each batch size and kind of work: ratio, and its range."""
    columns: dict[str, None] = {}
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for record in records:
        for row in record["rows"]:
            if row["rival"] is None:
                continue
            network, kind = row["work"].split(", ", 1)
            column = f"{kind}, batch {row['batch']}"
            columns[column] = None
            ratio = row["ratio"]
            cell = f"**{ratio['median']:.2f}** ({ratio['min']:.2f} – {ratio['max']:.2f})"
            cells.setdefault((network, device(record["environment"])), {})[column] = cell
    rows = [[*key, *(row.get(column, "–") for column in columns)] for key, row in cells.items()]
    return markdown(("Network", "Device", *columns), rows)


def sides(records: Iterable[dict]) -> str:
    """Returns one line per side of every row: time, compile time, and the loss reached."""
    cells = []
    for record in records:
        for row in record["rows"]:
            for name, side in row["sides"].items():
                compiling = seconds(side["compile_s"])
                work = f"{record['benchmark']} {row['work']}"
                cells.append([work, name, spread(side) + losses(row, name), compiling])
    return markdown(("Benchmark", "Side", "Median (range)", "first call, beyond a steady one"), cells)


def compiling(records: Iterable[dict]) -> str:
    """Returns one line per technique and a column per form of running it: images per second, and compile time."""
    cells = []
    for record in records:
        for row in record["rows"]:
            per_second = [_pace(row["sides"], prefix) for prefix in FORMS.values()]
            cells.append([row["work"], row["setting"], device(record["environment"]), *per_second])
    return markdown(("Technique", "", "Device", *FORMS), cells)


def _pace(sides: dict, prefix: str) -> str:
    found = [side for name, side in sides.items() if name == prefix or name.startswith(f"{prefix},")]
    if not found:
        return "–"
    side = min(found, key=lambda side: side["median_s"])
    return f"{1 / side['median_s']:.3g} ({seconds(side['compile_s'])})"


def whole(records: Iterable[dict], *, short: bool = False) -> str:
    """Returns all tables of records; `short` is for the main README."""
    records = list(records)
    rows = [r for r in records if r["benchmark"] != COMPILING and r["benchmark"] not in GRIDS]
    if short:
        # The main README has what was promised, reached or missed, and what is for a GPU; the rest stands in that
        # of the benchmarks, and so does our loop against its own step.
        promised = [
            {**r, "rows": [row for row in r["rows"] if "target" in row or r["benchmark"] in FOR_GPUS]}
            for r in rows
            if r["benchmark"] != "step"
        ]
        return table((r for r in promised if r["rows"]), SUMMED, short=True)
    grids = sorted((r for r in records if r["benchmark"] in GRIDS), key=lambda r: ORDER.index(r["benchmark"]))
    bought = [r for r in records if r["benchmark"] == COMPILING]
    parts = [table(rows + grids, GRIDS)] if rows or grids else []
    if bought:
        what = "What compiling buys, in images per second; of inversion, texture and style in evaluations (value, "
        what += "gradient and a step of Adam) of one image per second"
        parts += [what + ", and in brackets what the first call takes more:"]
        parts.append(compiling(bought))
    parts.append(versions(records))
    if grids:
        parts += ["Every network, ours ÷ torchvision's:", grid(grids)]
    if others := [r for r in records if r["benchmark"] not in GRIDS]:
        parts += ["All sides:", sides(others)]
    return "\n\n".join(parts)


def versions(records: Iterable[dict]) -> str:
    """Returns the versions that were measured, one sentence per set."""
    sentences = []
    for record in records:
        e = record["environment"]
        torch = f"PyTorch {e['torch']}" if e["torch"] else "no PyTorch"
        pages = "memory in huge pages" if e["huge_pages"] else "memory in pages of 4 KiB"
        pages = f"{pages} on both sides, " if e["platform"] == "cpu" else ""
        sentence = f"{device(e)}: Python {e['python']}, JAX {e['jax']}, {torch}, {pages}{e['date']}."
        if sentence not in sentences:
            sentences.append(sentence)
    return "  \n".join(sentences)


def insert(path: Path, text: str) -> bool:
    """Replaces what stands between the two markers of a file; returns whether it has them."""
    if not path.is_file() or OPEN not in (old := path.read_text()) or CLOSE not in old:
        return False
    before, rest = old.split(OPEN, 1)
    after = rest.split(CLOSE, 1)[1]
    path.write_text(f"{before}{OPEN}\n{text}\n{CLOSE}{after}")
    return True


def main() -> None:
    records = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))]
    if not records:
        raise SystemExit("no results/*.json; copy there what `python -m benchmarks --out DIR` wrote")
    full, short = whole(records), whole(records, short=True)
    for path, text in ((HERE / "README.md", full), (HERE.parent / "README.md", short)):
        print(f"{path.relative_to(HERE.parent)}: {'written' if insert(path, text) else 'has no markers'}")


if __name__ == "__main__":
    main()
