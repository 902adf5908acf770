r"""Feature visualization: a picture that excites a unit, a channel or a class as much as it can.

.. math:: x^* = \psi(z^*), \quad z^* = \mathrm{argmax}_z \; E_t[S(\Phi_\theta(t(\psi(z))))] - R(\psi(z))
"""

from jaxviz.techniques.registry import Family, Method, Option
from jaxviz.techniques.visualization.class_model import class_model
from jaxviz.techniques.visualization.class_model import problem as _class_problem
from jaxviz.techniques.visualization.class_model import schedule as _class_schedule
from jaxviz.techniques.visualization.visualizing import problem, schedule, visualize

__all__ = ["FAMILY", "class_model", "problem", "visualize"]

_COMMON = {
    "size": Option("integer", "Side of the picture in pixels.", 1),
    "steps": Option("integer", "Evaluations of value and gradient.", 0),
    "key": Option("integer", "Seeds everything that is drawn.", 0, 2**32 - 1, flag="--seed"),
}

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
                "decay": Option(
                    "number", "Exponent of the spectrum: 0 for white noise, 1 as in photographs.", 0
                ),
                "rate": Option("number", "Adam's learning rate.", 0),
                "still": Option("flag", "Do not move, scale and turn the picture at random."),
            },
            problem=problem,
            schedule=schedule,
        ),
        "class-model": Method(
            function=class_model,
            title="class model",
            equation="x* = argmax S(x) - λ ‖x - mean color‖² - λ TV(x)",
            paper="Simonyan, Vedaldi, Zisserman. Deep Inside Convolutional Networks. ICLR Workshop 2014",
            result="image",
            options={
                **_COMMON,
                "decay_weight": Option("number", "λ, per value of a picture in [0, 1].", 0),
                "tv_weight": Option("number", "Weight of the total variation.", 0),
                "jitter": Option("integer", "Pixels by which the picture is shifted at random.", 0),
                "rate": Option("number", "Adam's learning rate.", 0),
            },
            problem=_class_problem,
            schedule=_class_schedule,
        ),
    },
)
