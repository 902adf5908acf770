"""Radiance fields: scenes from posed pictures, in pure JAX: fitted, rendered, and flown through.

scene = jaxviz.radiance.read("lego/")
fitted = jaxviz.radiance.fit(scene)
views = list(jaxviz.radiance.see(fitted.model, scene.test.cameras))
"""

from jaxviz.radiance.field import Field
from jaxviz.radiance.files import FieldError, describe, load, save
from jaxviz.radiance.fitting import FitError, Fitted, Step, fit
from jaxviz.radiance.measures import psnr, ssim
from jaxviz.radiance.models import Model, Seen, see
from jaxviz.radiance.occupancy import Occupancy
from jaxviz.radiance.paths import PATHS, path, resized, usual
from jaxviz.radiance.planning import Settings
from jaxviz.radiance.rays import Rays
from jaxviz.radiance.reading import read
from jaxviz.radiance.running import compared, fit_into, kept_beside, means, measured
from jaxviz.radiance.scenes import Cameras, Scene, SceneError, Space, Views, described, some, spread

__all__ = [
    "PATHS",
    "Cameras",
    "Field",
    "FieldError",
    "FitError",
    "Fitted",
    "Model",
    "Occupancy",
    "Rays",
    "Scene",
    "SceneError",
    "Seen",
    "Settings",
    "Space",
    "Step",
    "Views",
    "compared",
    "describe",
    "described",
    "fit",
    "fit_into",
    "kept_beside",
    "load",
    "means",
    "measured",
    "path",
    "psnr",
    "read",
    "resized",
    "save",
    "see",
    "some",
    "spread",
    "ssim",
    "usual",
]
