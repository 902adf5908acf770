r"""Saliency: which pixels a score depends on, derivatives and means of L∘Φ without the argmin.

Each method is a function (network, image, target) of one image; the table `FAMILY` declares it to all else.
"""

from jaxviz.techniques.baselines import NAMES as _BASELINES
from jaxviz.techniques.registry import Family, Method, Option
from jaxviz.techniques.saliency.expected_gradients import expected_gradients
from jaxviz.techniques.saliency.grad_cam import grad_cam
from jaxviz.techniques.saliency.grad_cam_plus_plus import grad_cam_plus_plus
from jaxviz.techniques.saliency.grad_times_input import grad_times_input
from jaxviz.techniques.saliency.gradient import gradient
from jaxviz.techniques.saliency.guided import deconvnet, guided
from jaxviz.techniques.saliency.guided_grad_cam import guided_grad_cam
from jaxviz.techniques.saliency.hirescam import hirescam
from jaxviz.techniques.saliency.integrated_gradients import RULES as _RULES
from jaxviz.techniques.saliency.integrated_gradients import (
    integrated_gradients,
    integrated_gradients_with_gap,
)
from jaxviz.techniques.saliency.layercam import layercam
from jaxviz.techniques.saliency.occlusion import occlusion, occlusion_with_probabilities
from jaxviz.techniques.saliency.rise import rise
from jaxviz.techniques.saliency.smoothgrad import smoothgrad, smoothgrad_squared, vargrad

__all__ = [
    "FAMILY",
    "deconvnet",
    "expected_gradients",
    "grad_cam",
    "grad_cam_plus_plus",
    "grad_times_input",
    "gradient",
    "guided",
    "guided_grad_cam",
    "hirescam",
    "integrated_gradients",
    "integrated_gradients_with_gap",
    "layercam",
    "occlusion",
    "occlusion_with_probabilities",
    "rise",
    "smoothgrad",
    "smoothgrad_squared",
    "vargrad",
]

_LAYER = {
    "layer": Option(
        "layer", "The tap A that is explained; default: the last one with positions and features."
    )
}
_SEED = {"key": Option("integer", "Seeds everything that is drawn.", 0, 2**32 - 1, flag="--seed")}
_SAMPLES = {"samples": Option("integer", "Pictures over which the mean is taken.", 1)}
_NOISE = {
    **_SAMPLES,
    "sigma": Option("number", "Deviation of the noise, in parts of the picture's range.", 0, 10),
    **_SEED,
}
_BASELINE = {"baseline": Option("choice", "What counts as nothing.", choices=_BASELINES)}

FAMILY = Family(
    name="saliency",
    title="which pixels a score depends on",
    command="saliency",
    network="squeezenet1_1",
    methods={
        "gradient": Method(
            function=gradient,
            title="gradient saliency",
            equation="M = max over channels of |∂S/∂x|",
            paper="Simonyan, Vedaldi, Zisserman. Deep Inside Convolutional Networks. ICLR Workshop 2014",
            result="map",
        ),
        "grad-times-input": Method(
            function=grad_times_input,
            title="gradient × input",
            equation="M = x · ∂S/∂x",
            paper="Shrikumar, Greenside, Shcherbina, Kundaje. Not Just a Black Box: Learning Important Features "
            "Through Propagating Activation Differences. arXiv 2016",
            result="map",
        ),
        "guided": Method(
            function=guided,
            title="guided backpropagation",
            equation="M = ∂S/∂x, ReLUs pass g [x > 0] [g > 0]",
            paper="Springenberg, Dosovitskiy, Brox, Riedmiller. Striving for Simplicity: The All Convolutional "
            "Net. ICLR Workshop 2015",
            result="relief",
        ),
        "deconvnet": Method(
            function=deconvnet,
            title="deconvolutional network",
            equation="M = ∂S/∂x, ReLUs pass g [g > 0]",
            paper="Zeiler, Fergus. Visualizing and Understanding Convolutional Networks. ECCV 2014",
            result="relief",
        ),
        "smoothgrad": Method(
            function=smoothgrad,
            title="SmoothGrad",
            equation="M = mean of ∂S/∂x at x + noise",
            paper="Smilkov, Thorat, Kim, Viégas, Wattenberg. SmoothGrad: removing noise by adding noise. arXiv "
            "2017",
            result="map",
            options=_NOISE,
        ),
        "smoothgrad-squared": Method(
            function=smoothgrad_squared,
            title="SmoothGrad²",
            equation="M = mean of (∂S/∂x)² at x + noise",
            paper="Hooker, Erhan, Kindermans, Kim. A Benchmark for Interpretability Methods in Deep Neural "
            "Networks. NeurIPS 2019",
            result="map",
            options=_NOISE,
        ),
        "vargrad": Method(
            function=vargrad,
            title="VarGrad",
            equation="M = variance of ∂S/∂x at x + noise",
            paper="Adebayo, Gilmer, Goodfellow, Kim. Local Explanation Methods for Deep Neural Networks Lack "
            "Sensitivity to Parameter Values. ICLR Workshop 2018",
            result="map",
            options=_NOISE,
        ),
        "integrated-gradients": Method(
            function=integrated_gradients,
            detailed=integrated_gradients_with_gap,
            title="integrated gradients",
            equation="M = (x - x₀) · ∫ ∂S/∂x dt on the way from x₀ to x",
            paper="Sundararajan, Taly, Yan. Axiomatic Attribution for Deep Networks. ICML 2017",
            result="map",
            options={
                **_BASELINE,
                "steps": Option("integer", "Places on the way at which the derivative is taken.", 1),
                "rule": Option("choice", "Rule of integration.", choices=_RULES),
            },
        ),
        "grad-cam": Method(
            function=grad_cam,
            title="Grad-CAM",
            equation="M = max(0, sum over channels of A · mean of ∂S/∂A), enlarged",
            paper="Selvaraju, Cogswell, Das, Vedantam, Parikh, Batra. Grad-CAM: Visual Explanations from Deep "
            "Networks via Gradient-based Localization. ICCV 2017",
            result="map",
            options=_LAYER,
        ),
        "grad-cam++": Method(
            function=grad_cam_plus_plus,
            title="Grad-CAM++",
            equation="M = max(0, sum over channels of A · sum of α max(0, ∂S/∂A)), enlarged",
            paper="Chattopadhay, Sarkar, Howlader, Balasubramanian. Grad-CAM++: Generalized Gradient-based Visual "
            "Explanations for Deep Convolutional Networks. WACV 2018",
            result="map",
            options=_LAYER,
        ),
        "hirescam": Method(
            function=hirescam,
            title="HiResCAM",
            equation="M = max(0, sum over channels of A · ∂S/∂A), enlarged",
            paper="Draelos, Carin. Use HiResCAM instead of Grad-CAM for faithful explanations of "
            "convolutional neural networks. arXiv 2020",
            result="map",
            options=_LAYER,
        ),
        "layercam": Method(
            function=layercam,
            title="LayerCAM",
            equation="M = max(0, sum over channels of A · max(0, ∂S/∂A)), enlarged",
            paper="Jiang, Zhang, Hou, Cheng, Wei. LayerCAM: Exploring Hierarchical Class Activation Maps for "
            "Localization. IEEE TIP 2021",
            result="map",
            options=_LAYER,
        ),
        "guided-grad-cam": Method(
            function=guided_grad_cam,
            title="guided Grad-CAM",
            equation="M = guided backpropagation · Grad-CAM",
            paper="Selvaraju, Cogswell, Das, Vedantam, Parikh, Batra. Grad-CAM: Visual Explanations from Deep "
            "Networks via Gradient-based Localization. ICCV 2017",
            result="relief",
            options=_LAYER,
        ),
        "occlusion": Method(
            function=occlusion,
            detailed=occlusion_with_probabilities,
            title="occlusion",
            equation="M = mean of S(x) - S(x with a window hidden) over windows that cover a pixel",
            paper="Zeiler, Fergus. Visualizing and Understanding Convolutional Networks. ECCV 2014",
            result="map",
            options={
                "window": Option("integer", "Side of the hidden squares in pixels.", 1),
                "stride": Option(
                    "integer", "Pixels from one window to the next, at most the window's side.", 1
                ),
                **_BASELINE,
            },
        ),
        "rise": Method(
            function=rise,
            title="RISE",
            equation="M = mean of p(x · m) m over random masks m, over their mean",
            paper="Petsiuk, Das, Saenko. RISE: Randomized Input Sampling for Explanation of Black-box Models. "
            "BMVC 2018",
            result="map",
            options={
                **_SAMPLES,
                "cells": Option("integer", "Cells of a mask, down and across.", 1),
                "kept": Option("number", "Part of the cells that stay visible.", 1e-6, 1),
                **_SEED,
            },
        ),
        "expected-gradients": Method(
            function=expected_gradients,
            title="expected gradients",
            equation="M = mean of (x - x') · ∂S/∂x on the way from random x' to x",
            paper="Erion, Janizek, Sturmfels, Lundberg, Lee. Improving performance of deep learning models with "
            "axiomatic attribution priors and expected gradients. Nature Machine Intelligence 2021",
            result="map",
            options={
                "references": Option(
                    "pictures", "A folder, glob or list of pictures to compare with; default: noise."
                ),
                **_SAMPLES,
                **_SEED,
            },
        ),
    },
)
