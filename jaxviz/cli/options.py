"""The options that commands share, so that each has one name and one meaning everywhere."""

import math
from collections.abc import Mapping
from inspect import Parameter
from pathlib import Path
from typing import Annotated, Any

import typer

from jaxviz.images import MAX_PIXELS
from jaxviz.techniques import Family, Method, Option

WHAT, HOW, OUTPUT, MACHINE = "What", "How", "Output", "Machine"
"""The groups of `--help`."""


def option(flag: str, panel: str, text: str, **more: Any) -> Any:
    """Returns what makes a parameter an option: its name, its group in the help, what it means."""
    return typer.Option(flag, help=text, rich_help_panel=panel, **more)


def parameter(name: str, annotation: Any, default: Any) -> Parameter:
    """Returns a parameter of a command."""
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


Picture = Annotated[Path, typer.Argument(help="PNG, JPEG, WebP, TIFF, BMP, or .npy floats in [0, 1].")]
Source = Annotated[
    str,
    typer.Argument(
        help="A picture: PNG, JPEG, WebP, TIFF, BMP, or .npy floats in [0, 1]. Or many: a folder, a glob in "
        "quotes, a .txt list of paths, tfds:NAME[:SPLIT]."
    ),
]
Label = Annotated[str | None, option("--label", WHAT, "Class, by index or name; default: the top one.")]
Top = Annotated[int, option("--top", WHAT, "Explain so many of the best classes, one map each.", min=1)]
Channel = Annotated[
    int | None,
    option("--channel", WHAT, "Explain a neuron instead of a class: its channel, of --layer.", min=0),
]
At = Annotated[
    str | None,
    option("--at", WHAT, "ROW,COLUMN of the neuron in its layer; default: the mean of its channel."),
]
Square = Annotated[
    int,
    option("--size", HOW, "N×N pixels: of another picture the centre is cut out, as for training.", min=1),
]
Devices = Annotated[
    str,
    option("--devices", MACHINE, "Many pictures, a grid or a batch: how many devices share them, or all."),
]
Precision = Annotated[
    str,
    option(
        "--precision",
        MACHINE,
        "float32; on a GPU tf32 or bfloat16 are many times as fast, and less exact.",
    ),
]
Save = Annotated[
    str, option("--save", OUTPUT, "Many pictures: pictures, arrays as they are (.npz), or both.")
]
Longer = Annotated[int, option("--size", HOW, "Longer side of the result in pixels, aspect kept.", min=1)]

COMMON = [
    parameter(
        "json",
        Annotated[
            str | None, option("--json", OUTPUT, "Where to write what was done as JSON; - for stdout.")
        ],
        None,
    ),
    parameter(
        "quiet", Annotated[bool, option("--quiet", OUTPUT, "No progress bar, no notes: errors only.")], False
    ),
    parameter("debug", Annotated[bool, option("--debug", MACHINE, "Show the traceback of an error.")], False),
]
COMPUTING = [
    parameter(
        "no_cache",
        Annotated[bool, option("--no-cache", MACHINE, "Compile anew; keep nothing in the cache folder.")],
        False,
    ),
]
READING = [
    parameter(
        "max_pixels",
        Annotated[int, option("--max-pixels", MACHINE, "Larger pictures are refused.", min=1)],
        MAX_PIXELS,
    ),
]
POOLING = [
    parameter(
        "pooling",
        Annotated[
            str | None,
            option("--pooling", WHAT, "max, as trained, or average; default: the preset's."),
        ],
        None,
    )
]
SAVE = [parameter("save", Save, "pictures")]
Lpips = Annotated[
    Path | None,
    option("--lpips", OUTPUT, "Weights of LPIPS, by which the result's distance from the picture is told."),
]
KEEPING = [
    parameter(
        "page",
        Annotated[
            Path | None, option("--page", OUTPUT, "Where to write pictures and numbers as one HTML page.")
        ],
        None,
    ),
    parameter(
        "film",
        Annotated[Path | None, option("--film", OUTPUT, "Where to keep the run as .gif, .webp or .mp4.")],
        None,
    ),
    parameter(
        "snapshot_every",
        Annotated[
            int | None,
            option(
                "--snapshot-every", OUTPUT, "Evaluations after which the state is kept beside --out.", min=1
            ),
        ],
        None,
    ),
    parameter(
        "resume",
        Annotated[bool, option("--resume", OUTPUT, "Go on from the state that a killed run has kept.")],
        False,
    ),
]
"""Of a command that minimizes for one picture."""
MEMORY = [
    parameter(
        "memory",
        Annotated[
            str | None,
            option("--memory", MACHINE, "What a batch, or a large picture, may take, such as 4GB."),
        ],
        None,
    ),
]


SOLVING = [
    parameter(
        "steps",
        Annotated[
            int | None,
            option("--steps", HOW, "Evaluations of value and gradient; default: the preset's.", min=0),
        ],
        None,
    ),
    parameter(
        "optimizer",
        Annotated[
            str | None,
            option(
                "--optimizer", HOW, "lbfgs, spectral (preconditioned lbfgs) or adam; default: the preset's."
            ),
        ],
        None,
    ),
    parameter(
        "seed",
        Annotated[int, option("--seed", HOW, "Seeds everything that is drawn.", min=0, max=2**32 - 1)],
        0,
    ),
    parameter(
        "plot",
        Annotated[Path | None, option("--plot", OUTPUT, "Where to draw the curve of the loss.")],
        None,
    ),
    parameter(
        "row_devices",
        Annotated[
            int,
            option(
                "--row-devices", MACHINE, "Devices that share the rows of one picture, each a part.", min=1
            ),
        ],
        1,
    ),
    *KEEPING,
]
"""Of a technique that minimizes, what may take the place of its preset's values, and what is kept on the way."""


def network(default: str | None) -> list[Parameter]:
    """Returns the options that choose a network and its weights."""
    usual = "A name that `jaxviz networks` lists." + (" Default: the preset's." if default is None else "")
    file = "A weight file instead of the shipped or fetched one."
    return [
        parameter("network", Annotated[str | None, option("--network", WHAT, usual)], default),
        parameter("weights", Annotated[Path | None, option("--weights", WHAT, file)], None),
        parameter("precision", Precision, "float32"),
    ]


def out(default: str, many: bool) -> list[Parameter]:
    """Returns the option that says where the result goes."""
    text = "Result: .png or .jpg for a picture, .npy or .npz for raw float arrays."
    if many:
        text += f" Of many pictures a folder; default: {Path(default).stem}/."
    return [
        parameter(
            "out",
            Annotated[Path | None if many else Path, option("--out", OUTPUT, text)],
            None if many else Path(default),
        )
    ]


def preset(family: Family) -> list[Parameter]:
    """Returns the option that chooses a technique's preset."""
    names = ", ".join(family.presets)
    text = f"{names}: `jaxviz presets {family.name}`."
    return [parameter("preset", Annotated[str, option("--preset", HOW, text)], "default")]


def of_methods(family: Family) -> list[Parameter]:
    """Returns --method, where there is a choice, and every option that a method of the family takes."""
    made = []
    if len(family.methods) > 1:
        text = "; ".join(f"{name}: {method.title}" for name, method in family.methods.items())
        made.append(parameter("method", Annotated[str, option("--method", WHAT, f"{text}.")], family.usual))
    for name, takers in family.options().items():
        owner = next(iter(takers))
        said, method = takers[owner], family.methods[owner]
        if said.kind in TYPES:
            flag = flag_of(name, said)
            text = _described(name, said, method, list(takers), family)
            limits = {} if said.kind == "fraction" else {"min": said.low, "max": said.high}
            panel = WHAT if said.kind in ("class", "layer", "layers", "pictures") else HOW
            made.append(
                parameter(
                    parsed_name(flag),
                    Annotated[TYPES[said.kind], option(flag, panel, text, **limits)],
                    False if said.kind == "flag" else said.usual,
                )
            )
    return made


def flag_of(name: str, said: Option) -> str:
    """Returns how an option is written on the command line."""
    return said.flag or f"--{name.replace('_', '-')}"


def parsed_name(flag: str) -> str:
    """Returns the name under which a command gets an option."""
    return flag.removeprefix("--").replace("-", "_")


TYPES: dict[str, Any] = {
    "number": float | None,
    "numbers": str | None,
    "flag": bool,
    "fraction": str | None,
    "integer": int | None,
    "class": str | None,
    "layer": str | None,
    "layers": list[str] | None,
    "choice": str | None,
    "pictures": str | None,
}
"""Kind of an option → what a command takes for it. Other kinds need more of the command, which has them itself."""


def _described(name: str, said: Option, method: Method, takers: list[str], family: Family) -> str:
    text = said.help
    if said.kind == "layers":
        text = f"{text} NAME or NAME=WEIGHT; repeat it."
    if said.several:
        text = f"{text} Of many pictures several, with commas."
    if said.choices:
        text = f"{', '.join(said.choices)}: {text[0].lower()}{text[1:]}"
    default = method.default(name)
    if default is not None and said.usual is None:
        text = f"{text} Default: {said.shown or default}."
    return text if len(takers) == len(family.methods) else f"{text} For {', '.join(takers)}."


def weights_of_layers(texts: list[str]) -> Mapping[str, float]:
    """Returns weights per layer from texts such as "relu4_2" or "relu4_2=0.5"."""
    weights = {}
    for text in texts:
        name, _, weight = text.partition("=")
        try:
            weights[name] = float(weight) if weight else 1.0
        except ValueError:
            raise ValueError(f"layer {text!r} has no weight that is a number; write NAME=WEIGHT") from None
    return weights


def numbers(text: str, flag: str) -> tuple[float, ...]:
    """Returns numbers from a text such as "0.7,0.3"."""
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(
            f"{flag} is {text!r}; expected numbers with commas between, such as 0.7,0.3"
        ) from None
    return found


def sides(text: str, flag: str) -> tuple[int, ...]:
    """Returns sizes in pixels from a text such as "384" or "128,384"."""
    try:
        found = tuple(int(side) for side in text.split(","))
    except ValueError:
        found = (0,)
    if min(found) < 1:
        raise ValueError(f"{flag} is {text!r}; expected whole numbers of pixels, as 128,384")
    return found


def fraction(text: str, flag: str, high: float | int | None = 1) -> float:
    """Returns a number such as "0.03" or "8/255", at least 0 and, where there is a highest, at most that."""
    try:
        above, _, below = text.partition("/")
        value = float(above) / (float(below) if below else 1.0)
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"{flag} is {text!r}; expected a number or a fraction such as 8/255") from None
    if not (math.isfinite(value) and 0 <= value <= (math.inf if high is None else high)):
        allowed = "of at least 0" if high is None else f"in [0, {high:g}]"
        raise ValueError(f"{flag} is {text}; expected a number {allowed}, such as 8/255")
    return value
