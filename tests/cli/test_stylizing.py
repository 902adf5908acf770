"""`jaxviz stylize`, `jaxviz models` and `jaxviz export`."""

import json
import os

import jax
import numpy as np
import pyarrow.parquet
import pytest
from PIL import Image
from stylizers import any_style, bank, noise

from jaxviz import colors, images, stylization
from jaxviz.checkpoints import store

jitted = jax.jit(stylization.stylize)


def draw(model, image, codes, weights=None, alpha=1.0):
    """The same program for all numbers of one shape."""
    count = jax.tree.leaves(codes)[0].shape[0]
    shares = np.full(count, 1 / count) if weights is None else weights
    return jitted(model, image, codes, weights=np.asarray(shares, np.float32), alpha=np.float32(alpha))


@pytest.fixture(scope="module")
def kept(tmp_path_factory, vgg16):
    """The folder of two models, one of four styles and one of any."""
    folder = tmp_path_factory.mktemp("models")
    stylization.save(folder / "bank.safetensors", bank(), steps=7)
    stylization.save(folder / "any.safetensors", any_style(vgg16))
    return folder


@pytest.fixture
def folder(kept, tmp_path):
    """The folder that tests run in: both models, a picture of 28×24, two paintings, masks, and many pictures."""
    for name in ("bank", "any"):
        (tmp_path / f"{name}.safetensors").symlink_to(kept / f"{name}.safetensors")
    images.write(tmp_path / "a.png", noise(24, 28))
    images.write(tmp_path / "waves.png", noise(16, 20, 1) ** 3)
    images.write(tmp_path / "stones.png", noise(20, 16, 2))
    left = np.zeros((24, 28, 3), np.float32)
    left[:, :10] = 1
    for name, mask in (("left", left), ("right", 1 - left), ("black", 0 * left), ("tall", left[:, :12])):
        images.write(tmp_path / f"{name}.png", mask)
    (tmp_path / "many").mkdir()
    for k in range(3):
        images.write(tmp_path / "many" / f"{k}.png", noise(32, 32, k))
    return tmp_path


@pytest.fixture
def run(command, folder):
    """The function that stylizes a.png to out.npy and returns the array and the record."""

    def stylized(*words, source="a.png", model="bank"):
        line = ["stylize", source, "--model", f"{model}.safetensors", *words]
        told = command(*line, "--out", "out.npy", "--json", "out.json")
        assert (told.code, told.stdout) == (0, ""), told.stderr
        return np.load(folder / "out.npy"), json.loads((folder / "out.json").read_text())

    return stylized


def expected(folder, styles, model="bank", **more):
    loaded = stylization.load(folder / f"{model}.safetensors")
    seen = [images.fit_longer(images.read(folder / s), 20) for s in styles] if model == "any" else styles
    return np.asarray(draw(loaded, images.read(folder / "a.png"), loaded.codes(seen), **more))


def test_a_picture_keeps_its_size_and_gets_the_first_style(run, folder):
    found, record = run()
    np.testing.assert_allclose(found, expected(folder, ["a"]), atol=2e-5)
    assert record["styles"] == ["a"]
    assert record["weights"] == [1]
    assert (record["model"]["kind"], record["model"]["record"]) == ("transformer", {"steps": 7})
    assert set(record["seconds"]) == {"compile", "run"}
    assert record["memory"]["predicted"] > found.nbytes


def test_styles_are_mixed(run, folder):
    found, record = run("--mix", "c=1,d=3", "--alpha", "0.5")
    whole = expected(folder, ["c", "d"], weights=np.array([0.25, 0.75]), alpha=0.5)
    np.testing.assert_allclose(found, whole, atol=2e-5)
    assert (record["styles"], record["weights"]) == (["c", "d"], [0.25, 0.75])


def test_paintings_are_styles_of_a_model_of_any(run, folder):
    found, record = run("--mix", "waves.png=1,stones.png=1", "--style-size", 20, model="any")
    np.testing.assert_allclose(found, expected(folder, ["waves.png", "stones.png"], "any"), atol=1e-4)
    assert record["model"]["kind"] == "decoder"


def test_the_picture_stays_where_all_masks_are_black(run, folder):
    pixels = images.read(folder / "a.png")
    found, _ = run("--mask", "left.png")
    whole = expected(folder, ["a"])
    np.testing.assert_allclose(found[:, 10:], pixels[:, 10:], atol=1e-6)
    np.testing.assert_allclose(found[:, :10], whole[:, :10], atol=2e-5)


def test_masks_give_each_style_its_place(run, folder):
    found, _ = run("--style", "a", "--style", "d", "--mask", "left.png", "--mask", "right.png")
    masks = [images.read(folder / f"{name}.png").mean(-1) for name in ("left", "right")]
    np.testing.assert_allclose(found, expected(folder, ["a", "d"], weights=np.stack(masks)), atol=2e-5)


@pytest.mark.parametrize("kind", ["lab", "cholesky"])
def test_colors_are_kept(run, folder, kind):
    found, _ = run("--keep-colors", kind)
    change = colors.before if kind in colors.ROOTS else colors.after
    drawn = expected(folder, ["a"])
    np.testing.assert_allclose(found, change(kind, images.read(folder / "a.png"), drawn), atol=1e-4)
    assert np.abs(found - drawn).max() > 0.02


def test_a_row_goes_from_one_style_to_another(run, folder):
    found, record = run("--style", "a", "--style", "d", "--grid", 3)
    assert found.shape == (1, 3, 24, 28, 3)
    assert record["grid"]["weights"] == [[1, 0], [0.5, 0.5], [0, 1]]
    np.testing.assert_allclose(found[0, 0], expected(folder, ["a"]), atol=2e-5)
    np.testing.assert_allclose(found[0, 1], expected(folder, ["a", "d"]), atol=2e-5)
    np.testing.assert_allclose(found[0, 2], expected(folder, ["d"]), atol=2e-5)


def test_a_square_has_a_style_at_each_corner(run, folder, command):
    words = [word for name in "abcd" for word in ("--style", name)]
    found, _ = run(*words, "--grid", 2)
    assert found.shape == (2, 2, 24, 28, 3)
    for k, name in enumerate("abcd"):
        np.testing.assert_allclose(found[k // 2, k % 2], expected(folder, [name]), atol=2e-5)
    assert command("stylize", "a.png", "--model", "bank.safetensors", *words, "--grid", 2).code == 0
    assert min(images.read(folder / "stylized.png").shape[:2]) > 2 * 96


def test_several_alphas_make_a_row(run, folder):
    found, record = run("--alpha", "0,0.5,1", "--style", "b")
    assert record["grid"]["alpha"] == [0, 0.5, 1]
    np.testing.assert_allclose(found[0, 0], images.read(folder / "a.png"), atol=2e-5)
    np.testing.assert_allclose(found[0, 1], expected(folder, ["b"], alpha=0.5), atol=2e-5)
    np.testing.assert_allclose(found[0, 2], expected(folder, ["b"]), atol=2e-5)


def test_sizes_are_longer_sides(run):
    assert run("--size", 21)[0].shape == (18, 21, 3)


def test_a_picture_that_does_not_fit_is_refused_with_a_size_that_may(command, folder):
    line = ["stylize", "a.png", "--model", "bank.safetensors", "--memory"]
    told = command(*line, "60KB")
    assert told.code == 1
    assert "a picture of 28×24 pixels needs" in told.stderr
    assert "take --size" in told.stderr
    assert command(*line, "1GB").code == 0


def test_many_pictures_are_a_run_that_goes_on(command, folder):
    line = [
        "stylize",
        "many",
        "--model",
        "bank.safetensors",
        "--mix",
        "a=1,b=1",
        "--size",
        32,
        "--out",
        "run",
    ]
    (folder / "many" / "text.png").write_text("no picture")
    told = command(*line, "--json", "a.json")
    assert told.code == 3
    assert told.stderr.startswith("run: 4 pictures, 1 failed")
    loaded = stylization.load(folder / "bank.safetensors")
    whole = draw(loaded, images.read(folder / "many" / "1.png"), loaded.codes(["a", "b"]))
    found = images.read(folder / "run" / "pictures" / "1.png.stylized.png")
    np.testing.assert_allclose(found, whole, atol=1.1 / 255)
    record = json.loads((folder / "a.json").read_text())
    assert (record["run"]["total"], record["styles"], record["settings"]["size"]) == (4, ["a", "b"], 32)
    assert command(*line).stderr.startswith("run: 4 pictures (4 of them before)")
    rows = pyarrow.parquet.read_table(next((folder / "run").glob("*.parquet"))).to_pylist()
    assert [row["name"] for row in rows if row["failure"]] == ["text.png"]


@pytest.mark.parametrize("suffix", ["16", "grey", "alpha"])
def test_pictures_of_all_kinds_are_drawn(command, folder, suffix):
    pixels = np.round(noise(24, 28) * 255).astype(np.uint8)
    made = {
        "16": lambda: Image.fromarray(pixels[..., 0].astype(np.uint16) * 257),
        "grey": lambda: Image.fromarray(pixels[..., 0]),
        "alpha": lambda: Image.fromarray(np.concatenate([pixels, pixels[..., :1]], -1), "RGBA"),
    }
    made[suffix]().save(folder / "b.png")
    assert command("stylize", "b.png", "--model", "bank.safetensors", "--out", "c.png").code == 0
    assert images.read(folder / "c.png").shape == (24, 28, 3)


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("none.png --model bank.safetensors", 1, ("none.png does not exist",)),
        ("text.png --model bank.safetensors", 1, ("text.png is no picture",)),
        ("nan.npy --model bank.safetensors", 1, ("nan.npy holds NaN",)),
        ("small.png --model bank.safetensors", 2, ("image has 15×20 pixels", "at least 16×16")),
        ("a.png --model bank.safetensors --max-pixels 100", 1, ("over the limit of 100",)),
        ("a.png", 2, ("Missing option", "--model")),
        ("a.png --model nosuch", 2, ("no model is named 'nosuch'",)),
        ("a.png --model text.png", 1, ("text.png is no model",)),
        ("a.png --model vgg16.safetensors", 1, ("no stylizing model", "but vgg16")),
        ("a.png --model bank.safetensors --style e", 2, ("no style is named 'e'", "a, b, c, d")),
        (
            "a.png --model bank.safetensors --style waves.png",
            2,
            ("knows the styles a, b, c, d and no others",),
        ),
        ("a.png --model bank.safetensors --style a --style-size 64", 2, ("--style-size is for pictures",)),
        ("a.png --model any.safetensors", 2, ("draws in the style of a picture; give one with --style",)),
        ("a.png --model any.safetensors --style waves", 1, ("waves does not exist",)),
        ("a.png --model any.safetensors --style text.png", 1, ("text.png is no picture",)),
        ("a.png --model any.safetensors --style waves.png --style-size 0", 2, ("--style-size is '0'",)),
        ("a.png --model any.safetensors --style waves.png --style-size 12", 2, ("style has",)),
        ("a.png --model bank.safetensors --style a --mix a=1", 2, ("--style and --mix",)),
        ("a.png --model bank.safetensors --mix a", 2, ("--mix is 'a'; expected styles",)),
        ("a.png --model bank.safetensors --mix a=x", 2, ("--mix is 'x'; expected numbers",)),
        ("a.png --model bank.safetensors --mix a=1,a=2", 2, ("names a style twice",)),
        ("a.png --model bank.safetensors --mix a=-1,b=2", 2, ("share of style 0 is -1",)),
        ("a.png --model bank.safetensors --mix a=0,b=0", 2, ("all shares are zero",)),
        ("a.png --model bank.safetensors --alpha 1.5", 2, ("--alpha is 1.5",)),
        ("a.png --model bank.safetensors --alpha much", 2, ("--alpha is 'much'",)),
        ("a.png --model bank.safetensors --keep-colors hue", 2, ("'hue'", "luminance")),
        ("a.png --model bank.safetensors --mask tall.png", 2, ("mask tall.png is 24×12", "24×28")),
        ("a.png --model bank.safetensors --mask black.png", 2, ("black.png is black everywhere",)),
        ("a.png --model bank.safetensors --mask left.png --mask right.png", 2, ("2 masks for 1 styles",)),
        ("a.png --model bank.safetensors --mix a=1,b=1 --mask left.png", 2, ("--mask and --mix",)),
        ("a.png --model bank.safetensors --alpha 0,1 --mask left.png", 2, ("makes a sheet", "--mask")),
        ("a.png --model bank.safetensors --grid 3", 2, ("there are 1 styles; expected 2 for a row",)),
        ("a.png --model bank.safetensors --grid 1", 2, ("--grid is '1'", "at least 2")),
        ("a.png --model bank.safetensors --mix a=1,b=1 --grid 3", 2, ("--grid and --mix",)),
        ("a.png --model bank.safetensors --devices 2", 2, ("--devices is for many pictures",)),
        ("a.png --model bank.safetensors --precision int8", 2, ("no precision is named 'int8'",)),
        ("a.png --model bank.safetensors --out a.gif", 2, ("a.gif cannot be written as .gif",)),
        ("many --model bank.safetensors --grid 3", 2, ("--grid is for one picture; many is many",)),
        ("many --model bank.safetensors --mask left.png", 2, ("--mask is for one picture",)),
        ("many --model bank.safetensors --alpha 0,1", 2, ("is for one picture",)),
        ("many --model bank.safetensors --size 8", 2, ("size is 8; expected at least 16",)),
    ],
)
def test_what_is_wrong_is_told_in_one_line(command, folder, line, code, words):
    (folder / "text.png").write_text("no picture")
    np.save(folder / "nan.npy", np.full((20, 20, 3), np.nan))
    images.write(folder / "small.png", noise(20, 15))
    (folder / "vgg16.safetensors").symlink_to(store.folder() / "vgg16.safetensors")
    before = sorted(os.listdir(folder))
    told = command("stylize", *line.split())
    assert (told.code, told.stdout, told.stderr.count("\n")) == (code, "", 1), told.stderr
    for word in words:
        assert word in told.stderr
    assert sorted(os.listdir(folder)) == before


def test_models_are_listed_and_described(command, folder, monkeypatch):
    assert command("models", "bank.safetensors").stdout.startswith(
        "bank.safetensors: transformer, styles: a, b, c, d\n"
    )
    assert "steps" in command("models", "bank.safetensors").stdout
    assert command("models", "any.safetensors").stdout.startswith("any.safetensors: decoder, styles: any\n")
    assert command("models", "nosuch").code == 2
    (folder / "stylizers.toml").write_text(
        f'[letters]\nfile = "bank.safetensors"\nsha256 = "{store.sha256(folder / "bank.safetensors")}"\n'
        '[torn]\nfile = "any.safetensors"\nsha256 = "0"\n'
    )
    monkeypatch.setattr(store, "folder", lambda: folder)
    lines = command("models").stdout.splitlines()
    assert lines[0] == "letters: transformer, styles: a, b, c, d"
    assert "expected sha256 0" in lines[1]
    found = json.loads(command("models", "--json", "-").stdout)["models"]
    assert found["letters"]["record"] == {"steps": 7}
    assert found["torn"]["kind"] == "damaged"
    assert command("stylize", "a.png", "--model", "letters", "--out", "b.png").code == 0


def test_without_shipped_models_the_remedy_is_told(command, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "folder", lambda: tmp_path)
    assert "no model is shipped" in command("models").stdout


def test_a_program_is_written(command, folder):
    pytest.importorskip("flatbuffers")
    line = ["export", "--model", "bank.safetensors", "--mix", "a=1,b=3", "--size", "24x28"]
    told = command(*line, "--out", "b.stablehlo", "--json", "b.json")
    assert (told.code, told.stdout, told.stderr) == (0, "", "")
    program = jax.export.deserialize(bytearray((folder / "b.stablehlo").read_bytes()))
    found = program.call(images.read(folder / "a.png"))
    whole = expected(folder, ["a", "b"], weights=np.array([0.25, 0.75]))
    np.testing.assert_allclose(found, whole, atol=2e-5)
    record = json.loads((folder / "b.json").read_text())
    assert record["program"]["input"] == [24, 28, 3]
    assert record["program"]["bytes"] == (folder / "b.stablehlo").stat().st_size


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--size 24x28 --out b.txt", "expected .stablehlo or .onnx"),
        ("--size 24 --out b.stablehlo", "--size is '24'; expected HEIGHTxWIDTH"),
        ("--size 24x8 --out b.stablehlo", "size is 8"),
        ("--size 24x28 --out b.stablehlo --alpha 0,1", "expected one number"),
        ("--size 24x28 --out b.stablehlo --style e", "no style is named 'e'"),
    ],
)
def test_programs_that_cannot_be_are_refused(command, folder, words, said):
    before = sorted(os.listdir(folder))
    told = command("export", "--model", "bank.safetensors", *words.split())
    assert (told.code, told.stderr.count("\n")) == (2, 1)
    assert said in told.stderr
    assert sorted(os.listdir(folder)) == before


def test_steadiness_is_for_films(command, photo):
    outcome = command("stylize", photo, "--model", "any", "--temporal", "0.5")
    assert outcome[0] == 2
    assert "--temporal is for films" in outcome[2]
