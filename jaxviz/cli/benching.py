"""The command that tells what techniques cost."""

from typing import Annotated

from jaxviz.cli.command import command
from jaxviz.cli.explaining import explained
from jaxviz.cli.options import HOW, MACHINE, WHAT, option
from jaxviz.cli.session import Session
from jaxviz.costs import PLATFORMS, TECHNIQUES
from jaxviz.costs.programs import SIZE


@command(example="jaxviz bench --explain style --platform tpu --precision bfloat16")
def bench(
    session: Session,
    explain: Annotated[
        str | None,
        option("--explain", WHAT, "A technique: tell every product of its program; nothing is compiled."),
    ] = None,
    platform: Annotated[
        str,
        option("--platform", MACHINE, f"{', '.join(PLATFORMS)}: for which it is lowered; none need be here."),
    ] = "tpu",
    size: Annotated[int, option("--size", HOW, "Side of the picture in pixels.", min=1)] = SIZE,
    precision: Annotated[
        str, option("--precision", MACHINE, "float32, tf32 or bfloat16: of the network's products.")
    ] = "float32",
) -> None:
    """Tell what a technique costs: operations, bytes, padding and precision of each product of its program."""
    if explain is None:
        raise ValueError(f"bench needs --explain TECHNIQUE; there are: {', '.join(TECHNIQUES)}")
    explained(session, explain, platform, size, precision)
