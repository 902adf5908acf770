"""Whatever is wrong is told in one line that names cause and remedy, and leaves no file behind."""

import io
import os
import struct
import sys
import zlib

import jax
import numpy as np
import pytest
from PIL import Image

import jaxviz
from jaxviz.checkpoints import store
from jaxviz.cli.classes import best_classes
from jaxviz.cli.session import Failure
from jaxviz.networks.preprocessing import CAFFE


def png_header(width, height):
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I4sI", 0, b"IDAT", zlib.crc32(b"IDAT"))


def jpeg_start():
    buffer = io.BytesIO()
    Image.linear_gradient("L").save(buffer, "JPEG")
    return buffer.getvalue()[:-300]


BAD_PICTURES = {
    "text.png": b"no picture",
    "empty.png": b"",
    "truncated.jpg": jpeg_start(),
    "huge.png": png_header(20_000, 6_000),
    "text.npy": b"no array",
}
BAD_ARRAYS = {
    "nan.npy": np.full((8, 8, 3), np.nan),
    "bright.npy": np.full((8, 8, 3), 255.0),
    "bytes.npy": np.zeros((8, 8, 3), np.uint8),
    "shape.npy": np.zeros((8, 8, 5)),
}


@pytest.fixture
def files(tmp_path, photo):
    """A folder with a cat, bad pictures, and a folder; tests run in it."""
    for name, content in BAD_PICTURES.items():
        (tmp_path / name).write_bytes(content)
    for name, values in BAD_ARRAYS.items():
        np.save(tmp_path / name, values)
    Image.new("RGB", (1, 1)).save(tmp_path / "dot.png")
    (tmp_path / "folder.png").mkdir()
    return tmp_path


def check(outcome, folder, before, code, words):
    assert outcome.code == code
    assert outcome.stdout == ""
    assert outcome.stderr.startswith("jaxviz: ")
    assert outcome.stderr.endswith("\n")
    assert outcome.stderr.count("\n") == 1
    for word in words:
        assert word in outcome.stderr
    assert sorted(os.listdir(folder)) == before


def refused(command, folder, line, code, *words):
    before = sorted(os.listdir(folder))
    check(command(*line.split()), folder, before, code, words)


@pytest.mark.parametrize("work", ["classify", "saliency", "attack", "invert", "texture", "style cat.png"])
def test_every_command_refuses_a_missing_picture(command, files, work):
    refused(command, files, f"{work} none.png", 1, "none.png does not exist", "check the path")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("folder.png", ("folder.png has no picture", "expected files that end with .png")),
        ("text.png", ("text.png is no picture", "expected PNG, JPEG, WebP, TIFF or BMP")),
        ("empty.png", ("empty.png is no picture", "expected PNG, JPEG, WebP, TIFF or BMP")),
        ("truncated.jpg", ("truncated.jpg is damaged", "save it again or take another")),
        ("huge.png", ("20000×6000", "over the limit of 100,000,000", "--max-pixels")),
        ("huge.png --max-pixels 200000000", ("huge.png is damaged",)),
        ("cat.png --max-pixels 4095", ("64×64", "over the limit of 4,095", "--max-pixels")),
        ("text.npy", ("text.npy is no NumPy array", "numpy.save")),
        ("nan.npy", ("nan.npy holds NaN", "replace them")),
        ("bright.npy", ("bright.npy holds values in [255, 255]", "expected [0, 1]")),
        ("bytes.npy", ("bytes.npy holds uint8", "divide bytes by 255")),
        ("shape.npy", ("[8, 8, 5]", "expected [height, width, 3]")),
    ],
)
def test_bad_pictures(command, files, arguments, words):
    refused(command, files, f"classify {arguments}", 1, *words)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("nosuch", ("nosuch", "--help")),
        ("classify", ("Missing argument", "picture", "--help")),
        ("style cat.png", ("Missing argument", "styles", "--help")),
        ("classify cat.png --nosuch", ("--nosuch", "--help")),
        ("classify cat.png dot.png", ("dot.png", "--help")),
        ("classify cat.png --size", ("--size",)),
        ("classify cat.png --size 0", ("--size", "1")),
        ("classify cat.png --size many", ("--size", "integer")),
        ("classify cat.png --size 100000", ("over the limit", "take a smaller size")),
        ("classify cat.png --max-pixels 0", ("--max-pixels",)),
        ("invert cat.png --size -3", ("--size", "1")),
        ("invert cat.png --steps -1", ("--steps", "0")),
        ("invert cat.png --seed -1", ("--seed", "0")),
        ("invert cat.png --seed 99999999999999999999", ("--seed", "4294967295")),
        ("invert cat.png --tv-weight -1", ("--tv-weight", "0")),
        ("texture cat.png --size 0", ("--size", "HEIGHTxWIDTH")),
        ("texture cat.png --size 8x", ("--size", "HEIGHTxWIDTH")),
        ("texture cat.png --size 8x8x8", ("--size", "HEIGHTxWIDTH")),
        ("texture cat.png --exemplar-size 0", ("--exemplar-size", "1")),
        ("texture cat.png --steps -1", ("--steps", "0")),
        ("texture cat.png --window 0", ("--window", "1")),
        ("texture cat.png --pyramid 0", ("--pyramid", "1")),
        ("texture cat.png cat.png --shares 0.7;0.3", ("--shares is '0.7;0.3'", "0.7,0.3")),
        ("texture cat.png --strip --plot a.png", ("--plot is for one run", "--strip")),
        ("invert cat.png --row-devices 0", ("--row-devices", "1")),
        ("style cat.png cat.png --devices 2", ("--devices shares the pictures of a grid", "--row-devices")),
        ("invert cat.png --seeds 0", ("--seeds", "1")),
        ("invert cat.png --strip --seeds 2", ("--strip and --seeds are both given",)),
        ("invert cat.png --seeds 2 --plot a.png", ("--plot is for one run", "--seeds")),
        ("invert *.png --strip", ("--strip and --seeds are for one picture",)),
        ("style cat.png cat.png --style-size 0", ("--style-size", "1")),
        ("style cat.png cat.png --style-weight -1", ("--style-weight", "0")),
        ("style cat.png cat.png --content-weight much", ("--content-weight", "number")),
        ("attack cat.png --epsilon -0.1", ("--epsilon is -0.1", "[0, 1]", "8/255")),
        ("attack cat.png --epsilon nan", ("--epsilon is nan", "[0, 1]")),
        ("attack cat.png --epsilon 1.01", ("--epsilon is 1.01", "[0, 1]")),
        ("attack cat.png --epsilon 300/255", ("--epsilon is 300/255", "[0, 1]")),
        ("attack cat.png --epsilon small", ("--epsilon is 'small'", "8/255")),
        ("attack cat.png --epsilon 1/0", ("--epsilon is '1/0'", "8/255")),
        ("attack cat.png --method pdg", ("'pdg'", "pgd")),
        ("attack cat.png --method pgd --norm l3", ("'l3'", "l2")),
        ("attack cat.png --method pgd --norm l2 --epsilon -1", ("--epsilon is -1", "at least 0")),
        ("attack cat.png --method fgsm --norm l2", ("fgsm takes no norm", "pgd")),
        ("classify cat.png --out a.png", ("--out is for many pictures", "--json FILE")),
        ("saliency cat.png --method smooth", ("'smooth'", "nearest: smoothgrad")),
        ("saliency cat.png --out a.gif", ("a.gif cannot be written as", ".png", ".npz")),
        ("attack cat.png --out attacked", ("attacked cannot be written as", ".png")),
        ("invert cat.png --plot loss.pdf", ("loss.pdf cannot be written as", ".png")),
        ("networks vgg", ("no network is named 'vgg'", "vgg16", "vgg19")),
        ("demo --steps -1 --out folder.png", ("--steps", "0")),
    ],
)
def test_bad_arguments_that_need_no_network(command, files, line, words, monkeypatch):
    monkeypatch.setattr(jaxviz, "load", None)
    refused(command, files, line, 2, *words)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("saliency cat.png --out none/a.png", ("none/a.png cannot be written", "choose another path")),
        ("saliency cat.png --out folder.png", ("folder.png cannot be written (it is a directory",)),
        ("saliency cat.png --json none/a.json", ("none/a.json cannot be written",)),
        ("classify cat.png --json folder.png", ("folder.png cannot be written",)),
        ("attack cat.png --json cat.png/a.json", ("cat.png/a.json cannot be written",)),
        ("invert cat.png --json none/a.json", ("none/a.json cannot be written",)),
        ("texture cat.png --json none/a.json", ("none/a.json cannot be written",)),
        ("style cat.png cat.png --json none/a.json", ("none/a.json cannot be written",)),
        ("style cat.png cat.png --plot none/a.png", ("none/a.png cannot be written",)),
        ("demo --out folder.png --json none/a.json", ("none/a.json cannot be written",)),
        ("demo --out cat.png", ("cat.png cannot be written", "choose another path")),
        ("style cat.png cat.png --init nois", ("nois does not exist",)),
        ("style cat.png text.png", ("text.png is no picture",)),
        ("networks --json none/a.json", ("none/a.json cannot be written",)),
    ],
)
def test_unwritable_and_unreadable_files_fail_before_the_work(command, files, line, words, monkeypatch):
    monkeypatch.setattr(jaxviz, "load", None)
    refused(command, files, line, 1, *words)


def test_second_file_of_an_attack_is_checked_before_the_work(command, files, monkeypatch):
    monkeypatch.setattr(jaxviz, "load", None)
    (files / "a-difference.png").mkdir()
    refused(command, files, "attack cat.png --out a.png", 1, "a-difference.png cannot be written")


NO_CLASSIFIER = ("vgg16 has no classifier", "squeezenet1_1")
ALL_ZERO = ("all layer weights are zero", "give one above zero")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("classify cat.png --network squeezenet", ("'squeezenet'", "nearest: squeezenet1_1")),
        ("classify cat.png --network vgg16", NO_CLASSIFIER),
        ("saliency cat.png --network vgg16 --label 3", NO_CLASSIFIER),
        ("attack cat.png --network vgg16 --label 3", NO_CLASSIFIER),
        ("saliency cat.png --label 1000", ("--label is 1000", "0 to 999")),
        ("saliency cat.png --label -1", ("--label is -1", "0 to 999")),
        ("saliency cat.png --label ²", ("--label is '²', which is no class",)),
        ("saliency cat.png --label tench1", ("'tench1', which is no class", "nearest: tench")),
        ("attack cat.png --method pgd --epsilon 2", ("epsilon is 2", "[0, 1]")),
        ("attack cat.png --label 3 --target 3", ("target is 3, the class to leave",)),
        ("attack cat.png --label persian", ("'persian'", "Persian cat")),
        ("attack cat.png --label crane", ("--label 'crane'", "several classes", "[134, 517]")),
        ("attack cat.png --target 1000", ("--target is 1000", "0 to 999")),
        ("invert cat.png --layer relu1_1 --row-devices 4096", ("devices is 4096", "there")),
        (
            "style cat.png cat.png --network squeezenet1_1",
            ("has no relu4_2", "usual layers are VGG's", "fire2"),
        ),
        ("invert cat.png --layer relu3_9", ("'relu3_9'", "nearest:", "relu3_3")),
        ("invert cat.png --preset papers", ("'papers'", "nearest: paper")),
        ("invert cat.png --optimizer adamw", ("'adamw'", "nearest: adam")),
        ("invert cat.png --pooling mean", ("'mean'", "nearest: max")),
        ("invert cat.png --tv-weight nan", ("--tv-weight",)),
        ("texture cat.png --layer pool9", ("'pool9'", "nearest:", "pool5")),
        ("texture cat.png --layer relu1_1=much", ("'relu1_1=much'", "NAME=WEIGHT")),
        ("texture cat.png --layer relu1_1=-1", ("relu1_1", "-1")),
        ("texture cat.png --layer relu1_1=nan", ("relu1_1", "nan")),
        ("texture cat.png --layer relu1_1=0 --layer pool1=0", ALL_ZERO),
        ("texture cat.png cat.png --shares 1", ("there are 1 shares for 2 exemplar",)),
        ("texture cat.png --shares 0", ("all shares are zero",)),
        ("texture cat.png --up-to pool9", ("'pool9'", "nearest:", "pool5")),
        ("texture cat.png --up-to relu3_1", ("up_to is 'relu3_1'", "relu1_1, pool1")),
        ("texture cat.png --exemplar-size 8", ("'pool4'", "8×8", "take a larger one")),
        (
            "texture cat.png --exemplar-size 40 --tileable --up-to pool4 --window 9",
            ("leave window or tileable",),
        ),
        ("invert cat.png --layer fc6", ("vgg16 has no classifier, so no fc6", "vgg16_classifier")),
        ("invert cat.png --strip --layer relu1_1 --layer relu9", ("'relu9'", "nearest")),
        ("invert cat.png --layer relu1_1=0", ALL_ZERO),
        ("texture cat.png --style-loss grams", ("'grams'", "nearest: gram")),
        ("style cat.png cat.png --content-weight 0 --style-weight 0", ("both zero", "above zero")),
        ("style cat.png cat.png --style-layer relu1_1=0", ALL_ZERO),
        ("style cat.png cat.png --content-layer relu1_1=0", ALL_ZERO),
        ("style cat.png cat.png --style-weight nan", ("--style-weight",)),
        ("style cat.png cat.png --style-loss mean", ("'mean'", "nearest: moments")),
    ],
)
def test_bad_arguments(command, files, line, words):
    refused(command, files, f"{line} --size 48", 2, *words)


def test_a_tileable_size_that_does_not_fit_is_refused_with_one_that_does(command, files):
    refused(command, files, "texture cat.png --tileable --size 40x50", 2, "size is 40×50", "such as 48×64")


TOO_SMALL = "does not exist for a picture of 1×1; take a larger one"


@pytest.mark.parametrize(
    "line", ["classify cat.png", "saliency dot.png", "invert cat.png", "texture dot.png"]
)
def test_picture_too_small_for_the_network(command, files, line):
    exemplar = " --exemplar-size 1" if line.startswith("texture") else ""
    refused(command, files, f"{line} --size 1{exemplar}", 2, TOO_SMALL)


def test_one_pixel_is_enlarged_for_a_classifier(command, files):
    outcome = command("classify", "dot.png", "--size", 64)
    assert (outcome.code, outcome.stderr) == (0, "dot.png is 1×1 pixels, enlarged to 64×64\n")


def test_library_tells_that_a_picture_is_too_small(squeezenet, vgg16):
    dot = np.zeros((1, 1, 3), np.float32)
    for network, layer in ((squeezenet, "logits"), (vgg16, "pool1")):
        with pytest.raises(ValueError, match="does not exist for a picture of 1×1; take a larger one"):
            network.features(dot, [layer])
    for call in (jaxviz.saliency.gradient, jaxviz.attacks.fgsm):
        with pytest.raises(KeyError, match="no tap of a picture of this size is named 'logits'"):
            call(squeezenet, dot, 3)


def test_bad_weight_files(command, files):
    whole = (store.folder() / "squeezenet1_1.safetensors").read_bytes()
    (files / "half.safetensors").write_bytes(whole[: len(whole) // 2])
    (files / "text.safetensors").write_bytes(b"no weights")
    vgg16 = store.folder() / "vgg16.safetensors"
    for path, word in (
        ("half.safetensors", "expected"),
        ("text.safetensors", "expected a weight file"),
        ("none.safetensors", "found none"),
        (vgg16, "the weights are not this network's"),
    ):
        refused(command, files, f"classify cat.png --size 48 --weights {path}", 1, str(path), word)
    refused(
        command, files, "classify cat.png --network vgg19_classifier", 1, "vgg19_classifier", "weights=FILE"
    )


def test_weights_that_are_not_finite(command, files, vgg16):
    params = jax.tree.map(lambda leaf: np.full(leaf.shape, np.inf, np.float16), vgg16.params)
    store.write(files / "infinite", params, "vgg16", CAFFE)
    refused(command, files, "invert cat.png --weights infinite", 1, "infinite: expected finite weights")


def test_result_that_is_not_finite(command, files, vgg16):
    params = jax.tree.map(lambda leaf: np.full(leaf.shape, 1e38, np.float32), vgg16.params)
    store.write(files / "large", params, "vgg16", CAFFE)
    line = "invert cat.png --size 32 --steps 3 --layer relu1_1 --weights large"
    refused(command, files, line, 1, "the loss became NaN or infinite", "other weights")
    with pytest.raises(Failure, match="scores are NaN or infinite; take other weights"):
        best_classes(vgg16, np.array([1.0, np.nan]))


def test_unexpected_errors_are_one_line_too(command, files, monkeypatch):
    for error, words in (
        (RuntimeError("two\nlines"), ("RuntimeError: two lines", "--debug")),
        (MemoryError(), ("out of memory", "--size")),
        (RuntimeError("RESOURCE_EXHAUSTED: 9 GB"), ("out of memory", "--size")),
        (ImportError("install it"), ("install it",)),
    ):
        monkeypatch.setattr(jaxviz, "load", lambda *_, error=error, **__: (_ for _ in ()).throw(error))
        refused(command, files, "classify cat.png", 1, *words)
    shown = command("classify", "cat.png", "--debug").stderr
    assert shown.startswith("Traceback")
    assert shown.endswith("jaxviz: install it\n")


def test_demo_without_sample_pictures_leaves_nothing(command, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.data", None)
    outcome = command("demo", "--out", "new")
    assert (outcome.code, outcome.stdout) == (1, "")
    assert outcome.stderr.endswith("pip install scikit-image\n")
    assert not (tmp_path / "new").exists()
