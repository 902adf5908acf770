"""Tables of text: columns of equal width, the first aligned to the left and the others to the right."""

from collections.abc import Sequence


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Returns rows of as many texts each as lines, indented by four spaces.

    Example:
      >>> print(aligned([("tap", "px"), ("conv1_1", "3")]))
          tap      px
          conv1_1   3
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *cells in rows:
        right = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
        lines.append("  ".join(["    " + first.ljust(widths[0]), *right]).rstrip())
    return "\n".join(lines)
