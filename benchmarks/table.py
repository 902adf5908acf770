"""Writes the tables of README.md and benchmarks/README.md from results/*.json: `python -m benchmarks.table`."""

import json
import statistics
from collections.abc import Iterable
from pathlib import Path

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
OPEN, CLOSE = "<!-- benchmarks -->", "<!-- /benchmarks -->"
GRIDS = ("networks", "networks16")
"""Benchmarks of too many rows for a table of rows: the main README has their medians."""
ORDER = ("gatys", "transfer", "saliency", "step", "networks", "networks16", "compiling")
HEAD = ("Work", "", "Device", "jaxviz", "against", "its time", "ours ÷ its (range)", "commit")


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
    """Returns the loss that a side reached, where it is a run."""
    reached = row["sides"][name].get("loss_reached_clipped_to_colors")
    return "" if reached is None else f", loss {reached:.4g}"


def lines(record: dict) -> Iterable[list[str]]:
    """Yields the cells of each row of one benchmark."""
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
        yield [*cells, environment["commit"] + (" (quick)" if record["quick"] else "")]


def device(environment: dict) -> str:
    cores = f", {environment['cores']} cores" if environment["platform"] == "cpu" else ""
    precision = "" if environment["precision"] == "float32" else f", {environment['precision']}"
    return environment["device"] + cores + precision


def medians(record: dict) -> Iterable[list[str]]:
    """Yields the cells of one row for each kind of work of a benchmark of networks: the median of their ratios."""
    kinds: dict[str, list[float]] = {}
    for row in record["rows"]:
        if row["rival"] is not None:
            kinds.setdefault(row["work"].split(", ")[1], []).append(row["ratio"]["median"])
    for kind, ratios in kinds.items():
        ratio = f"**{statistics.median(ratios):.2f}** ({min(ratios):.2f} – {max(ratios):.2f} among networks)"
        place, commit = device(record["environment"]), record["environment"]["commit"]
        what = f"{kind}, median of {len(ratios)}"
        yield [record["title"], what, place, "–", "torchvision", "–", ratio, commit]


def table(records: Iterable[dict], *, short: bool = False) -> str:
    """Returns one line per row of every benchmark: ours, the best rival, and the ratio."""
    ordered = sorted(records, key=lambda r: (r["environment"]["platform"], ORDER.index(r["benchmark"])))
    cells = [(medians if short and r["benchmark"] in GRIDS else lines)(r) for r in ordered]
    return markdown(HEAD, (line for rows in cells for line in rows))


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


def versions(records: Iterable[dict]) -> str:
    """Returns the versions that were measured, one sentence per set."""
    sentences = []
    for record in records:
        e = record["environment"]
        torch = f"PyTorch {e['torch']}" if e["torch"] else "no PyTorch"
        sentence = f"{device(e)}: Python {e['python']}, JAX {e['jax']}, {torch}, {e['date']}."
        if sentence not in sentences:
            sentences.append(sentence)
    return "  \n".join(sentences)


def full(records):
    return table(records)


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
    grids = sorted((r for r in records if r["benchmark"] in GRIDS), key=lambda r: ORDER.index(r["benchmark"]))
    others = [r for r in records if r["benchmark"] not in GRIDS]
    short = table(records, short=True)
    networks = ["Every network, ours ÷ torchvision's:", grid(grids)] if grids else []
    full = "\n\n".join([short, versions(records), *networks, "All sides:", sides(others)])
    for path, text in ((HERE / "README.md", full), (HERE.parent / "README.md", short)):
        print(f"{path.relative_to(HERE.parent)}: {'written' if insert(path, text) else 'has no markers'}")


if __name__ == "__main__":
    main()
