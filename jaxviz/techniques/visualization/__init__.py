r"""Feature visualization: a picture that excites a unit, a channel or a class as much as it can.

.. math:: x^* = \psi(z^*), \quad z^* = \mathrm{argmax}_z \; E_t[S(\Phi_\theta(t(\psi(z))))] - R(\psi(z))
"""

from jaxviz.techniques.registry import Family, Method, Option
from jaxviz.techniques.visualization.class_model import class_model
from jaxviz.techniques.visualization.class_model import problem as _class_problem
from jaxviz.techniques.visualization.class_model import schedule as _class_schedule
from jaxviz.techniques.visualization.diverse import diverse
from jaxviz.techniques.visualization.diverse import problem as _diverse_problem
from jaxviz.techniques.visualization.regularized import problem as _regularized_problem
from jaxviz.techniques.visualization.regularized import regularized
from jaxviz.techniques.visualization.regularized import schedule as _regularized_schedule
from jaxviz.techniques.visualization.visualizing import problem, schedule, visualize

__all__ = ["FAMILY", "class_model", "diverse", "problem", "regularized", "visualize"]

_COMMON = {
    "size": Option("integer", "Side of the picture in pixels.", 1),
    "steps": Option("integer", "Evaluations of value and gradient.", 0),
    "key": Option("integer", "Seeds everything that is drawn.", 0, 2**32 - 1, flag="--seed"),
}
_SPECTRUM = {
    "decay": Option("number", "Exponent of the spectrum: 0 for white noise, 1 as in photographs.", 0),
    "rate": Option("number", "Adam's learning rate.", 0),
    "still": Option("flag", "Do not move, scale and turn the picture at random."),
}
_JITTER = Option("integer", "Pixels by which the picture is shifted at random.", 0)

FAMILY = Family(
    name="visualization",
    title="a picture that excites a unit, a channel or a class as much as it can",
    command="visualize",
    network="vgg16",
    methods={
        "robust": Method(
            function=visualize,
            title="feature visualization",
            equation="x* = ψ(argmax E_t[S(t(ψ(z)))]), ψ a spectrum of independent colors",
            paper="Olah, Mordvintsev, Schubert. Feature Visualization. Distill 2017",
            result="image",
            options={
                **_COMMON,
                **_SPECTRUM,
            },
            problem=problem,
            schedule=schedule,
        ),
        "diverse": Method(
            function=diverse,
            title="diverse feature visualization",
            equation="x* = argmax mean E_t[S(t(xₐ))] - w mean cos(G(xₐ), G(x_b))",
            paper="Olah, Mordvintsev, Schubert. Feature Visualization. Distill 2017",
            result="images",
            options={
                **_COMMON,
                **_SPECTRUM,
                "count": Option("integer", "Pictures of each target.", 1),
                "diversity": Option("number", "Part of the answer that may be given for differing.", 0),
                "layer": Option(
                    "layer",
                    "The tap that is to differ; default: the target's, or the last with positions.",
                    flag="--diversity-layer",
                ),
            },
            problem=_diverse_problem,
            schedule=schedule,
        ),
        "class-model": Method(
            function=class_model,
            title="class model",
            equation="x* = argmax S(x) - λ ‖x - mean color‖ᵅ - λ TV(x)",
            paper="Simonyan, Vedaldi, Zisserman. Deep Inside Convolutional Networks. ICLR Workshop 2014",
            result="image",
            options={
                **_COMMON,
                "decay_weight": Option("number", "λ, per value of a picture in [0, 1].", 0),
                "alpha": Option("number", "Exponent of the decay's norm: large ones bound colors.", 1),
                "tv_weight": Option("number", "Weight of the total variation.", 0),
                "jitter": _JITTER,
                "rate": Option("number", "Adam's learning rate.", 0),
            },
            problem=_class_problem,
            schedule=_class_schedule,
        ),
        "regularized": Method(
            function=regularized,
            title="visualization by decay and blur",
            equation="x ← P(r(x + α g / mean |g|)), r: decay to the mean color, and a blur that narrows",
            paper="Yosinski et al. Understanding Neural Networks Through Deep Visualization. ICML Workshop 2015",
            result="image",
            options={
                **_COMMON,
                "rate": Option("number", "Mean change of a value in a step.", 0),
                "fading": Option("number", "Part of the color that is lost in each step.", 0, 1),
                "blur_start": Option("number", "Deviation of the first blur in pixels.", 0),
                "blur_end": Option("number", "Deviation of the last blur in pixels.", 0),
                "every": Option("integer", "Steps from one blur to the next.", 1, flag="--blur-every"),
                "jitter": _JITTER,
            },
            problem=_regularized_problem,
            schedule=_regularized_schedule,
        ),
    },
)
