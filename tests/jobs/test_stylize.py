import json

import jax
import numpy as np
import pytest
from little import Drawn
from stylizers import any_style, bank, noise

from jaxviz import images, jobs, stylization
from jaxviz.jobs.sizes import Longer

SIZE = 32
draw = jax.jit(stylization.stylize)
keep = jax.jit(stylization.recolored, static_argnames="kind")


@pytest.fixture(scope="module")
def model():
    return bank()


def seen(source, index):
    return images.to_floats(Longer(SIZE)(source[index].read(10**6)))


def found(folder, source, index):
    return images.read(folder / "pictures" / f"{source[index].name}.stylized.png")


def test_every_picture_is_drawn_as_alone(tmp_path, model):
    source = Drawn(5, bad=(3,), shapes=((32, 32), (40, 20)))
    task = jobs.stylize(model, ["a", "c"], weights=[1, 3], alpha=0.5, size=SIZE, save="both")
    report = jobs.run(task, source, out=tmp_path / "run", shard=3)
    assert (report.made, [name for name, _ in report.failures]) == (5, ["0003.png"])
    codes, more = model.codes(["a", "c"]), {"weights": np.array([0.25, 0.75]), "alpha": 0.5}
    for index in (0, 1, 4):
        expected = draw(model, seen(source, index), codes, **more)
        np.testing.assert_allclose(found(tmp_path / "run", source, index), expected, atol=1 / 255)
    with np.load(tmp_path / "run" / "arrays-00001.npz") as file:
        assert file["index"].tolist() == [4]
        np.testing.assert_allclose(file["stylized"][0], expected, atol=2e-5)


def test_a_run_goes_on_to_the_same_bits(tmp_path, model):
    source = Drawn(4)
    task = jobs.stylize(model, ["b"], size=SIZE, save="arrays")
    for name in ("whole", "part"):
        jobs.run(task, source, out=tmp_path / name, shard=2)
    (tmp_path / "part" / "results-00001.parquet").unlink()
    report = jobs.run(
        jobs.stylize(model, ["b"], size=SIZE, save="arrays"), source, out=tmp_path / "part", shard=2
    )
    assert (report.made, report.already) == (2, 2)
    arrays = [np.load(tmp_path / name / "arrays-00001.npz")["stylized"] for name in ("whole", "part")]
    np.testing.assert_array_equal(*arrays)


def test_the_manifest_decides_what_a_run_is(tmp_path, model, vgg16):
    jobs.run(jobs.stylize(model, ["a", "b"], weights=[1, 3], size=SIZE), Drawn(2), out=tmp_path, shard=2)
    settings = json.loads((tmp_path / "manifest.json").read_text())["settings"]
    assert settings["technique"] == "stylize"
    assert settings["styles"] == ["a", "b"]
    assert (settings["weights"], settings["alpha"], settings["keep_colors"]) == ([0.25, 0.75], 1.0, None)
    assert settings["model"]["attributes"]["width"] == 4
    others = {
        r"settings\.model\.weights_sha256": jobs.stylize(bank(seed=1), ["a", "b"], weights=[1, 3], size=SIZE),
        r"settings\.styles": jobs.stylize(model, ["a", "c"], weights=[1, 3], size=SIZE),
        r"settings\.weights": jobs.stylize(model, ["a", "b"], size=SIZE),
        r"settings\.alpha": jobs.stylize(model, ["a", "b"], weights=[1, 3], size=SIZE, alpha=0.5),
        r"settings\.keep_colors": jobs.stylize(
            model, ["a", "b"], weights=[1, 3], size=SIZE, keep_colors="lab"
        ),
        r"settings\.size": jobs.stylize(model, ["a", "b"], weights=[1, 3], size=64),
        r"settings\.model\.kind": jobs.stylize(any_style(vgg16), [noise(16, 16)], size=SIZE),
    }
    for difference, task in others.items():
        with pytest.raises(jobs.RunError, match=f"has a run of other settings: .*{difference}"):
            jobs.run(task, Drawn(2), out=tmp_path, shard=2)


def test_paintings_are_told_apart_in_the_manifest(vgg16):
    model = any_style(vgg16)
    one, other = (jobs.stylize(model, [noise(16, 16, k)], size=SIZE).settings for k in (0, 1))
    assert one["styles_sha256"] != other["styles_sha256"]
    assert one["model"] == other["model"]


def test_colors_are_those_of_each_picture(vgg16):
    model, style, source = any_style(vgg16), noise(16, 16, 9) ** 2, Drawn(2, shapes=((32, 32),))
    task = jobs.stylize(model, [style], keep_colors="pca", size=SIZE)
    for index, (_, result, failure) in enumerate(jobs.iterate(task, source)):
        assert failure == ""
        expected = keep(model, seen(source, index), [style], kind="pca")
        np.testing.assert_allclose(result.pictures["stylized"], expected, atol=1e-3)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"styles": ["e"]}, KeyError, "no style is named 'e'"),
        ({"styles": ["a"], "weights": [1, 2]}, ValueError, "2 shares for 1 styles"),
        ({"alpha": 2}, ValueError, "alpha is 2"),
        ({"keep_colors": "hue"}, KeyError, "no way to keep colors is named 'hue'"),
        ({"save": "films"}, KeyError, "no way to save is named 'films'"),
        ({"size": 15}, ValueError, "size is 15; expected at least 16"),
    ],
)
def test_wrong_options_are_refused(model, options, error, words):
    with pytest.raises(error, match=words):
        jobs.stylize(model, **options)
