import numpy as np
import pytest
import virtual_devices
from PIL import Image as PillowImage


@pytest.mark.parametrize("method", ["fast", pytest.param("cast", marks=pytest.mark.slow)])
def test_two_devices_train_as_one(method, tmp_path):
    (tmp_path / "photos").mkdir()
    random = np.random.default_rng(0)
    for k in range(5):
        pixels = random.integers(0, 255, (40, 44, 3), np.uint8)
        PillowImage.fromarray(pixels).save(tmp_path / f"photos/{k}.png")
    given = (tmp_path / "made.npz", tmp_path / "photos", method)
    made = virtual_devices.run("trained_on_devices.py", 2, *given)
    one, two = made["one/losses"], made["two/losses"]
    # Adam's first steps go by signs of gradients, some of them rounding; CAST's parts judge each other by them.
    before = (
        [2, 3, 5] if method == "cast" else slice(None)
    )  # cycle, discriminators, projector: nothing has moved
    np.testing.assert_allclose(two[0, before], one[0, before], rtol=1e-5)
    np.testing.assert_allclose(two, one, rtol=1e-2 if method == "cast" else 1e-4)
    names = [name.removeprefix("one/") for name in made if name.startswith("one/") and name != "one/losses"]
    assert len(names) > 20
    one, two = (np.concatenate([made[f"{which}/{k}"].ravel() for k in names]) for which in ("one", "two"))
    # Adam divides by the size of the gradient: a shift that the next normalization takes away has a gradient of
    # rounding, and moves by as much as any, 0.001 a step. So do weights of units that hardly ever answer.
    alike = np.isclose(two, one, rtol=1e-3, atol=2e-4)
    assert alike.mean() > 0.9
    assert np.abs(two - one)[~alike].max(initial=0) < 6e-3
    assert "multiple of the 2 devices" in str(made["refused"])
