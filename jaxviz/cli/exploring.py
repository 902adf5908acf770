"""Commands that look at many pictures together: what excites a channel most, what a layer takes for alike."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from jaxviz import images, jobs, stylization
from jaxviz._checks import known
from jaxviz.cli import options, runs
from jaxviz.cli.analysis import CLASSIFIER
from jaxviz.cli.command import command
from jaxviz.cli.methods import integers
from jaxviz.cli.options import HOW, WHAT, option
from jaxviz.cli.session import Session
from jaxviz.drawing import grids, maps
from jaxviz.jobs.reading import Reader
from jaxviz.techniques import embedding
from jaxviz.techniques.saliency.cam import last_map

PLACES = ("neighbors", "pca", "tsne")
THUMBNAIL = 64


@command(
    example="jaxviz patches photos/ --layer fire5 --channels 3,17,42 --out run/",
    network=CLASSIFIER,
    reads=True,
    many=True,
    out="patches",
)
def patches(
    session: Session,
    picture: options.Source,
    layer: Annotated[str, typer.Option("--layer", help="A tap with positions.", rich_help_panel=WHAT)],
    channels: Annotated[
        str, option("--channels", WHAT, "Such as 3,17,42, or FIRST-LAST; one row of the sheet each.")
    ] = "0-7",
    count: Annotated[int, option("--count", HOW, "Pictures in a row.", min=1)] = 9,
    size: options.Square = 224,
) -> None:
    """Find the parts of many pictures that excite channels most, and draw what of them does: RUN/patches.png."""
    chosen = integers(channels, "--channels")
    network = runs.network(session)
    runs.run(session, picture, lambda: jobs.strongest(network, layer, chosen, size=size))
    folder = session.given["out"] or Path(session.out.stem)
    source = jobs.open_source(picture)
    found = jobs.read_strongest(folder, count)
    limit = session.given["max_pixels"]
    made = jobs.cut_patches(network, source, found, layer, chosen, size=size, max_pixels=limit)
    names = [[source[int(index)].name for index in row] for row in found.index]
    session.settle(channels=chosen)
    session.record["channels"] = [
        {
            "channel": channel,
            "patches": [
                {"name": name, "strength": float(strength), "place": place.tolist()}
                for name, strength, place in zip(names[k], found.strength[k], found.place[k], strict=True)
            ],
        }
        for k, channel in enumerate(chosen)
    ]
    reliefs = np.stack([[maps.relief(one) for one in row] for row in made.reliefs])
    both = np.concatenate([made.pictures, reliefs], 1)
    numbers = [str(k + 1) for k in range(found.index.shape[1])]
    sheet = grids.grid(
        both,
        [str(channel) for channel in chosen],
        [*numbers, *numbers],
        title=f"{session.given['network']}, {layer}: what excites channels most, and what of it does",
        rows="channel",
    )
    session.write(folder / "patches.png", sheet)
    with images.atomically(folder / "patches.npz") as temporary:
        np.savez(temporary, allow_pickle=False, pictures=made.pictures, reliefs=made.reliefs, **vars(found))
    session.written.append(folder / "patches.npz")


@command(
    example="jaxviz embed photos/ --to tsne --out run/",
    network=CLASSIFIER,
    reads=True,
    many=True,
    out="embedding",
)
def embed(
    session: Session,
    picture: options.Source,
    to: Annotated[
        str, typer.Option("--to", help="neighbors, pca or tsne.", rich_help_panel=WHAT)
    ] = "neighbors",
    layer: Annotated[
        str | None,
        option("--layer", WHAT, "A tap, averaged over positions; default: the last with features."),
    ] = None,
    features: Annotated[
        str | None,
        option(
            "--features",
            WHAT,
            "In the place of a layer, the style codes of a model that `jaxviz train cast` made: a name or a file.",
        ),
    ] = None,
    size: options.Square = 224,
    count: Annotated[int, option("--count", HOW, "Neighbors of each picture, itself included.", min=1)] = 8,
    rows: Annotated[int, option("--rows", HOW, "Pictures whose neighbors are drawn.", min=1)] = 8,
    metric: Annotated[str, option("--metric", HOW, "Of neighbors: cosine or l2.")] = "cosine",
    perplexity: Annotated[
        float, option("--perplexity", HOW, "Of t-SNE: about how many neighbors count.", min=1)
    ] = embedding.PERPLEXITY,
    side: Annotated[int, option("--side", HOW, "Cells of the map, down and across.", min=1)] = 24,
) -> None:
    """Show what a layer takes for alike: each one's neighbors, or a map of all pictures, in RUN/."""
    known(to, PLACES, "embedding")
    known(metric, embedding.METRICS, "metric")
    if features is not None:
        chosen, what, make = "style", f"{features}, styles", _styles(session, features, size)
    else:
        network = runs.network(session)
        chosen = layer or last_map(network)
        what = f"{session.given['network']}, {chosen}"
        session.settle(layer=chosen)

        def make() -> jobs.Task:
            return jobs.features(network, [chosen], size=size, pool=True)

    runs.run(session, picture, make)
    folder = session.given["out"] or Path(session.out.stem)
    points, index = jobs.read_features(folder, chosen)
    source = jobs.open_source(picture)
    reader = Reader(source, jobs.Square(THUMBNAIL), session.given["max_pixels"])
    names = [source[int(k)].name for k in index]

    def thumbnail(k: int) -> np.ndarray:
        pixels = reader(int(index[k])).pixels
        return np.ones((THUMBNAIL, THUMBNAIL, 3), np.float32) if pixels is None else images.to_floats(pixels)

    arrays: dict[str, Any] = {"index": index}
    if to == "neighbors":
        found = embedding.neighbors(points, points, min(count, len(points)), metric=metric)
        arrays |= {"neighbors": np.asarray(found.indices), "distances": np.asarray(found.distances)}
        shown = arrays["neighbors"][:rows]
        sheet = grids.grid(
            np.stack([[thumbnail(int(k)) for k in row] for row in shown]),
            names[: len(shown)],
            ["itself" if k == 0 else str(k) for k in range(shown.shape[1])],
            title=f"{what}: nearest by {metric}",
        )
        session.record["neighbors"] = [
            {"name": names[k], "neighbors": [names[j] for j in row]} for k, row in enumerate(shown)
        ]
    else:
        if to == "pca":
            places, shares = embedding.pca(points)
            session.record["variance"] = shares.tolist()
        else:
            places = embedding.tsne(points, perplexity=perplexity)
        arrays["places"] = places
        cells = embedding.on_grid(places, side)
        blank = np.ones((THUMBNAIL, THUMBNAIL, 3), np.float32)
        tiles = [[blank if k < 0 else thumbnail(int(k)) for k in row] for row in cells]
        sheet = np.concatenate([np.concatenate(row, 1) for row in tiles])
    session.write(folder / f"{to}.png", sheet)
    with images.atomically(folder / f"{to}.npz") as temporary:
        np.savez(temporary, allow_pickle=False, **arrays)
    session.written.append(folder / f"{to}.npz")


def _styles(session: Session, name: str, size: int) -> Callable[[], jobs.Task]:
    """Returns what makes the task of a model's style codes; raises ValueError beside options of a network."""
    given = session.given
    for option_name, usual in (("layer", None), ("network", CLASSIFIER), ("weights", None)):
        if given[option_name] != usual:
            raise ValueError(
                f"--features and --{option_name} both say what pictures are known by; give one of them"
            )
    model = stylization.load(name, precision=given["precision"])
    session.record["model"] = stylization.describe(name)
    return lambda: jobs.style_codes(model, size=size)
