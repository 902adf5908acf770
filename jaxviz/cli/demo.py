"""`jaxviz demo`: the five techniques on real pictures, offline, with a page that shows them."""

import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np

import jaxviz
from jaxviz import images, samples
from jaxviz.cli.classes import best_classes, class_scores
from jaxviz.cli.command import command
from jaxviz.cli.options import HOW, OUTPUT, option
from jaxviz.cli.session import Session, versions
from jaxviz.drawing import maps, plots
from jaxviz.drawing.page import Section, write_page
from jaxviz.optimization import Solution
from jaxviz.techniques import FAMILIES, inversion, style, texture

EPSILON = 2 / 255
CAT = "chelsea"


@command(example="jaxviz demo --out out", computes=True)
def demo(
    session: Session,
    out: Annotated[Path, option("--out", OUTPUT, "Folder for the pictures and index.html.")] = Path("out"),
    steps: Annotated[int, option("--steps", HOW, "Evaluations of each synthesis.", min=0)] = 100,
) -> None:
    """Run every technique on sample pictures and show them in one page."""
    samples.photograph(CAT)  # without it there is no demo, nor its folder
    with images.writing(out):
        out.mkdir(parents=True, exist_ok=True)
    session.opens_pictures(out / "saliency-map.png")
    began = time.perf_counter()
    classifier, vgg = jaxviz.load("squeezenet1_1"), jaxviz.load("vgg16")
    sections: list[Section] = []
    session.record["sections"] = {}
    for make in (
        lambda: _saliency(session, classifier),
        lambda: _attack(session, classifier),
        lambda: _inversion(session, vgg, steps),
        lambda: _texture(session, vgg, steps),
        lambda: _style(session, vgg, steps),
    ):
        if session.interrupted:
            break
        section = make()
        sections.append(section)
        names = session.record.keys() & {"losses", "evaluations", "rejections", "restarts", "seconds"}
        run = {name: session.record.pop(name) for name in sorted(names)}
        session.record["sections"][section.title] = dict(section.facts) | run
        stem = section.title.lower().replace(" ", "-")
        for caption, picture in section.pictures.items():
            values = picture if picture.dtype != np.uint8 else picture / np.float32(255)
            images.write(out / f"{stem}-{caption.split(',')[0].replace(' ', '-')}.png", values)
    seconds = time.perf_counter() - began
    note = ", ".join(f"{name} {version}" for name, version in versions().items())
    write_page(
        out / "index.html",
        "jaxviz: five techniques, one equation",
        sections,
        note=f"{note}; {seconds:.0f} s.",
    )
    session.record["seconds"] = {"total": seconds}
    session.say(f"{out / 'index.html'} shows all in {seconds:.0f} s")


def _saliency(session: Session, network: jaxviz.Network) -> Section:
    picture = images.fit_square(samples.photograph(CAT), 224)
    best = best_classes(network, class_scores(network, picture))[0]
    values = np.asarray(session.timed(lambda: jaxviz.saliency.gradient(network, picture, best["index"])))
    where = np.asarray(jaxviz.saliency.hirescam(network, picture, best["index"]))
    facts: dict[str, Any] = {
        "network": network.name,
        "picture": CAT,
        "class": best["label"],
        "score": best["score"],
    }
    return Section(
        "Saliency",
        *_source("saliency", "gradient"),
        {
            "input": picture,
            "map": maps.heat_map(values),
            "overlay": maps.overlay(picture, values),
            "HiResCAM": maps.overlay(picture, where),
        },
        facts | {"largest derivative": float(values.max()), **_seconds(session)},
    )


def _attack(session: Session, network: jaxviz.Network) -> Section:
    # On the grid of 8 bits, so that what is stored of the attack stays in the ball.
    picture = images.to_bytes(images.fit_square(samples.photograph("coffee"), 224)) / np.float32(255)
    before = best_classes(network, class_scores(network, picture))
    label = before[0]["index"]
    attacked = session.timed(lambda: jaxviz.attacks.fgsm(network, picture, label, epsilon=EPSILON))
    stored = images.to_bytes(np.asarray(attacked)) / np.float32(255)
    after = best_classes(network, class_scores(network, stored))
    facts: dict[str, Any] = {
        "network": network.name,
        "picture": "coffee",
        "ε": "2/255",
        "largest change": float(np.abs(stored - picture).max()),
    }
    for side, classes in (("before", before), ("after", after)):
        facts[side] = [f"{c['label']} {c['probability']:.1%}" for c in classes]
    return Section(
        "FGSM attack",
        *_source("attacks", "fgsm"),
        {"input": picture, "attacked": stored, "difference, times 10": maps.difference(picture, stored)},
        facts | _seconds(session),
    )


def _inversion(session: Session, network: jaxviz.Network, steps: int) -> Section:
    picture = images.fit_square(samples.photograph(CAT), 192)
    solution = session.solved(
        lambda on_chunk: inversion.invert(network, picture, layer="relu3_3", steps=steps, on_chunk=on_chunk),
        steps,
        "inversion",
    )
    found = np.asarray(solution.value)
    psnr = -10 * float(np.log10(np.mean((found - picture) ** 2)))
    return Section(
        "Feature inversion",
        *_source("inversion", "inversion"),
        {"input": picture, "result": found, "loss": _curve(solution)},
        {"network": network.name, "picture": CAT, "layer": "relu3_3", "PSNR, dB": psnr}
        | _run_facts(session, solution),
    )


def _texture(session: Session, network: jaxviz.Network, steps: int) -> Section:
    exemplar = images.fit_longer(samples.photograph("brick"), 256)
    solution = session.solved(
        lambda on_chunk: texture.synthesize(network, exemplar, size=256, steps=steps, on_chunk=on_chunk),
        steps,
        "texture",
    )
    return Section(
        "Texture synthesis",
        *_source("texture", "texture"),
        {"input": exemplar, "result": np.asarray(solution.value), "loss": _curve(solution)},
        {"network": network.name, "picture": "brick", "layers": texture.LAYERS}
        | _run_facts(session, solution),
    )


def _style(session: Session, network: jaxviz.Network, steps: int) -> Section:
    content = images.fit_longer(samples.photograph("astronaut"), 256)
    painting = samples.painting(256)
    solution = session.solved(
        lambda on_chunk: style.transfer(network, content, [painting], steps=steps, on_chunk=on_chunk),
        steps,
        "style",
    )
    facts: dict[str, Any] = {
        "network": network.name,
        "content": "astronaut",
        "style": "brush strokes drawn by jaxviz",
    }
    weights = style.PRESETS["default"].values
    facts |= {
        "content weight": weights["content_weight"],
        "style weight": weights["style_weight"][weights["style_loss"]],
    }
    pictures = {"content": content, "style": painting, "result": np.asarray(solution.value)}
    return Section(
        "Style transfer",
        *_source("style", "style"),
        pictures | {"loss": _curve(solution)},
        facts | _run_facts(session, solution),
    )


def _source(family: str, method: str) -> tuple[str, str]:
    declared = FAMILIES[family].methods[method]
    return declared.equation, f"{declared.paper}."


def _curve(solution: Solution) -> np.ndarray:
    return plots.loss_plot(solution.losses, rejections=int(solution.rejections))


def _seconds(session: Session) -> dict[str, Any]:
    return {f"seconds to {name}": value for name, value in session.record["seconds"].items()}


def _run_facts(session: Session, solution: Solution) -> dict[str, Any]:
    losses = solution.losses
    ratio = float(np.nanmin(losses) / losses[0]) if len(losses) else 1.0
    return {"evaluations": int(solution.evaluations), "loss, of its start": ratio} | _seconds(session)
