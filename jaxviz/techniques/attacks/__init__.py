r"""Attacks: the smallest change of an image that changes the answer.

.. math:: x^* = \mathrm{argmax}_{x' \in B_\epsilon(x) \cap [0, 1]} L(\Phi_\theta(x'))

Each method is a function (network, image, label) of one image; the table `FAMILY` declares it to all else.
"""

from jaxviz.norms import NORMS
from jaxviz.techniques.attacks.apgd import apgd
from jaxviz.techniques.attacks.climbing import MOST_STEPS
from jaxviz.techniques.attacks.cw import cw
from jaxviz.techniques.attacks.deepfool import deepfool
from jaxviz.techniques.attacks.fgsm import fgsm
from jaxviz.techniques.attacks.fooling import fooling
from jaxviz.techniques.attacks.ifgsm import ifgsm
from jaxviz.techniques.attacks.ifgsm import schedule as _schedule
from jaxviz.techniques.attacks.minimum import minimum
from jaxviz.techniques.attacks.momentum import mifgsm, nifgsm
from jaxviz.techniques.attacks.pasting import SHAPES, Patch, paste
from jaxviz.techniques.attacks.patch import patch
from jaxviz.techniques.attacks.patch import problem as _patch_problem
from jaxviz.techniques.attacks.patch import schedule as _patch_schedule
from jaxviz.techniques.attacks.pgd import pgd
from jaxviz.techniques.attacks.posing import RADII, problem
from jaxviz.techniques.attacks.success import PatchSuccess, UniversalSuccess, patch_success, universal_success
from jaxviz.techniques.attacks.sweep import Sweep, sweep
from jaxviz.techniques.attacks.universal import problem as _universal_problem
from jaxviz.techniques.attacks.universal import schedule as _universal_schedule
from jaxviz.techniques.attacks.universal import universal
from jaxviz.techniques.classes import LOSSES
from jaxviz.techniques.registry import Family, Method, Option

__all__ = [
    "FAMILY",
    "LOSSES",
    "RADII",
    "Patch",
    "PatchSuccess",
    "Sweep",
    "UniversalSuccess",
    "apgd",
    "cw",
    "deepfool",
    "fgsm",
    "fooling",
    "ifgsm",
    "mifgsm",
    "minimum",
    "nifgsm",
    "paste",
    "patch",
    "patch_success",
    "pgd",
    "problem",
    "sweep",
    "universal",
    "universal_success",
]

_COMMON = {
    "epsilon": Option("fraction", "Largest change of a value, in [0, 1].", 0, 1, shown="8/255", several=True),
    "loss": Option(
        "choice", "What is climbed; margin: ahead of the best other class.", choices=tuple(LOSSES)
    ),
    "target": Option("class", "Class to reach; default: any other than the label."),
}
_IN_A_NORM = {
    **_COMMON,
    "epsilon": Option(
        "fraction",
        "Radius of the ball; default: 8/255, 3 or 75 in the norms linf, l2 and l1.",
        0,
        several=True,
        by_norm=RADII,
    ),
    "norm": Option("choice", "That of the ball and of the steps.", choices=tuple(NORMS)),
    "steps": Option("integer", "Gradient steps from each start.", 1, MOST_STEPS),
}
_TARGET = {"target": _COMMON["target"]}
_KEY = {"key": Option("integer", "Seeds what is drawn at random.", 0, 2**32 - 1, flag="--seed")}
_RESTARTS = {"restarts": Option("integer", "Starts drawn from the ball; 0 for the picture itself.", 0)}
_EXIT = {"early_exit": Option("flag", "End at the first success.")}
_VARIED = {
    "diversity": Option(
        "number", "How often a step sees a smaller copy of the picture, in [0, 1].", 0, 1, shapes=True
    ),
    "translations": Option("integer", "Pixels over which derivatives are averaged; 0 for none.", 0),
    **_EXIT,
    **_KEY,
}
_OF_MANY = {
    "batch": Option("integer", "Pictures that a step looks at.", 1, flag="--minibatch"),
    **_KEY,
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
            detailed=fgsm.told,
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
            detailed=ifgsm.told,
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
                **_RESTARTS,
                **_VARIED,
            },
            detailed=pgd.told,
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
                **_VARIED,
            },
            detailed=mifgsm.told,
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
                **_VARIED,
            },
            detailed=nifgsm.told,
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
                **_RESTARTS,
                **_EXIT,
                **_KEY,
            },
            detailed=apgd.told,
        ),
        "cw": Method(
            function=cw,
            title="attack of Carlini and Wagner: the nearest image that fools",
            equation="min ‖x' - x‖² + c max(S_y - max S_k, -κ), x' = (tanh z + 1) / 2, c searched for",
            paper="Carlini, Wagner. Towards Evaluating the Robustness of Neural Networks. S&P 2017",
            result="image",
            options={
                "norm": Option("choice", "In which the way is short.", choices=("l2",)),
                "constant": Option("number", "c of the first run, above 0.", 0),
                "searches": Option("integer", "Runs, each with another c.", 1),
                "confidence": Option("number", "By how much the best other class must be ahead.", 0),
                "steps": Option("integer", "Steps of Adam in each run.", 1, MOST_STEPS),
                "step_size": Option("fraction", "Of Adam.", 0),
                **_TARGET,
            },
            detailed=cw.told,
        ),
        "deepfool": Method(
            function=deepfool,
            title="DeepFool: over the nearest boundary, as if it were a plane",
            equation="x ← P(x + (1 + η) |f_l| / ‖w_l‖ d(w_l)), l the class that is nearest",
            paper="Moosavi-Dezfooli, Fawzi, Frossard. DeepFool: A Simple and Accurate Method to Fool Deep "
            "Neural Networks. CVPR 2016",
            result="image",
            options={
                "norm": Option("choice", "In which the way is short.", choices=("l2", "linf")),
                "candidates": Option("integer", "Classes that are tried, the most likely ones.", 1),
                "overshoot": Option("number", "Share by which each step is longer.", 0),
                "steps": Option("integer", "Steps, at most.", 1),
                **_TARGET,
            },
            detailed=deepfool.told,
        ),
        "minimum": Method(
            function=minimum,
            title="the smallest ball in which projected gradient descent succeeds, by halving",
            equation="ε* = min {ε : pgd_ε(x) fools}",
            paper="Madry, Makelov, Schmidt, Tsipras, Vladu. Towards Deep Learning Models Resistant to "
            "Adversarial Attacks. ICLR 2018",
            result="image",
            options={
                **_IN_A_NORM,
                "epsilon": Option(
                    "fraction",
                    "The largest radius; default: 8/255, 3 or 75 in the norms linf, l2 and l1.",
                    0,
                    by_norm=RADII,
                ),
                "steps": Option("integer", "Gradient steps in each ball.", 1, MOST_STEPS),
                "searches": Option("integer", "Balls after the largest.", 0),
            },
            detailed=minimum.told,
        ),
        "fooling": Method(
            function=fooling,
            title="fooling image: from anywhere until the network sees a class",
            equation="x ← P(x + α d(∇S_t(x))) until argmax S = t",
            paper="Nguyen, Yosinski, Clune. Deep Neural Networks are Easily Fooled. CVPR 2015",
            result="image",
            options={
                **_IN_A_NORM,
                "epsilon": Option("fraction", "Radius of the ball around the picture; default: no ball.", 0),
                "step_size": Option(
                    "fraction", "Length of a step; default: 1/255, 0.5 or 50 in the norms linf, l2 and l1.", 0
                ),
                "steps": Option("integer", "Steps, at most.", 1, MOST_STEPS),
            },
            detailed=fooling.told,
        ),
        "universal": Method(
            function=universal,
            title="universal perturbation: one for many pictures",
            equation="v* = argmax over ‖v‖ ≤ ε of the mean of min(J(clip(xᵢ + v), yᵢ), β)",
            paper="Moosavi-Dezfooli, Fawzi, Fawzi, Frossard. Universal Adversarial Perturbations. CVPR 2017",
            result="relief",
            options={
                **_IN_A_NORM,
                "steps": Option("integer", "Steps, each on a few pictures.", 1),
                "step_size": Option("fraction", "Length of a step; default: ε / 4.", 0),
                "cap": Option("number", "β, the largest loss of a picture that counts, without a target.", 0),
                **_OF_MANY,
            },
            problem=_universal_problem,
            schedule=_universal_schedule,
            of_many=True,
        ),
        "patch": Method(
            function=patch,
            title="adversarial patch: laid on any picture, one class is seen",
            equation="z* = argmax over z in [0, 1] of the mean of log P(y | A(z, xᵢ, t)), t place, size and angle",
            paper="Brown, Mané, Roy, Abadi, Gilmer. Adversarial Patch. NeurIPS Workshop 2017",
            result="patch",
            options={
                "target": Option("class", "Class that is to be seen."),
                "size": Option(
                    "integer",
                    "Pixels of the patch's side; default: as many as the largest scale shows.",
                    1,
                    flag="--patch-size",
                ),
                "shape": Option("choice", "What is cut out.", choices=SHAPES),
                "rotation": Option("number", "Largest angle to either side, in degrees.", 0, 180),
                "scale": Option(
                    "numbers",
                    "LOW,HIGH: its side as shares of the picture's shorter side.",
                    flag="--patch-scale",
                ),
                "steps": Option("integer", "Steps of Adam, each on a few pictures.", 1),
                "step_size": Option("fraction", "Adam's learning rate, for values in [0, 1].", 0),
                **_OF_MANY,
            },
            problem=_patch_problem,
            schedule=_patch_schedule,
            of_many=True,
        ),
    },
)
