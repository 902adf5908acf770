r"""DeepDream: what a layer sees a little of in a picture is made more, from coarse to fine.

.. math:: x \leftarrow P_{[0, 1]} \left( x + \alpha \, \frac{g}{\mathrm{mean} |g|} \right), \quad
          g = \frac{\partial}{\partial x} \frac{1}{2} \mathrm{mean}(\phi_l(t(x))^2)
"""

from jaxviz.techniques.dream.dreaming import dream
from jaxviz.techniques.dream.presets import PAPER, PRESETS
from jaxviz.techniques.registry import Family, Method, Option

__all__ = ["FAMILY", "PRESETS", "dream"]

_OPTIONS = {
    "layers": Option(
        "layers", "Layers whose features are made stronger; default: the preset's.", flag="--layer"
    ),
    "octaves": Option("integer", "Sizes from coarse to fine; default: the preset's.", 1),
    "ratio": Option(
        "number", "Factor from one size to the next; default: the preset's.", 1.01, 10, shapes=True
    ),
    "steps": Option("integer", "Steps at each size; default: the preset's.", 0),
    "rate": Option("number", "Mean change of a value in a step, in [0, 1]; default: the preset's.", 0, 1),
    "jitter": Option(
        "integer", "Pixels by which the picture is shifted at random; default: the preset's.", 0
    ),
    "key": Option("integer", "Seeds everything that is drawn.", 0, 2**32 - 1, flag="--seed"),
}

FAMILY = Family(
    name="dream",
    title="what a layer sees a little of, made more",
    command="dream",
    network="vgg16",
    methods={
        "dream": Method(
            function=dream,
            title="DeepDream",
            equation="x ← P(x + α g / mean |g|), g = ∂/∂x ½ mean(φ(t(x))²), from coarse to fine",
            paper=PAPER,
            result="image",
            options=_OPTIONS,
        ),
    },
    presets=PRESETS,
)
