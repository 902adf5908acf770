"""`bench --explain`: what is in a technique's program for a platform, as a table."""

import typer

from jaxviz.cli.session import Session
from jaxviz.cli.tables import aligned
from jaxviz.costs import Explanation, explain
from jaxviz.costs.products import Product


def explained(session: Session, technique: str, platform: str, size: int, precision: str) -> None:
    """Lowers a technique's program for a platform, keeps what is in it in the record, and prints it."""
    found = explain(technique, platform=platform, size=size, precision=precision)
    session.record["explanation"] = found.record()
    if session.json_path != "-":
        typer.echo(described(found))


def described(found: Explanation) -> str:
    """Returns an explanation as text: a row for each product, the most work first, and what else there is."""
    tiles = found.platform == "tpu"
    held = found.contents
    head = ["product", "×", "GFLOP", "FLOP/byte", "type", "precision"]
    rows = [[*head, "padding"] if tiles else head]
    for product, times in found.ordered:
        kinds = dict.fromkeys(tensor.kind for tensor in product.tensors)
        cells = [
            _shapes(product),
            f"{times:,}",
            f"{product.flops * times / 1e9:.3f}",
            f"{product.intensity:.1f}",
            "/".join(kinds),
            product.precision,
        ]
        rows.append([*cells, f"{product.padding:.0%}"] if tiles else cells)
    count = sum(held.products.values())
    total = ["all", f"{count:,}", f"{found.flops / 1e9:.3f}", f"{found.intensity:.1f}", "", ""]
    rows.append([*total, f"{found.padding:.0%}"] if tiles else total)
    constant = f"{held.constants:,} bytes of constants"
    lines = [
        f"{found.technique} of {found.size}×{found.size}, one {found.unit}, for {found.platform}",
        aligned(rows),
        f"arguments {found.arguments:,} bytes, results {found.results:,} bytes: "
        f"at most {found.intensity_at_most:.1f} FLOP/byte",
        f"types: {', '.join(held.kinds)}; {constant}",
        f"custom calls: {', '.join(held.custom_calls) or 'none'}; "
        f"calls of Python: {', '.join(held.callbacks) or 'none'}",
    ]
    if unknown := sum(n for loop, n in held.loops.items() if loop.rounds is None):
        lines.append(f"loops of which only a run tells the rounds, counted as one round: {unknown}")
    return "\n".join(lines)


def _shapes(product: Product) -> str:
    left, right, result = ("×".join(map(str, tensor.shape)) or "1" for tensor in product.tensors)
    return f"{product.operation} {left} · {right} → {result}"
