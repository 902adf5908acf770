"""Radiance fields: scenes from posed pictures, in pure JAX: fitted, rendered, flown through, and stylized.

scene = jaxviz.radiance.read("lego/")
fitted = jaxviz.radiance.fit(scene)
views = list(jaxviz.radiance.see(fitted.model, scene.test.cameras))
styled = jaxviz.radiance.stylize(fitted.model, jaxviz.load("vgg16"), [painting])
"""

from jaxviz.radiance.consistency import consistency, warped
from jaxviz.radiance.field import Field
from jaxviz.radiance.files import FieldError, describe, load, save
from jaxviz.radiance.fitting import FitError, Fitted, Step, fit
from jaxviz.radiance.measures import psnr, ssim
from jaxviz.radiance.models import Model, Seen, see
from jaxviz.radiance.occupancy import Occupancy
from jaxviz.radiance.paths import PATHS, path, resized, usual
from jaxviz.radiance.planning import Settings
from jaxviz.radiance.presets import STYLIZING
from jaxviz.radiance.rays import Rays
from jaxviz.radiance.reading import read
from jaxviz.radiance.recoloring import BLENDS
from jaxviz.radiance.running import compared, fit_into, kept_beside, means, measured
from jaxviz.radiance.scenes import Cameras, Scene, SceneError, Space, Views, described, some, spread
from jaxviz.radiance.styling_runs import stylize_into
from jaxviz.radiance.stylizing import COLORS, Stroke, Stylized, steps_of, stylize

__all__ = [
    "BLENDS",
    "COLORS",
    "PATHS",
    "STYLIZING",
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
    "Stroke",
    "Stylized",
    "Views",
    "compared",
    "consistency",
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
    "steps_of",
    "stylize",
    "stylize_into",
    "usual",
    "warped",
]
