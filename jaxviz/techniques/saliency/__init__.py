r"""Saliency: which pixels a score depends on, one derivative of L∘Φ without the argmin.

Each method is a function (network, image, target) of one image; the table `FAMILY` declares it to all else.
"""

from jaxviz.techniques.registry import Family, Method, Option
from jaxviz.techniques.saliency.grad_times_input import grad_times_input
from jaxviz.techniques.saliency.gradient import gradient
from jaxviz.techniques.saliency.hirescam import hirescam

__all__ = ["FAMILY", "grad_times_input", "gradient", "hirescam"]

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
        "hirescam": Method(
            function=hirescam,
            title="HiResCAM",
            equation="M = max(0, sum over channels of A · ∂S/∂A), enlarged",
            paper="Draelos, Carin. Use HiResCAM instead of Grad-CAM for faithful explanations of "
            "convolutional neural networks. arXiv 2020",
            result="map",
            options={
                "layer": Option(
                    "layer", "The tap A that is explained; default: the last one with positions and features."
                )
            },
        ),
    },
)
