import dataclasses
import json
import os

import jax
import numpy as np
import pytest
import tomli_w
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from stylizers import any_style, bank, coder_of

import jaxviz
from jaxviz import stylization
from jaxviz.checkpoints import store


@pytest.fixture
def model():
    return bank(styles=("a", "b"))


@pytest.fixture
def path(tmp_path, model):
    stylization.save(tmp_path / "m.safetensors", model, steps=7, losses={"style": 0.5})
    return tmp_path / "m.safetensors"


def rewritten(path, tensors=None, **metadata):
    """The file with other arrays or metadata."""
    with safe_open(path, "numpy") as file:
        said = file.metadata()
    save_file(tensors if tensors is not None else load_file(path), path, said | metadata)


def said(path):
    with safe_open(path, "numpy") as file:
        return json.loads(file.metadata()["model"])


def test_a_file_holds_half_precision_and_what_is_needed(path, model):
    found = stylization.load(path)
    assert (found.styles, found.architecture) == (model.styles, model.architecture)
    assert {value.dtype for value in load_file(path).values()} == {np.dtype(np.float16)}
    for kept, leaf in zip(jax.tree.leaves(found.params), jax.tree.leaves(model.params), strict=True):
        assert kept.dtype == np.float32
        np.testing.assert_array_equal(kept, np.asarray(leaf, np.float16))
    assert stylization.record(path) == {"steps": 7, "losses": {"style": 0.5}}
    described = stylization.describe(path)
    assert (described["kind"], described["styles"]) == ("transformer", ["a", "b"])
    assert described["bytes"] == path.stat().st_size
    assert os.listdir(path.parent) == ["m.safetensors"]


def test_a_file_may_hold_all_digits(tmp_path, model):
    stylization.save(tmp_path / "m.safetensors", model, dtype=np.float32)
    found = stylization.load(tmp_path / "m.safetensors")
    for kept, leaf in zip(jax.tree.leaves(found.params), jax.tree.leaves(model.params), strict=True):
        np.testing.assert_array_equal(kept, leaf)


def test_running_variances_are_kept_in_32_bits(tmp_path):
    model = bank(styles=("a",), norm="batch")
    model = dataclasses.replace(model, statistics=jax.tree.map(lambda leaf: leaf + 1e6, model.statistics))
    stylization.save(tmp_path / "m.safetensors", model)
    found = stylization.load(tmp_path / "m.safetensors")
    assert jax.tree.leaves(found.statistics)
    for kept, leaf in zip(jax.tree.leaves(found.statistics), jax.tree.leaves(model.statistics), strict=True):
        np.testing.assert_array_equal(kept, leaf)


def test_an_encoder_is_named_and_not_written(tmp_path, vgg16):
    model = any_style(vgg16)
    stylization.save(tmp_path / "m.safetensors", model)
    assert (tmp_path / "m.safetensors").stat().st_size < 1e6
    assert stylization.describe(tmp_path / "m.safetensors")["encoder"] == "vgg16"
    for encoder in (None, vgg16):
        found = stylization.load(tmp_path / "m.safetensors", encoder=encoder)
        assert (found.scale, found.layer, found.architecture) == (
            model.scale,
            model.layer,
            model.architecture,
        )
        assert found.encoder.architecture.borders == "reflect"
        for name in ("params", "encoder"):
            both = zip(*(jax.tree.leaves(getattr(one, name)) for one in (found, model)), strict=True)
            assert all(np.abs(a - b).max() <= 1e-3 * np.abs(b).max() for a, b in both)


def test_precision_is_a_matter_of_loading(path):
    found = stylization.load(path, precision="bfloat16")
    assert found.architecture.precision == "bfloat16"


def damage(path, kind):
    content = path.read_bytes()
    if kind == "truncated":
        path.write_bytes(content[:-100])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("no model, but words")
    elif kind == "nan":
        tensors = load_file(path)
        tensors["params/conv1/kernel"][0, 0, 0, 0] = np.nan
        rewritten(path, tensors)
    elif kind == "other width":
        changed = said(path)
        changed["attributes"]["width"] = 8
        rewritten(path, model=json.dumps(changed))
    elif kind == "fewer blocks":
        changed = said(path)
        changed["attributes"]["blocks"] = 3
        rewritten(path, model=json.dumps(changed))
    elif kind == "a style more":
        changed = said(path)
        changed["styles"].append("c")
        rewritten(path, model=json.dumps(changed))
    elif kind == "unknown attribute":
        changed = said(path)
        changed["attributes"]["depth"] = 3
        rewritten(path, model=json.dumps(changed))
    elif kind == "no styles":
        changed = said(path)
        del changed["styles"]
        rewritten(path, model=json.dumps(changed))
    elif kind == "no record":
        rewritten(path, model="{")
    elif kind == "later version":
        rewritten(path, **{"jaxviz-stylizer": "99"})
    elif kind == "no params":
        rewritten(path, {"x": np.zeros(1, np.float32)})


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("truncated", "is no model that can be read"),
        ("empty", "is no model that can be read"),
        ("text", "is no model that can be read"),
        ("nan", "params/conv1/kernel holds NaN"),
        ("other width", "of another architecture"),
        ("fewer blocks", "of another architecture"),
        ("a style more", "record is damaged"),
        ("unknown attribute", "record is damaged"),
        ("no styles", "record is damaged"),
        ("no record", "is no model that can be read"),
        ("later version", "no stylizing model of this version"),
        ("no params", "record is damaged"),
    ],
)
def test_damaged_files_are_refused(path, kind, words):
    damage(path, kind)
    with pytest.raises(jaxviz.WeightsError, match=words) as raised:
        stylization.load(path)
    assert str(path) in str(raised.value)


def test_the_weights_of_a_network_are_no_model():
    with pytest.raises(jaxviz.WeightsError, match="no stylizing model of this version, but vgg16"):
        stylization.load(store.folder() / "vgg16.safetensors")


def test_what_is_not_there_is_told():
    with pytest.raises(KeyError, match="no model is named 'nosuch', and there is no such file"):
        stylization.load("nosuch")
    with pytest.raises(KeyError, match="nosuch"):
        stylization.describe("nosuch")


@pytest.fixture
def shipped(path, monkeypatch):
    """A folder with a shipped model called waves."""
    monkeypatch.setattr(store, "folder", lambda: path.parent)
    entry = {"file": path.name, "sha256": store.sha256(path)}
    (path.parent / "stylizers.toml").write_text(tomli_w.dumps({"waves": entry}))
    return path


def test_shipped_models_have_names(shipped):
    assert list(stylization.shipped()) == ["waves"]
    assert stylization.load("waves").styles == ("a", "b")
    assert stylization.record("waves")["steps"] == 7
    with pytest.raises(KeyError, match="no model is named 'wave', and there is no such file; nearest: waves"):
        stylization.load("wave")


def test_shipped_models_are_what_was_shipped(shipped):
    content = bytearray(shipped.read_bytes())
    content[-1] ^= 1
    shipped.write_bytes(content)
    with pytest.raises(jaxviz.WeightsError, match="expected sha256"):
        stylization.load("waves")
    shipped.unlink()
    with pytest.raises(jaxviz.WeightsError, match="is missing"):
        stylization.load("waves")


def with_projector(encoder):
    """A model of any style whose projector reads the encoder."""
    coder = coder_of(encoder)
    return dataclasses.replace(any_style(encoder), projector=coder)


def test_a_projector_is_written_beside_its_decoder(tmp_path, vgg16):
    model = with_projector(vgg16)
    stylization.save(tmp_path / "m.safetensors", model)
    described = stylization.describe(tmp_path / "m.safetensors")
    assert described["projector"]["attributes"] == {"layers": ["relu1_1", "relu2_1"], "size": 4}
    assert described["projector"]["network"] == described["encoder"] == "vgg16"
    found = stylization.load(tmp_path / "m.safetensors", encoder=vgg16)
    assert found.projector.scales == model.projector.scales
    assert found.projector.network.architecture.borders == "reflect"
    for kept, leaf in zip(
        *map(jax.tree.leaves, (found.projector.params, model.projector.params)), strict=True
    ):
        np.testing.assert_array_equal(kept, np.asarray(leaf, np.float16))
    changed = said(tmp_path / "m.safetensors")
    changed["projector"]["attributes"]["size"] = 6
    rewritten(tmp_path / "m.safetensors", model=json.dumps(changed))
    with pytest.raises(jaxviz.WeightsError, match=r"projector/relu1_1_1/bias of shape \(3,\), found \(2,\)"):
        stylization.load(tmp_path / "m.safetensors", encoder=vgg16)
