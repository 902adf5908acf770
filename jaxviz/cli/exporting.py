"""The command that writes a stylizing network as a program in a file."""

from pathlib import Path
from typing import Annotated

from jaxviz import stylization
from jaxviz.cli import options, styles
from jaxviz.cli.command import command
from jaxviz.cli.options import HOW, OUTPUT, option
from jaxviz.cli.session import Session
from jaxviz.cli.styles import chosen
from jaxviz.stylization.exporting import checked_suffix


@command(
    example="jaxviz export --model model.safetensors --style waves --size 480x640 --out waves.stablehlo",
    reads=True,
    computes=False,
)
def export(
    session: Session,
    model: styles.Model,
    size: Annotated[str, option("--size", HOW, "HEIGHTxWIDTH of its pictures.")],
    out: Annotated[
        Path, option("--out", OUTPUT, ".stablehlo for JAX on a CPU, a GPU or a TPU; .onnx for ONNX runtimes.")
    ],
    style: styles.Styles = None,
    mix: styles.Mix = None,
    alpha: Annotated[str, option("--alpha", HOW, "How much of the style, from 0 to 1.")] = "1",
    style_size: styles.StyleSize = None,
    precision: options.Precision = "float32",
) -> None:
    """Write a model with its style as a program, weights inside, that runs without this library."""
    checked_suffix(out)
    session.opens([out])
    shares = styles.alphas(alpha)
    if len(shares) > 1:
        raise ValueError(f"--alpha is {alpha!r}; expected one number: a program draws one picture")
    try:
        height, width = (int(side) for side in size.lower().replace("×", "x").split("x"))
    except ValueError:
        raise ValueError(f"--size is {size!r}; expected HEIGHTxWIDTH, as 480x640") from None
    found = chosen(session, model, style, mix, style_size)
    stylization.export(out, found.model, found.codes, (height, width), weights=found.shares, alpha=shares[0])
    session.written.append(out)
    session.record["program"] = {"bytes": out.stat().st_size, "input": [height, width, 3], "dtype": "float32"}
