"""Several networks as one, whose class scores are the mean of theirs."""

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxviz._typing import Relu
from jaxviz.networks.network import Network
from jaxviz.networks.preprocessing import Preprocessing


@dataclasses.dataclass(frozen=True)
class _Member:
    """An architecture that Linen does not take for a part of another, and what its weights expect."""

    architecture: nn.Module
    preprocessing: Preprocessing


class Ensemble(nn.Module):
    """Networks that see the same image, one after the other; made by `ensemble`."""

    members: tuple[_Member, ...]
    classes: int
    relu: Relu = jax.nn.relu

    @nn.compact
    def __call__(self, image: Float[Array, "1 h w 3"]) -> dict[str, Float[Array, "1 classes"]]:
        """Returns the mean of the members' class scores, for one image in [0, 1]."""
        found: list[Any] = []
        for k, member in enumerate(self.members):
            architecture = member.architecture.clone(relu=self.relu, parent=None)
            x = member.preprocessing.apply(image[0])[None]
            params = self.param(f"{k}", lambda key, a=architecture, x=x: a.init(key, x)["params"])
            taps: Any = architecture.apply({"params": params}, x)
            found.append(taps["logits"])
        return {"logits": jnp.mean(jnp.stack(found), 0)}


def ensemble(*networks: Network) -> Network:
    r"""Returns a network whose class scores are the mean of others', :math:`S_c = \frac{1}{n} \sum_k S_{kc}`.

    What deceives several networks at once deceives another one more often. Each member sees the image as its own
    weights expect it. The only tap is "logits".

    Args:
      networks: At least one, each with a classifier of the same classes.

    Raises:
      ValueError: If there is none, one has no classifier, or their classes differ.

    References:
      Dong, Liao, Pang, Su, Zhu, Hu, Li. Boosting Adversarial Attacks with Momentum. CVPR 2018, section 3.3.

    Example:
      >>> from jaxviz.networks import ensemble
      >>> one, image = jaxviz.load("squeezenet1_1"), jnp.full((64, 64, 3), 0.5)
      >>> scores = jax.jit(lambda network: network.features(image)["logits"])
      >>> bool(jnp.allclose(scores(ensemble(one, one)), scores(one), rtol=1e-5))
      True
    """
    if not networks:
        raise ValueError("ensemble got no network")
    classes = networks[0].classes
    for network in networks:
        if network.classes is None or classes is None:
            raise ValueError(f"{network.name or 'a network'} has no classifier")
        if network.labels != networks[0].labels or network.classes != classes:
            names = f"{networks[0].name or 'the first'} and {network.name or 'another'}"
            raise ValueError(f"the classes of {names} differ")
    members = tuple(_Member(network.architecture, network.preprocessing) for network in networks)
    return Network(
        params={f"{k}": network.params for k, network in enumerate(networks)},
        architecture=Ensemble(members, classes or 0),
        preprocessing=Preprocessing(),
        name="+".join(network.name for network in networks),
        labels=networks[0].labels,
    )
