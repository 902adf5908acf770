r"""Attacks: the smallest change of an image that changes the answer.

.. math:: x^* = \mathrm{argmax}_{x' \in B_\epsilon(x) \cap [0, 1]} L(\Phi_\theta(x'))

Each method is a function (network, image, label) of one image; the table `FAMILY` declares it to all else.
"""

from jaxviz.techniques.attacks.fgsm import fgsm
from jaxviz.techniques.attacks.ifgsm import ifgsm, problem
from jaxviz.techniques.attacks.ifgsm import schedule as _schedule
from jaxviz.techniques.registry import Family, Method, Option

__all__ = ["FAMILY", "fgsm", "ifgsm", "problem"]

_COMMON = {
    "epsilon": Option("fraction", "Largest change of a value, in [0, 1].", 0, 1, shown="8/255"),
    "target": Option("class", "Class to reach; default: any other than the label."),
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
    },
)
