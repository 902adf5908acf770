"""Commands that make a picture by minimizing: inversion, texture, style."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import jax
import numpy as np
import typer

import jaxviz
from jaxviz import images
from jaxviz.cli import options
from jaxviz.cli.session import Session, optimizer_named
from jaxviz.drawing import plots
from jaxviz.optimization import Solution
from jaxviz.techniques import inversion
from jaxviz.techniques import style as style_technique
from jaxviz.techniques import texture as texture_technique

NETWORK = "vgg16"
Layers = list[str] | None
Pooling = Annotated[str, typer.Option("--pooling", help="max, as trained, or average.")]
Plot = Annotated[Path | None, typer.Option("--plot", help="Where to draw the curve of the loss.")]
LAYER_HELP = "NAME or NAME=WEIGHT; repeat it for several layers."


def invert(
    picture: options.Picture,
    layer: Annotated[str, typer.Option("--layer", help="The tap to invert.")] = "relu3_3",
    preset: Annotated[
        str, typer.Option("--preset", help="default, or paper for the published numbers.")
    ] = "default",
    tv_weight: Annotated[
        float | None, typer.Option("--tv-weight", min=0, help="Weight of the total variation.")
    ] = None,
    network: options.Network = NETWORK,
    weights: options.Weights = None,
    pooling: Pooling = "max",
    size: options.Longer = 256,
    steps: Annotated[
        int | None, typer.Option("--steps", min=0, help="Evaluations; default: the preset's.")
    ] = None,
    optimizer: Annotated[
        str | None, typer.Option("--optimizer", help="lbfgs or adam; default: the preset's.")
    ] = None,
    seed: options.Seed = 0,
    out: options.Out = Path("inversion.png"),
    plot: Plot = None,
    json: options.Json = None,
    max_pixels: options.MaxPixels = options.MAX,
    quiet: options.Quiet = False,
    no_cache: options.NoCache = False,
    debug: options.Debug = False,
) -> None:
    """Find a picture with the same features at one layer: what the layer has kept."""
    settings = {
        "command": "invert",
        "picture": picture,
        "layer": layer,
        "preset": preset,
        "tv_weight": tv_weight,
    }
    settings |= {
        "network": network,
        "weights": weights,
        "pooling": pooling,
        "size": size,
        "steps": steps,
        "optimizer": optimizer,
    }
    session = Session(
        settings | {"seed": seed, "out": out},
        quiet=quiet,
        no_cache=no_cache,
        pictures=(out, plot),
        json_path=json,
    )
    pixels = _longer(picture, size, max_pixels)
    model = jaxviz.load(network, weights=weights, pooling=pooling)
    chosen = inversion.PRESETS.get(preset)
    total = chosen.steps if steps is None and chosen is not None else steps or 0
    solution = session.solved(
        lambda on_chunk: inversion.invert(
            model,
            pixels,
            layer=layer,
            preset=preset,
            tv_weight=tv_weight,
            steps=steps,
            optimizer=None if optimizer is None else optimizer_named(optimizer),
            key=jax.random.key(seed),
            on_chunk=on_chunk,
        ),
        total,
    )
    if preset == "paper":
        note = f"the paper used AlexNet; this ran on {network}"
        session.record["notes"] = [note]
        session.say(note)
    _deliver(session, solution, out, plot)


def texture(
    picture: options.Picture,
    size: Annotated[str, typer.Option("--size", help="HEIGHTxWIDTH, or the longer side.")] = "256",
    exemplar_size: Annotated[
        int, typer.Option("--exemplar-size", min=1, help="Longer side of the exemplar.")
    ] = 256,
    layer: Annotated[Layers, typer.Option("--layer", help=LAYER_HELP)] = None,
    style_loss: Annotated[str, typer.Option("--style-loss", help="gram or covariance.")] = "gram",
    network: options.Network = NETWORK,
    weights: options.Weights = None,
    pooling: Pooling = "max",
    steps: options.Steps = texture_technique.STEPS,
    optimizer: options.Optimizer = "lbfgs",
    seed: options.Seed = 0,
    out: options.Out = Path("texture.png"),
    plot: Plot = None,
    json: options.Json = None,
    max_pixels: options.MaxPixels = options.MAX,
    quiet: options.Quiet = False,
    no_cache: options.NoCache = False,
    debug: options.Debug = False,
) -> None:
    """Make a texture like the picture's, of any size, from noise."""
    settings = {"command": "texture", "picture": picture, "size": size, "exemplar_size": exemplar_size}
    settings |= {
        "layers": layer,
        "style_loss": style_loss,
        "network": network,
        "weights": weights,
        "pooling": pooling,
        "steps": steps,
    }
    settings |= {"optimizer": optimizer, "seed": seed, "out": out}
    session = Session(settings, quiet=quiet, no_cache=no_cache, pictures=(out, plot), json_path=json)
    exemplar = _longer(picture, exemplar_size, max_pixels)
    sides = _height_width(size, exemplar)
    model = jaxviz.load(network, weights=weights, pooling=pooling)
    solution = session.solved(
        lambda on_chunk: texture_technique.synthesize(
            model,
            exemplar,
            size=sides,
            weights=layer_options(layer),
            kind=style_loss,
            steps=steps,
            optimizer=optimizer_named(optimizer),
            key=jax.random.key(seed),
            on_chunk=on_chunk,
        ),
        steps,
    )
    _deliver(session, solution, out, plot)


def style(
    content: options.Picture,
    styles: Annotated[list[Path], typer.Argument(help="One or more pictures whose style is taken.")],
    content_weight: Annotated[
        float, typer.Option("--content-weight", min=0)
    ] = style_technique.CONTENT_WEIGHT,
    style_weight: Annotated[float, typer.Option("--style-weight", min=0)] = style_technique.STYLE_WEIGHT,
    tv_weight: Annotated[
        float, typer.Option("--tv-weight", min=0, help="Weight of the total variation.")
    ] = 0.0,
    content_layer: Annotated[Layers, typer.Option("--content-layer", help=LAYER_HELP)] = None,
    style_layer: Annotated[Layers, typer.Option("--style-layer", help=LAYER_HELP)] = None,
    style_loss: Annotated[str, typer.Option("--style-loss", help="gram or covariance.")] = "gram",
    style_size: Annotated[
        int | None, typer.Option("--style-size", min=1, help="Longer side of the styles.")
    ] = None,
    init: Annotated[str, typer.Option("--init", help="content, noise, or a picture's path.")] = "content",
    network: options.Network = NETWORK,
    weights: options.Weights = None,
    pooling: Pooling = "max",
    size: options.Longer = 256,
    steps: options.Steps = style_technique.STEPS,
    optimizer: options.Optimizer = "lbfgs",
    seed: options.Seed = 0,
    out: options.Out = Path("style.png"),
    plot: Plot = None,
    json: options.Json = None,
    max_pixels: options.MaxPixels = options.MAX,
    quiet: options.Quiet = False,
    no_cache: options.NoCache = False,
    debug: options.Debug = False,
) -> None:
    """Draw the content of one picture in the style of others."""
    settings = {"command": "style", "content": content, "styles": styles, "content_weight": content_weight}
    settings |= {"style_weight": style_weight, "tv_weight": tv_weight, "content_layers": content_layer}
    settings |= {
        "style_layers": style_layer,
        "style_loss": style_loss,
        "style_size": style_size,
        "init": init,
    }
    settings |= {
        "network": network,
        "weights": weights,
        "pooling": pooling,
        "size": size,
        "steps": steps,
        "optimizer": optimizer,
    }
    session = Session(
        settings | {"seed": seed, "out": out},
        quiet=quiet,
        no_cache=no_cache,
        pictures=(out, plot),
        json_path=json,
    )
    pixels = _longer(content, size, max_pixels)
    examples = [_longer(path, style_size or size, max_pixels) for path in styles]
    start: Any = init
    if init not in style_technique.STARTS:
        start = images.resize(images.read(init, max_pixels=max_pixels), pixels.shape[0], pixels.shape[1])
    model = jaxviz.load(network, weights=weights, pooling=pooling)
    solution = session.solved(
        lambda on_chunk: style_technique.transfer(
            model,
            pixels,
            examples,
            content_weight=content_weight,
            style_weight=style_weight,
            tv_weight=tv_weight,
            content_weights=layer_options(content_layer),
            style_weights=layer_options(style_layer),
            style_loss=style_loss,
            init=start,
            steps=steps,
            optimizer=optimizer_named(optimizer),
            key=jax.random.key(seed),
            on_chunk=on_chunk,
        ),
        steps,
    )
    _deliver(session, solution, out, plot)


def layer_options(texts: Layers) -> Mapping[str, float] | None:
    """Returns weights per layer from options such as "relu4_2" or "relu4_2=0.5"; None where there is none."""
    if not texts:
        return None
    weights = {}
    for text in texts:
        name, _, weight = text.partition("=")
        try:
            weights[name] = float(weight) if weight else 1.0
        except ValueError:
            raise ValueError(f"layer {text!r} has no weight that is a number; write NAME=WEIGHT") from None
    return weights


def _longer(path: Path, size: int, max_pixels: int) -> images.Picture:
    return images.fit_longer(images.read(path, max_pixels=max_pixels), size)


def _height_width(text: str, exemplar: images.Picture) -> tuple[int, int]:
    try:
        sides = [int(side) for side in text.lower().replace("×", "x").split("x")]
    except ValueError:
        sides = []
    if len(sides) not in (1, 2) or min(sides) < 1:
        raise ValueError(f"--size is {text!r}; expected HEIGHTxWIDTH or one number, each at least 1")
    if len(sides) == 2:
        return sides[0], sides[1]
    h, w = exemplar.shape[:2]
    scale = sides[0] / max(h, w)
    return max(1, round(h * scale)), max(1, round(w * scale))


def _deliver(session: Session, solution: Solution, out: Path, plot: Path | None) -> None:
    session.write(out, np.asarray(solution.value))
    if plot is not None:
        session.write(plot, plots.loss_plot(solution.losses) / np.float32(255))
    session.finish()
