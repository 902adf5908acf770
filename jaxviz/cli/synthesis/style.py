"""The command that transfers styles."""

from pathlib import Path
from typing import Annotated, Any

import typer

from jaxviz import images
from jaxviz.cli import options
from jaxviz.cli.command import command
from jaxviz.cli.masks import read_masks
from jaxviz.cli.options import HOW, WHAT, option
from jaxviz.cli.session import Session
from jaxviz.cli.synthesis.common import choice, longer, preset_network
from jaxviz.cli.synthesis.keeping import opened, solved
from jaxviz.cli.synthesis.sheets import drawn_grid, grid_axes
from jaxviz.networks import Network
from jaxviz.networks.structure import structure
from jaxviz.techniques import FAMILIES
from jaxviz.techniques import style as technique
from jaxviz.techniques.pyramid import sizes_by_sqrt2


@command(
    example="jaxviz style portrait.jpg painting.jpg --keep-colors luminance --out styled.png",
    network=None,
    family=FAMILIES["style"],
    pooling=True,
    reads=True,
    out="style.png",
)
def style(
    session: Session,
    content: options.Picture,
    styles: Annotated[list[Path], typer.Argument(help="One or more pictures whose style is taken.")],
    size: options.Longer = 256,
    style_size: Annotated[
        str | None,
        option(
            "--style-size",
            HOW,
            "Longer side of the styles; several, as 128,384, mix brushes. Default: --size.",
        ),
    ] = None,
    init: Annotated[
        str, option("--init", WHAT, "content, noise, statistics, or a picture's path; default: the preset's.")
    ] = "",
    mask: Annotated[
        list[Path] | None,
        option("--mask", WHAT, "Picture that is white where a style goes; one for each style, in order."),
    ] = None,
    grid: Annotated[
        list[str] | None,
        option("--grid", HOW, "One sheet over numbers, as content-weight=0.1,1,style-weight=1e-3,1e-2."),
    ] = None,
    devices: options.Devices = "1",
    lpips: options.Lpips = None,
) -> None:
    """Draw the content of one picture in the style of others."""
    opened(session, "--grid" if grid else "")
    if devices != "1" and not grid:
        raise ValueError(
            "--devices shares the pictures of a grid; the rows of one picture, --row-devices does"
        )
    axes = grid_axes(grid or [], choice(session))
    pixels = longer(session, content, size)
    examples = _examples(session, styles, style_size or str(size))
    each = len(examples) // len(styles)
    masks = read_masks(session, mask, pixels, len(styles)) if mask else None
    # What the problem is made with, in a grid and alone; pictures are read before the network is.
    more = {
        "init": _start(session, init, pixels),
        "masks": masks and [one for one in masks for _ in range(each)],
        "pooling": session.given["pooling"],
    }
    network = preset_network(session)
    given = choice(session).values(network) | more
    if (shares := given.get("shares")) is not None:
        if len(shares) != len(styles):
            raise ValueError(f"--style-weights has {len(shares)} numbers for {len(styles)} styles")
        given["shares"] = [share for share in shares for _ in range(each)]
    _tell_small_styles(session, network, examples, given)
    if axes:
        drawn_grid(session, network, (pixels, examples), axes, **given)
        return
    solved(
        session,
        network,
        pixels,
        examples,
        shape=pixels.shape[:2],
        pictures={"content": pixels, **{f"style {k + 1}": example for k, example in enumerate(examples)}},
        seen=(pixels, technique.recolored(given.get("keep_colors"), pixels, examples)),
        like=pixels,
        scales=_scales(session, pixels),
        **given,
    )


def _examples(session: Session, styles: list[Path], sizes: str) -> list[images.Picture]:
    """Returns every style in every size, the sizes of one after each other."""
    sides = options.sides(sizes, "--style-size")
    return [longer(session, path, side) for path in styles for side in sides]


def _scales(session: Session, pixels: images.Picture) -> int:
    """Returns at how many sizes the steps are made."""
    preset = choice(session).preset
    smallest = session.given["pyramid"] or (preset.values.get("pyramid") if preset else None)
    longest = max(pixels.shape[:2])
    return len(sizes_by_sqrt2(min(smallest, longest), longest)) if smallest else 1


def _start(session: Session, init: str, pixels: images.Picture) -> Any:
    if not init or init in technique.STARTS:
        return init or None
    read = images.read(init, max_pixels=session.given["max_pixels"])
    return images.resize(read, pixels.shape[0], pixels.shape[1])


def _tell_small_styles(
    session: Session, network: Network, examples: list[Any], given: dict[str, Any]
) -> None:
    """Notes which styles are smaller than what the deepest layer sees: there they are mostly border."""
    usual = choice(session).preset
    layers = given.get("style_weights") or (usual.values["style_weights"] if usual else {})
    if given.get("style_loss") == "nearest" and not given.get("style_weights"):
        layers = technique.NEAREST_LAYERS
    parts = structure(network.architecture).parts
    seen = {layer: max(parts[layer].field.size) for layer in layers if layer in parts}
    for k, example in enumerate(examples):
        h, w = example.shape[:2]
        if small := [layer for layer, pixels in seen.items() if min(h, w) < pixels]:
            session.note(
                f"style {k + 1} is {h}×{w}, less than the {seen[small[-1]]} pixels that {small[-1]} sees: "
                "its statistics there are mostly of the border"
            )
