"""Writes the table of techniques into README.md, from what the methods declare: `python -m docs.make_tables`."""

from pathlib import Path

from jaxviz.techniques import FAMILIES, Family, Method
from jaxviz.training import METHODS

README = Path(__file__).resolve().parents[1] / "README.md"
OPEN, CLOSE = "<!-- techniques -->", "<!-- /techniques -->"


def command(family: Family, name: str, method: Method) -> str:
    """Returns the command of a method, without `jaxviz`."""
    usual = family.command + (f" --method {name}" if name != family.usual else "")
    return method.command or usual


def table() -> str:
    """Returns a row for each method: title, call, command, paper."""
    rows = [("technique", "call", "command", "paper"), ("---",) * 4]
    for family in FAMILIES.values():
        for name, method in family.methods.items():
            call = f"`jaxviz.{family.name}.{method.function.__name__}`"
            rows.append((method.title, call, f"`{command(family, name, method)}`", method.paper))
    for name, way in METHODS.items():
        call = f"`jaxviz.training.{way.function.__name__}`"
        rows.append((f"stylization in one pass: {way.title}", call, f"`train {name}`, `stylize`", way.paper))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def written(text: str) -> str:
    """Returns README's text with the table as it is now."""
    before, rest = text.split(OPEN, 1)
    return f"{before}{OPEN}\n{table()}\n{CLOSE}{rest.split(CLOSE, 1)[1]}"


if __name__ == "__main__":
    README.write_text(written(README.read_text(encoding="utf-8")), encoding="utf-8")
