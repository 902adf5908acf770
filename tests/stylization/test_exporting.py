import importlib.util
import os
import sys

import jax
import numpy as np
import pytest
from stylizers import any_style, bank, noise

from jaxviz import stylization
from jaxviz.stylization import exporting

H, W = 20, 18


@pytest.fixture(params=["bank", "any"])
def drawing(request):
    """A model, and codes and weights of two styles."""
    if request.param == "bank":
        model = bank()
        return model, model.codes(["b", "d"]), np.array([0.25, 0.75])
    model = any_style(request.getfixturevalue("vgg16"))
    return model, model.codes([noise(16, 16, 1), noise(18, 16, 2) ** 2]), np.array([0.25, 0.75])


def test_a_program_in_a_file_draws_the_same_picture(tmp_path):
    pytest.importorskip("flatbuffers")
    model, more = bank(), {"weights": np.array([0.25, 0.75]), "alpha": 0.5}
    codes = model.codes(["b", "d"])
    stylization.export(tmp_path / "a.stablehlo", model, codes, (H, W), **more)
    program = jax.export.deserialize(bytearray((tmp_path / "a.stablehlo").read_bytes()))
    assert set(program.platforms) == {"cpu", "cuda", "tpu"}
    assert [shape.shape for shape in program.in_avals] == [(H, W, 3)]
    for seed in range(2):
        expected = jax.jit(stylization.stylize)(model, noise(H, W, seed), codes, **more)
        np.testing.assert_allclose(program.call(noise(H, W, seed)), expected, atol=1e-5)


def test_what_depends_on_the_platform_is_settled(drawing):
    """What ONNX is made from: no primitive is left that asks where it runs, and the picture is the same."""
    model, codes, weights = drawing

    def draw(image):
        return stylization.stylize(model, image, codes, weights=weights)

    closed = jax.make_jaxpr(draw)(noise(H, W))
    assert "platform_index" in str(closed)

    def settled(image):
        return exporting._evaluated(closed.jaxpr, closed.consts, [image])[0]

    text = str(jax.make_jaxpr(settled)(noise(H, W)))
    assert "conv_general_dilated" in text
    assert not [
        name for name in ("platform_index", "cond", "custom_vjp", "reduce_window") if f"{name}[" in text
    ]
    np.testing.assert_allclose(jax.jit(settled)(noise(H, W, 1)), jax.jit(draw)(noise(H, W, 1)), atol=1e-4)


@pytest.mark.slow
def test_onnx_draws_the_same_picture(drawing, tmp_path):
    pytest.importorskip("jax2onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    model, codes, weights = drawing
    stylization.export(tmp_path / "a.onnx", model, codes, (H, W), weights=weights)
    session = onnxruntime.InferenceSession(tmp_path / "a.onnx", providers=["CPUExecutionProvider"])
    (given,), (found,) = session.get_inputs(), session.run(None, {session.get_inputs()[0].name: noise(H, W)})
    assert given.shape == [H, W, 3]
    expected = jax.jit(stylization.stylize)(model, noise(H, W), codes, weights=weights)
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "size", "words"),
    [
        ("a.pb", (H, W), r"expected \.stablehlo or \.onnx"),
        ("a", (H, W), "a file without suffix"),
        ("a.onnx", (H, 15), "size is 15; expected a whole number of at least 16"),
    ],
)
def test_other_programs_are_refused(tmp_path, name, size, words):
    model = bank()
    with pytest.raises(ValueError, match=words):
        stylization.export(tmp_path / name, model, model.codes(), size)
    assert os.listdir(tmp_path) == []


def test_what_is_not_installed_is_told(tmp_path, monkeypatch):
    model = bank()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "jax2onnx", None)
    for name, extra in (("a.stablehlo", "export"), ("a.onnx", "export-onnx")):
        with pytest.raises(ImportError, match=rf'pip install "jaxviz-vision\[{extra}\]"'):
            stylization.export(tmp_path / name, model, model.codes(), (H, W))
    assert os.listdir(tmp_path) == []
