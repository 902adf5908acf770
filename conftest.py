"""Types are checked while tests run; every docstring example finds these names."""

import os
import tempfile

from jaxtyping import install_import_hook

# What the developer has fetched must not decide a test.
FETCHED = tempfile.TemporaryDirectory(prefix="jaxviz-weights-")
os.environ["JAXVIZ_WEIGHTS"] = FETCHED.name

# Nor what was compiled before; and thousands of programs written from one process have ended it (jaxlib 0.10.2).
os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "0"

# Most of the time goes into compiling programs that run once. Processes that tests start inherit it.
os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"

install_import_hook("jaxviz", "beartype.beartype")

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

import jaxviz  # noqa: E402
from jaxviz import images, samples  # noqa: E402


def pytest_configure(config):
    """Lets XLA's older emitters compile, in a quarter less time, where no marked tests are asked for by name."""
    if config.option.markexpr in ("", "not slow"):
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_use_fusion_emitters=false"


@pytest.fixture(autouse=True)
def _example_names(doctest_namespace):
    doctest_namespace.update(jax=jax, jnp=jnp, np=np, jaxviz=jaxviz)


@pytest.fixture(autouse=True)
def _compiled_as_asked(request):
    """Lets the compiler do its best where a test is about what users get: `optimized`, `slow`, `data`."""
    asked = any(request.node.get_closest_marker(name) for name in ("optimized", "slow", "data"))
    jax.config.update("jax_disable_most_optimizations", not asked)


@pytest.fixture(autouse=True, scope="module")
def _programs_forgotten():
    """Lets go of a module's programs: each keeps maps of memory, of which a process may have 65,530 on Linux."""
    yield
    jax.clear_caches()


@pytest.fixture(scope="session")
def vgg16():
    return jaxviz.load("vgg16")


@pytest.fixture(scope="session")
def squeezenet():
    return jaxviz.load("squeezenet1_1")


@pytest.fixture(scope="session")
def data():
    """The folder of pictures and weights that JAXVIZ_DATA names; without it the test is skipped."""
    folder = os.environ.get("JAXVIZ_DATA")
    if not folder:
        pytest.skip(
            "JAXVIZ_DATA is not set: it names the folder of pictures and weights that this test needs"
        )
    return folder


@pytest.fixture(scope="session")
def picture():
    """The function that returns a sample picture: `picture(name, size, square=True)`."""

    def sample(name: str, size: int, square: bool = True) -> np.ndarray:
        pixels = samples.photograph(name)
        return images.fit_square(pixels, size) if square else images.fit_longer(pixels, size)

    return sample
