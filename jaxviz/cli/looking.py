"""Commands that look into a network: its kernels, its activations, its layers."""

from typing import Annotated, Any

import jax.numpy as jnp
import numpy as np
import typer

import jaxviz
from jaxviz._checks import known
from jaxviz.checkpoints.store import manifest
from jaxviz.cli import options, runs
from jaxviz.cli.analysis import CLASSIFIER, square
from jaxviz.cli.command import command
from jaxviz.cli.options import HOW, WHAT, option
from jaxviz.cli.session import Failure, Session
from jaxviz.cli.tables import aligned
from jaxviz.drawing import sheets
from jaxviz.networks import NETWORKS
from jaxviz.networks.structure import Structure, structure


@command(
    example="jaxviz filters --network vgg16 --layer conv2_1 --out filters.png",
    network=CLASSIFIER,
    out="filters.png",
)
def filters(
    session: Session,
    layer: Annotated[
        str | None, option("--layer", WHAT, "A convolution; default: the first one, in color.")
    ] = None,
    count: Annotated[
        int | None,
        option("--count", HOW, "Filters to draw; default: all of the first layer, 16 of others.", min=1),
    ] = None,
    scale: Annotated[
        str, option("--scale", HOW, "each: by its own largest weight; common: by that of all.")
    ] = "each",
) -> None:
    """Draw the kernels of a convolution; raw files hold all of them, n×kh×kw×c."""
    known(scale, sheets.SCALES, "scale")
    session.opens_pictures(session.out)
    network = session.given["network"]
    model = runs.network(session)
    convolutions = structure(model.architecture).convolutions
    first = next(iter(convolutions))
    layer = layer or first
    kernels = np.asarray(session.timed(lambda: jaxviz.features.filters(model, layer)))
    total, height, width, inputs = kernels.shape
    colored = convolutions[layer] == convolutions[first] and inputs == 3
    count = min(total, count or (total if colored else sheets.READABLE))
    session.settle(layer=layer, count=count)
    session.record["shape"] = list(kernels.shape)
    caption = f"{network}, {layer}: {_part(count, total)} filters of {height}x{width}"
    if session.raw:
        session.write(session.out, kernels)
    elif colored:
        caption += "; grey is 0"
        session.write(session.out, sheets.color_filters(kernels[:count], scale=scale, caption=caption))
    else:
        caption += f", each over {_part(min(inputs, sheets.READABLE), inputs)} channels; grey is 0"
        session.write(session.out, sheets.kernel_blocks(kernels, count=count, scale=scale, caption=caption))


def _part(count: int, total: int) -> str:
    return f"all {total}" if count == total else f"the first {count} of {total}"


@command(
    example="jaxviz activations photo.jpg --layer fire4 --out activations.png",
    network=CLASSIFIER,
    reads=True,
    out="activations.png",
)
def activations(
    session: Session,
    picture: options.Picture,
    layer: Annotated[str, option("--layer", WHAT, "A tap that `jaxviz networks NETWORK` lists.")],
    size: options.Square = 224,
    count: Annotated[int, option("--count", HOW, "Channels to draw, the strongest first.", min=1)] = 36,
) -> None:
    """Draw the channels of a layer that answer to a picture most; raw files hold all of them, h×w×c."""
    session.opens_pictures(session.out)
    pixels = jnp.asarray(square(session, picture))
    network = session.given["network"]
    model = runs.network(session)
    found = session.timed(lambda: jaxviz.features.activations(model, pixels, layer))
    maps, strength, order = (np.asarray(value) for value in found)
    if not np.isfinite(maps).all():
        raise Failure("the activations are NaN or infinite; take other weights")
    shown = order[:count]
    session.settle(count=len(shown))
    session.record["shape"] = list(maps.shape)
    session.record["channels"] = [
        {"index": int(c), "strength": float(strength[c]), "maximum": float(maps[..., c].max())} for c in shown
    ]
    if session.raw:
        session.write(session.out, maps)
    else:
        which = "all" if len(shown) == len(order) else f"strongest {len(shown)} of"
        caption = f"{network}, {layer}: {which} {len(order)} channels, by the mean of their positive part"
        session.write(session.out, sheets.activation_maps(maps, shown, caption=caption))


@command(example="jaxviz networks resnet50", computes=False)
def networks(
    session: Session,
    name: Annotated[str | None, typer.Argument(help="One network: its taps too.")] = None,
) -> None:
    """List the known networks, or the taps of one: shape at 224×224, what a unit sees, parameters.

    The field is the height and width that a unit can see in pixels, the centre that of the first unit's field,
    with pixel k covering [k, k+1). Parameters are those that were learned: of normalization, no statistics.
    """
    shipped = manifest()
    if name is not None:
        known(name, NETWORKS, "network")
    chosen = NETWORKS if name is None else {name: NETWORKS[name]}
    record: dict[str, Any] = {}
    for each, entry in chosen.items():
        record[each] = {
            "weights": "shipped" if each in shipped else f"jaxviz weights fetch {each}",
            "paper": entry.paper,
        }
    if name is not None:
        record[name] |= _facts(structure(NETWORKS[name].architecture))
    session.record["networks"] = record
    if session.json_path != "-":
        for paper, names in _by_paper(record).items():
            typer.echo(paper)
            widest = max(map(len, names))
            for each in names:
                typer.echo(f"    {each.ljust(widest)}  {record[each]['weights']}")
        if name is not None:
            typer.echo(_table(record[name]))


def _by_paper(record: dict[str, Any]) -> dict[str, list[str]]:
    papers: dict[str, list[str]] = {}
    for name, facts in record.items():
        papers.setdefault(facts["paper"], []).append(name)
    return papers


def _facts(built: Structure) -> dict[str, Any]:
    taps = {
        tap: {
            "shape": part.shape,
            "stride": part.field.stride,
            "field": part.field.size,
            "center": part.field.center,
            "parameters": part.parameters,
        }
        for tap, part in built.parts.items()
    }
    return {"taps": taps, "parameters": built.parameters}


def _table(facts: dict[str, Any]) -> str:
    rows = [("tap", "shape", "stride, px", "field, px", "centre, px", "parameters")]
    for tap, fact in facts["taps"].items():
        shape = "×".join(map(str, fact["shape"]))
        pairs = [_pair(fact[kind]) for kind in ("stride", "field", "center")]
        rows.append((tap, shape, *pairs, f"{fact['parameters']:,}" if fact["parameters"] else "-"))
    rows.append(("total", "", "", "", "", f"{facts['parameters']:,}"))
    return aligned(rows)


def _pair(values: tuple[float | int, float | int]) -> str:
    if values == (0, 0):
        return "-"
    return f"{values[0]:g}" if values[0] == values[1] else "×".join(f"{value:g}" for value in values)
