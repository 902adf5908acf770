import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
from loopback import File, drawn, running, torch_file
from safetensors.numpy import load_file, save_file

from jaxviz.checkpoints import naming, store
from jaxviz.checkpoints.fetching import sources, transfer
from jaxviz.checkpoints.formats import open_file
from jaxviz.networks import NETWORKS

NAME = "squeezenet1_0"


@pytest.fixture(scope="module")
def small():
    return drawn(NAME, naming.torchvision)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXVIZ_WEIGHTS", str(tmp_path / "kept"))
    monkeypatch.setattr(transfer, "PAUSE", 0.001)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "kept"


@pytest.fixture
def file(tmp_path, small):
    """What torch.save would write, under torchvision's name."""
    content = torch_file(small)
    path = tmp_path / f"{NAME}-{File(content).sha256[:8]}.pth"
    path.write_bytes(content)
    return path


@pytest.fixture
def mirror(file, monkeypatch):
    with running() as server:
        server.mirror[f"/{file.name}"] = File(file.read_bytes())
        source = dataclasses.replace(sources.SOURCES[NAME], mirror=f"{server.url}/{file.name}")
        monkeypatch.setitem(sources.SOURCES, NAME, source)
        yield server


def test_list_tells_of_every_network(command, folder):
    outcome = command("weights", "list")
    assert outcome.code == 0
    assert outcome.stderr == f"fetched files lie in {folder}\n"
    rows = {line.split()[0]: line.split() for line in outcome.stdout.splitlines()[1:]}
    assert set(rows) == set(NETWORKS)
    assert rows["vgg16"][1:] == ["shipped", "29.4", "float16", "-", "CC-BY-4.0", "timm/vgg16.tv_in1k"]
    assert rows["alexnet"][1:] == [
        "to",
        "fetch",
        "244.4",
        "-",
        "1000",
        "BSD-3-Clause",
        "download.pytorch.org",
    ]
    found = json.loads(command("weights", "list", "--json", "-").stdout)
    assert found["folder"] == str(folder)
    assert found["networks"]["vgg16"]["state"] == "shipped"
    assert found["networks"]["vgg19"]["mirror"] == "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"
    assert command("weights", "list", "--quiet").stderr == ""


def test_fetch_list_verify(command, mirror, folder, file):
    outcome = command("weights", "fetch", NAME)
    assert (outcome.code, outcome.stderr) == (0, "")
    lines = outcome.stdout.splitlines()
    size = file.stat().st_size / 1e6
    assert lines[0].startswith(f"{NAME}: fetched {size:.1f} MB; ")
    assert lines[1] == f"  from {mirror.url}/{file.name}"
    assert lines[2] == f"  checked: sha256 of the whole file begins as its name ends, {file.stem[-8:]}"
    assert lines[3].startswith("  checked: activations finite")
    again = command("weights", "fetch", NAME, "--json", "-")
    assert len([1 for method, *_ in mirror.asked if method == "GET"]) == 1
    record = json.loads(again.stdout)
    assert record["record"]["file"] == record["file"].rpartition("/")[2]
    assert "was there already" in command("weights", "fetch", NAME).stdout
    listed = json.loads(command("weights", "list", "--json", "-").stdout)["networks"][NAME]
    assert (listed["state"], listed["file"]) == ("fetched", record["file"])

    outcome = command("weights", "verify", "--json", "a.json")
    assert outcome.code == 0
    assert outcome.stdout.count(": sha256 as recorded: right\n") == 3
    (folder / record["record"]["file"]).write_bytes(b"damaged")
    outcome = command("weights", "verify", "--quiet")
    assert (outcome.code, outcome.stderr) == (1, "jaxviz: 1 of 3 files is not as it should be\n")
    assert outcome.stdout.count("\n") == 1
    assert "WRONG: expected" in outcome.stdout
    found = command("weights", "verify", record["file"], "--json", "-")
    assert found.code == 1
    assert json.loads(found.stdout)["files"][0]["network"] == NAME


def test_fetch_of_what_is_unknown_or_shipped(command):
    outcome = command("weights", "fetch", "squeezenet1_2")
    assert outcome.code == 2
    assert "squeezenet1_1" in outcome.stderr
    outcome = command("weights", "fetch", "vgg16")
    assert (outcome.code, outcome.stdout) == (1, "")
    assert outcome.stderr.startswith("jaxviz: vgg16: the weights are shipped")


def test_fetch_that_fails_says_so_in_one_line(command, mirror):
    mirror.statuses = [503] * 4
    outcome = command("weights", "fetch", NAME)
    assert (outcome.code, outcome.stdout) == (1, "")
    assert outcome.stderr.count("\n") == 1
    assert f"jaxviz weights convert {NAME}" in outcome.stderr


def test_interrupted_fetch_is_continued(command, mirror, monkeypatch, file):
    from rich.progress import Progress

    def interrupted(*arguments, completed=0, **options):
        if completed > 1_000_000:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "update", interrupted)
        outcome = command("weights", "fetch", NAME)
    assert outcome.code == 130
    assert outcome.stderr == (
        "jaxviz: interrupted; what was received is kept, and the next fetch continues it\n"
    )
    assert command("weights", "fetch", NAME).code == 0
    assert "Range" in [headers for method, _, headers in mirror.asked if method == "GET"][-1]


def test_convert_writes_ours_and_says_what_it_was(command, file, small, tmp_path):
    outcome = command("weights", "convert", file, "--network", NAME, "--out", "a.safetensors")
    assert (outcome.code, outcome.stderr) == (0, "")
    for part in ("pytorch with names of torchvision", "kernels OIHW", "float32", "yes, 1000 classes"):
        assert part in outcome.stdout
    written = load_file(tmp_path / "a.safetensors")
    kernel = small["features.0.weight"].transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(written["conv1/kernel"], kernel)
    said = open_file(tmp_path / "a.safetensors").metadata
    assert said["network"] == NAME
    assert said["source_file"] == file.name
    assert said["source_sha256"] == store.sha256(file)
    assert (said["source_layout"], said["batch_norm"]) == ("OIHW", "none")
    assert json.loads(said["preprocessing"])["channels"] == "RGB"
    assert command("weights", "verify", "a.safetensors").stdout == (
        "a.safetensors: names, shapes, finite numbers, crc32 of every array: right\n"
    )


@pytest.mark.parametrize(
    ("option", "types"),
    [
        (None, {"F32", "F16"}),
        ("float32", {"F32"}),
        ("float16", {"F16"}),
        ("as-is", {"F64", "F32", "F16"}),
    ],
)
def test_types_of_numbers(option, types, command, tmp_path):
    tensors = load_file(store.folder() / "squeezenet1_1.safetensors")
    tensors["conv1/kernel"] = tensors["conv1/kernel"].astype(np.float64)
    tensors["conv1/bias"] = tensors["conv1/bias"].astype(np.float16)
    np.savez(tmp_path / "a.npz", **tensors)
    options = () if option is None else ("--dtype", option)
    arguments = ("a.npz", "--network", "squeezenet1_1", "--out", "b.safetensors", *options)
    outcome = command("weights", "convert", *arguments, "--json", "-")
    assert (outcome.code, outcome.stderr) == (0, "")
    header = (tmp_path / "b.safetensors").read_bytes()
    entries = json.loads(header[8 : 8 + int.from_bytes(header[:8], "little")])
    entries.pop("__metadata__")
    assert {entry["dtype"] for entry in entries.values()} == types
    assert json.loads(outcome.stdout)["origin"]["source_format"] == "npz"


def test_numbers_that_float16_cannot_hold_are_refused(command, tmp_path):
    tensors = load_file(store.folder() / "squeezenet1_1.safetensors")
    tensors["conv1/bias"] = tensors["conv1/bias"] * 0 + np.float32(1e6)
    np.savez(tmp_path / "a.npz", **tensors)
    arguments = ("a.npz", "--network", "squeezenet1_1", "--out", "b.safetensors", "--dtype", "float16")
    outcome = command("weights", "convert", *arguments)
    assert outcome.code == 1
    assert "a.npz: expected numbers within float16, found larger ones in conv1/bias" in outcome.stderr
    assert not (tmp_path / "b.safetensors").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--network", "vgg16", "--out", "a.safetensors"), 1, "not this network's"),
        (("--network", "vgg61", "--out", "a.safetensors"), 2, "vgg16"),
        (("--network", NAME, "--out", "a.pth"), 2, "ends with .safetensors"),
        (("--network", NAME, "--out", "none/a.safetensors"), 1, "cannot be written"),
        (("--network", NAME, "--out", "a.safetensors", "--dtype", "int8"), 2, "float16"),
    ],
)
def test_bad_usage_of_convert(arguments, code, said, command, file, tmp_path):
    before = sorted(tmp_path.iterdir())
    outcome = command("weights", "convert", file, *arguments)
    assert (outcome.code, outcome.stdout) == (code, "")
    assert said in outcome.stderr
    assert sorted(tmp_path.iterdir()) == before


def test_verify_says_what_it_can_of_other_files(command, file, tmp_path, small):
    outcome = command("weights", "verify", file)
    assert (outcome.code, outcome.stdout) == (
        0,
        f"{file}: sha256 begins as the file's name ends: right\n",
    )
    save_file(small, tmp_path / "other.safetensors")
    found = command("weights", "verify", "other.safetensors").stdout
    assert f"finite numbers in 52 arrays, names and shapes of {NAME}: right" in found
    save_file({"a": np.ones(1, np.float32)}, tmp_path / "strange.safetensors")
    found = command("weights", "verify", "strange.safetensors").stdout
    assert "finite numbers in 1 arrays, of no network that is known here: right" in found
    save_file({"a": np.array([np.nan], np.float32)}, tmp_path / "nan.safetensors")
    assert command("weights", "verify", "nan.safetensors").code == 1
    file.rename(tmp_path / "some-00000000.pth")
    assert "WRONG: expected 00000000…" in command("weights", "verify", "some-00000000.pth").stdout
    assert command("weights", "verify", "none").code == 1
    assert command("weights", "verify", store.folder() / "vgg16.safetensors").stdout.endswith(
        "sha256 as recorded: right\n"
    )


def test_file_put_there_by_hand_is_listed_and_verified(command, file, folder):
    folder.mkdir()
    out = folder / f"{NAME}.safetensors"
    command("weights", "convert", file, "--network", NAME, "--out", out)
    assert (
        json.loads(command("weights", "list", "--json", "-").stdout)["networks"][NAME]["state"] == "converted"
    )
    assert (
        f"{out}: names, shapes, finite numbers, crc32 of every array: right"
        in command("weights", "verify").stdout
    )
    content = bytearray(out.read_bytes())
    content[-8] ^= 1
    out.write_bytes(content)
    outcome = command("weights", "verify")
    assert outcome.code == 1
    assert "checksum" in outcome.stdout


def test_help_needs_nothing_that_fetches():
    heavy = ("huggingface_hub", "jaxviz.checkpoints.fetching", "httpx", "httpx2", "h5py", "onnx")
    program = f"import sys, jaxviz.cli; print([name for name in {heavy} if name in sys.modules])"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert printed.stdout == "[]\n"
