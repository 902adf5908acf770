"""The options that commands share, so that each has one name and one meaning everywhere."""

from pathlib import Path
from typing import Annotated

import typer

from jaxviz.images import MAX_PIXELS

Picture = Annotated[Path, typer.Argument(help="PNG, JPEG, WebP, TIFF, BMP, or .npy floats in [0, 1].")]
Network = Annotated[str, typer.Option("--network", help="A name that `jaxviz networks` lists.")]
Weights = Annotated[
    Path | None, typer.Option("--weights", help="A weight file instead of the shipped or fetched one.")
]
Out = Annotated[
    Path,
    typer.Option("--out", help="Result: .png or .jpg for a picture, .npy or .npz for raw float arrays."),
]
Json = Annotated[
    str | None, typer.Option("--json", help="Where to write what was done as JSON; - for stdout.")
]
Square = Annotated[
    int,
    typer.Option(
        "--size", min=1, help="N×N pixels: of another picture the centre is cut out, as for training."
    ),
]
Longer = Annotated[
    int, typer.Option("--size", min=1, help="Longer side of the result in pixels, aspect kept.")
]
Label = Annotated[str | None, typer.Option("--label", help="Class, by index or name; default: the top one.")]
Steps = Annotated[int, typer.Option("--steps", min=0, help="Evaluations of value and gradient.")]
Optimizer = Annotated[str, typer.Option("--optimizer", help="lbfgs or adam.")]
Seed = Annotated[int, typer.Option("--seed", min=0, max=2**32 - 1, help="Seeds everything that is drawn.")]
MaxPixels = Annotated[int, typer.Option("--max-pixels", min=1, help="Larger pictures are refused.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bar, no notes: errors only.")]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Compile anew; keep nothing in the cache folder.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]

MAX = MAX_PIXELS
