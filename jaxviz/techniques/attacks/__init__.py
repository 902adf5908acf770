r"""Attacks: the smallest change of an image that changes the answer.

.. math:: x^* = \mathrm{argmax}_{x' \in B_\epsilon(x) \cap [0, 1]} L(\Phi_\theta(x'))

Each method is a function (network, image, label) of one image; the table `FAMILY` declares it to all else.
"""

from jaxviz.norms import NORMS
from jaxviz.techniques.attacks.apgd import apgd
from jaxviz.techniques.attacks.climbing import MOST_STEPS
from jaxviz.techniques.attacks.fgsm import fgsm
from jaxviz.techniques.attacks.ifgsm import ifgsm
from jaxviz.techniques.attacks.ifgsm import schedule as _schedule
from jaxviz.techniques.attacks.momentum import mifgsm, nifgsm
from jaxviz.techniques.attacks.pgd import pgd
from jaxviz.techniques.attacks.posing import RADII, problem
from jaxviz.techniques.attacks.sweep import Sweep, sweep
from jaxviz.techniques.classes import LOSSES
from jaxviz.techniques.registry import Family, Method, Option

__all__ = [
    "FAMILY",
    "LOSSES",
    "RADII",
    "Sweep",
    "apgd",
    "fgsm",
    "ifgsm",
    "mifgsm",
    "nifgsm",
    "pgd",
    "problem",
    "sweep",
]

_COMMON = {
    "epsilon": Option("fraction", "Largest change of a value, in [0, 1].", 0, 1, shown="8/255"),
    "loss": Option(
        "choice", "What is climbed; margin: ahead of the best other class.", choices=tuple(LOSSES)
    ),
    "target": Option("class", "Class to reach; default: any other than the label."),
}
_IN_A_NORM = {
    **_COMMON,
    "epsilon": Option(
        "fraction", "Radius of the ball; default: 8/255, 3 or 75 in the norms linf, l2 and l1.", 0
    ),
    "norm": Option("choice", "That of the ball and of the steps.", choices=tuple(NORMS)),
    "steps": Option("integer", "Gradient steps from each start.", 1, MOST_STEPS),
}
_STARTS = {
    "restarts": Option("integer", "Starts drawn from the ball; 0 for the picture itself.", 0),
    "key": Option("integer", "Seeds the starts.", 0, 2**32 - 1, flag="--seed"),
}

FAMILY = Family(
    name="attacks",
    title="the smallest change of an image that changes the answer",
    command="attack",
    network="squeezenet1_1",
    methods={
        "fgsm": Method(
            function=fgsm,
            title="fast gradient sign attack",
            equation="x* = clip(x + ε sign ∇J(x, y))",
            paper="Goodfellow, Shlens, Szegedy. Explaining and Harnessing Adversarial Examples. ICLR 2015",
            result="image",
            options=_COMMON,
        ),
        "ifgsm": Method(
            function=ifgsm,
            title="iterated fast gradient sign attack (BIM)",
            equation="x ← P(x + α sign ∇J(x, y)), P the projection on ball and box",
            paper="Kurakin, Goodfellow, Bengio. Adversarial Examples in the Physical World. "
            "ICLR Workshop 2017",
            result="image",
            options={
                **_COMMON,
                "step_size": Option(
                    "fraction", "Change of a value in one step, in [0, 1].", 0, 1, shown="1/255"
                ),
                "steps": Option("integer", "Steps along the sign of the gradient.", 1),
            },
            problem=problem,
            schedule=_schedule,
        ),
        "pgd": Method(
            function=pgd,
            title="projected gradient descent from random starts",
            equation="x ← P(x + α d(∇J(x, y))), d the steepest direction in the norm",
            paper="Madry, Makelov, Schmidt, Tsipras, Vladu. Towards Deep Learning Models Resistant to "
            "Adversarial Attacks. ICLR 2018",
            result="image",
            options={
                **_IN_A_NORM,
                "step_size": Option("fraction", "Length of a step; default: 2.5 ε / steps.", 0),
                **_STARTS,
            },
        ),
        "mifgsm": Method(
            function=mifgsm,
            title="momentum iterative fast gradient sign attack",
            equation="m ← μ m + ∇J / ‖∇J‖₁, x ← P(x + α d(m))",
            paper="Dong, Liao, Pang, Su, Zhu, Hu, Li. Boosting Adversarial Attacks with Momentum. CVPR 2018",
            result="image",
            options={
                **_IN_A_NORM,
                "step_size": Option("fraction", "Length of a step; default: ε / steps.", 0),
                "momentum": Option("number", "How much of the past sum stays in each step.", 0, 1),
            },
        ),
        "nifgsm": Method(
            function=nifgsm,
            title="Nesterov iterative fast gradient sign attack",
            equation="m ← μ m + ∇J / ‖∇J‖₁ at P(x + α μ m), x ← P(x + α d(m))",
            paper="Lin, Song, He, Wang, Hopcroft. Nesterov Accelerated Gradient and Scale Invariance for "
            "Adversarial Attacks. ICLR 2020",
            result="image",
            options={
                **_IN_A_NORM,
                "step_size": Option("fraction", "Length of a step; default: ε / steps.", 0),
                "momentum": Option("number", "How much of the past sum stays in each step.", 0, 1),
            },
        ),
        "apgd": Method(
            function=apgd,
            title="Auto-PGD, which chooses its steps by itself",
            equation="x ← P(x + 0.75 (P(x + η d(∇J)) - x) + 0.25 (x - x₋)), η halved where it no longer helps",
            paper="Croce, Hein. Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse "
            "Parameter-free Attacks. ICML 2020",
            result="image",
            options={
                **_IN_A_NORM,
                "norm": Option("choice", "That of the ball and of the steps.", choices=("linf", "l2")),
                **_STARTS,
            },
        ),
    },
)
