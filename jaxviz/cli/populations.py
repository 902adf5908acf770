"""Attacks of which many pictures have one result: a perturbation, or a patch."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import typer

import jaxviz
from jaxviz import images, jobs
from jaxviz.cli import groups, options, runs
from jaxviz.cli.classes import best_classes, class_name, class_scores
from jaxviz.cli.dividing import Pictures, divided
from jaxviz.cli.methods import Choice
from jaxviz.cli.session import Session
from jaxviz.drawing import maps, plots, sheets
from jaxviz.networks import Network
from jaxviz.norms import ascent
from jaxviz.optimization import minimize
from jaxviz.techniques import attacks
from jaxviz.techniques.attacks.pasting import mask_of
from jaxviz.techniques.attacks.posing import SHARE
from jaxviz.techniques.attacks.success import PatchSuccess, share
from jaxviz.techniques.solving import taken

SHOWN = 8
"""Pictures on a sheet."""
PRINTED = 600
"""Pixels that a printable patch has across, at least."""


def attack(session: Session, source: str, choice: Choice) -> None:
    """Finds one result for the pictures of a source, writes it, and tells how well it does on others."""
    _check(session, source, choice)
    write = {"universal": _universal, "patch": _patch}[choice.name]
    method = choice.method
    network = runs.network(session)
    values = choice.values(network)
    seed = values.get("key", 0)
    pictures = divided(session, source, network, seed)
    made = slice(pictures.trained)
    mesh = None if session.given["devices"] == "1" else jaxviz.mesh(session.given["devices"])
    pose: Any = method.problem
    schedule: Any = method.schedule
    posed, start = pose(
        network, pictures.pixels[made], pictures.labels[made], **taken(pose, values), mesh=mesh
    )
    steps, optimizer = schedule(start, **taken(schedule, values))
    key = jax.random.key(seed)
    solution = session.solved(
        lambda on_chunk: minimize(posed, start, steps=steps, optimizer=optimizer, key=key, on_chunk=on_chunk),
        steps,
    )
    settled = choice.settled(values) | {"key": seed}
    if settled["step_size"] is None:
        settled["step_size"] = float(optimizer.step_size)
    flags = {name: options.flag_of(name, said) for name, said in method.options.items()}
    session.settle(**{options.parsed_name(flag): settled[name] for name, flag in flags.items()})
    session.record["pictures"] |= {"used": len(posed.images)}
    write(session, network, pictures, settled, np.asarray(solution.value))


def _check(session: Session, source: str, choice: Choice) -> None:
    if not jobs.is_many(source):
        raise ValueError(
            f"{choice.name} is one result for many pictures, and {source} is one; "
            "give a folder, a glob in quotes, a .txt list of paths or tfds:NAME"
        )
    for name in ("save", "memory", "batch", "shard", *groups.OPTIONS):
        if session.given[name] != runs.MANY_ALONE[name]:
            raise ValueError(f"--{name} is for attacks on each picture; {choice.name} is one result for all")
    if session.given["out"] is None:
        session.out = Path(f"{choice.name}.png")
        session.settle(out=session.out)
    if choice.name == "patch" and not session.raw and session.out.suffix.lower() != ".png":
        raise ValueError(
            f"--out is {session.out}; a patch has transparent parts: expected .png, .npy or .npz"
        )
    parts = ("scenes",) if choice.name == "universal" else ("mask", "scenes", "success")
    session.opens_pictures(session.out, _drawing(session), *(_beside(session, part) for part in parts))


def _drawing(session: Session) -> Path:
    return session.out.with_suffix(".png") if session.raw else session.out


def _beside(session: Session, part: str) -> Path:
    return session.out.with_name(f"{session.out.stem}-{part}.png")


def _universal(
    session: Session, network: Network, pictures: Pictures, values: dict[str, Any], found: np.ndarray
) -> None:
    norm, target, bound = values["norm"], values["target"], values["epsilon"]
    session.write(session.out if session.raw else session.out.with_suffix(".npy"), found)
    session.write(_drawing(session), maps.relief(found))
    held = pictures.pixels[pictures.held]

    def change(picture: np.ndarray) -> np.ndarray:
        return np.clip(picture + found, 0, 1)

    _scenes(session, network, held[:SHOWN], change)
    if session.interrupted:
        return
    noise = jax.random.normal(jax.random.key(values["key"]), found.shape)
    noise = bound * ascent(norm, noise, SHARE)
    success = attacks.universal_success(network, found, held)
    control = attacks.universal_success(network, noise, held)
    labels = pictures.labels[pictures.held]
    told = {"fooling_rate": success.fooling_rate(), "fooling_rate_of_noise": control.fooling_rate()}
    if target is not None and not (success.before == target).all():
        told["target_rate"] = share((success.after == target)[success.before != target])
    if pictures.labeled:
        told["accuracy_before"] = share(success.before == labels)
        told["accuracy_after"] = share(success.after == labels)
    session.record["universal"] = {
        name: dict(zip(("share", "low", "high"), numbers, strict=True)) for name, numbers in told.items()
    }
    lines = [f"{len(held)} {_whose(session)} pictures"]
    lines += [f"  {name.replace('_', ' ').ljust(22)} {_percent(numbers)}" for name, numbers in told.items()]
    _echo(session, lines)


def _patch(
    session: Session, network: Network, pictures: Pictures, values: dict[str, Any], found: np.ndarray
) -> None:
    target, size, key = values["target"], len(found), values["key"]
    mask = mask_of(values["shape"], size)
    pixels = found if session.raw else images.to_bytes(found) / np.float32(255)
    patch = attacks.Patch(pixels, mask)
    if session.raw:
        session.write(session.out, np.concatenate([pixels, mask[..., None]], -1))
    factor = -(-PRINTED // size)
    printed, alpha = (part.repeat(factor, 0).repeat(factor, 1) for part in (pixels, mask))
    images.write_cutout(_drawing(session), printed, alpha)
    session.written.append(_drawing(session))
    session.write(_beside(session, "mask"), alpha)
    session.settle(patch_size=size)
    (low, high), turn = values["scale"], values["rotation"]
    others = (pictures.labels != target) & (pictures.seen != target)
    held = pictures.pixels[pictures.held][others[pictures.held]]
    keys = iter(jax.random.split(jax.random.key(key), SHOWN))
    angles = iter(turn * np.linspace(-1, 1, SHOWN))

    def change(picture: np.ndarray) -> np.ndarray:
        drawn = {"angle": next(angles), "key": next(keys)}
        return np.asarray(attacks.paste(picture, patch, scale=(low + high) / 2, **drawn))

    if not len(held):
        session.note(f"all pictures to judge it on are of class {target}, the target, already")
        return
    _scenes(session, network, held[:SHOWN], change)
    if session.interrupted:
        return
    colors = np.random.default_rng(key).random(pixels.shape, np.float32)
    told = {}
    for name, one in (("patch", patch), ("random colors", attacks.Patch(colors, mask))):
        told[name] = attacks.patch_success(network, one, held, target=target, rotation=turn, key=key)
    _tell_success(session, told, class_name(network, target))


def _tell_success(session: Session, told: dict[str, PatchSuccess], target: str) -> None:
    curves = {name: success.points() for name, success in told.items()}
    session.record["success"] = {
        name: [
            {"size": size, "share": each, "low": low, "high": high, "probability": float(mean)}
            for (size, each, low, high), mean in zip(points, _means(told[name]), strict=True)
        ]
        for name, points in curves.items()
    }
    counted = int(told["patch"].counted.sum())
    session.record["success"]["counted"] = counted
    across = "patch's side, as a share of the picture's shorter side"
    plot = plots.interval_plot(curves, across=across, up=f"seen as {target}")
    session.write(_beside(session, "success"), plot)
    lines = [f"{counted} {_whose(session)} pictures, seen as {target}"]
    for own, random in zip(curves["patch"], curves["random colors"], strict=True):
        lines.append(f"  size {own[0]:4.0%}  {_percent(own[1:])}; random colors {random[1]:.1%}")
    _echo(session, lines)


def _means(success: PatchSuccess) -> np.ndarray:
    means: np.ndarray = success.probabilities[:, success.counted].mean(1)
    return means


def _scenes(
    session: Session,
    network: Network,
    shown: np.ndarray,
    change: Callable[[np.ndarray], np.ndarray],
) -> None:
    """Draws pictures above what the result makes of them, each under the class that is found, and records these."""
    rows: list[list[tuple[str, np.ndarray]]] = []
    classes: list[list[dict[str, Any]]] = []
    for row in (list(shown), [change(picture) for picture in shown]):
        classes.append([best_classes(network, class_scores(network, one), 1)[0] for one in row])
        names = [f"{best['label']} {best['probability']:.0%}" for best in classes[-1]]
        rows.append(list(zip(names, row, strict=True)))
    session.record["scenes"] = [
        {"before": before, "after": after} for before, after in zip(*classes, strict=True)
    ]
    session.write(_beside(session, "scenes"), sheets.scenes(rows))


def _whose(session: Session) -> str:
    return "held-out" if session.record["pictures"]["held_out"] else "training"


def _percent(numbers: tuple[float, ...]) -> str:
    return f"{numbers[0]:6.1%} (95 %: {numbers[1]:.1%} to {numbers[2]:.1%})"


def _echo(session: Session, lines: list[str]) -> None:
    if session.json_path != "-":
        typer.echo("\n".join(lines))
