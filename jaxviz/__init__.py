"""See what a convolutional network has learned, and make pictures with it.

Every technique is one equation with different symbols filled in, compiled by JAX into one program:

    z*  =  argmin over z in C   E_t [ L( Φ_θ( t( ψ(z) ) ) ) ]  +  R( ψ(z) )
"""

from jaxviz import (
    colors,
    constraints,
    distributed,
    gradient_rules,
    images,
    jobs,
    networks,
    objectives,
    optimizers,
    parameterizations,
    preconditioners,
    priors,
    radiance,
    snapshots,
    stylization,
    training,
    transforms,
)
from jaxviz.batching import batched, chunk_size
from jaxviz.checkpoints import WeightsError
from jaxviz.networks import Network
from jaxviz.optimization import Interrupted, Solution, minimize
from jaxviz.problem import Problem, stack
from jaxviz.sharding import mesh
from jaxviz.techniques import (
    attacks,
    dream,
    embedding,
    evaluation,
    features,
    inversion,
    saliency,
    style,
    texture,
    visualization,
)
from jaxviz.zoo import initialize, load

__version__ = "0.1.0"

__all__ = [
    "Interrupted",
    "Network",
    "Problem",
    "Solution",
    "WeightsError",
    "attacks",
    "batched",
    "chunk_size",
    "colors",
    "constraints",
    "distributed",
    "dream",
    "embedding",
    "evaluation",
    "features",
    "gradient_rules",
    "images",
    "initialize",
    "inversion",
    "jobs",
    "load",
    "mesh",
    "minimize",
    "networks",
    "objectives",
    "optimizers",
    "parameterizations",
    "preconditioners",
    "priors",
    "radiance",
    "saliency",
    "snapshots",
    "stack",
    "style",
    "stylization",
    "texture",
    "training",
    "transforms",
    "visualization",
]
