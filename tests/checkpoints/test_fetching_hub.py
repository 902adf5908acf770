"""Fetching from a server that plays the Hugging Face hub: parts of files, commits, hashes, tokens."""

import dataclasses

import numpy as np
import pytest
from loopback import (
    File,
    check_same,
    drawn,
    left,
    on_mirror,
    point_at,
    running,
    safetensors_file,
    safetensors_start,
    torch_file,
)

import jaxviz
from jaxviz import WeightsError
from jaxviz.checkpoints import fetched, fetching, naming
from jaxviz.checkpoints.fetching import hub
from jaxviz.checkpoints.fetching.sources import SOURCES, Hub

pytest.importorskip("huggingface_hub")

NAME = "squeezenet1_0"
REPO = "timm/vgg11.tv_in1k"
FIRST, SECOND = "a" * 40, "b" * 40


@pytest.fixture(scope="module")
def small():
    """The weights of SqueezeNet 1.0 with torchvision's names."""
    return drawn(NAME, naming.torchvision)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A file like timm's of VGG-11, 531 MB with the head, of which nothing is written."""
    convolutions = drawn("vgg11", naming.timm)
    head = {
        "head.fc.bias": (1000,),
        "head.fc.weight": (1000, 4096),
        "pre_logits.fc1.bias": (4096,),
        "pre_logits.fc1.weight": (4096, 512, 7, 7),
        "pre_logits.fc2.bias": (4096,),
        "pre_logits.fc2.weight": (4096, 4096, 1, 1),
    }
    shapes = {name: value.shape for name, value in convolutions.items()} | head
    start, places = safetensors_start(dict(sorted(shapes.items())))
    path = tmp_path_factory.mktemp("hub") / "model.safetensors"
    with path.open("wb") as file:
        file.write(start)
        for name, value in convolutions.items():
            file.seek(places[name])
            file.write(value.tobytes())
        file.truncate(places["pre_logits.fc2.weight"] + 4 * 4096 * 4096)
    return convolutions, File(path, sha256="1" * 64)


@pytest.fixture
def server():
    with running() as server:
        yield server


@pytest.fixture
def folder(tmp_path, monkeypatch, server):
    return point_at(server, tmp_path / "weights", monkeypatch)


@pytest.fixture
def on_hub(server, folder, large):
    """VGG-11 on the hub."""
    server.hub[REPO, FIRST], server.commits[REPO] = large[1], FIRST
    return large[1]


def test_hub_that_is_away_names_the_mirror(folder, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(
        WeightsError, match=r"--mirror takes it .* bring https://download.pytorch.org/models/vgg11-"
    ):
        fetching.fetch("vgg11")


def test_without_classifier_only_the_convolutions_travel(on_hub, folder, server, large):
    path = fetching.fetch("vgg11")
    data = 4 * 9_220_480
    assert data < server.sent < data + 4096
    assert on_hub.size > 531_000_000
    record = fetched.record("vgg11")
    assert record["source"]["revision"] == FIRST
    assert record["source"]["received"] == server.sent
    assert record["checks"][0] == "names and shapes before any data travelled"
    assert FIRST[:12] in record["checks"][1]
    assert record["checks"][2] == "activations finite and of sane size at 21 taps"
    assert record["origin"]["head"] == "no"
    network = jaxviz.load("vgg11")
    assert network.classes is None
    kernel = large[0]["features.3.weight"].transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(network.params["conv2_1"]["kernel"], kernel)
    assert left(folder) == sorted([path.name, "vgg11.json"])
    # Header and its length, then one span: the convolutions are neighbours.
    assert [h["Range"].split("-")[0] for h in server.data_requests][:2] == ["bytes=0", "bytes=8"]
    assert len(server.data_requests) == 3


def test_part_that_broke_off_is_continued(on_hub, folder, server):
    server.cuts, server.statuses = [None, None, 20_000_000], [None, None, None, 503, 503, 503, 503]
    with pytest.raises(WeightsError, match="next fetch continues what was received"):
        fetching.fetch("vgg11")
    server.statuses = []
    fetching.fetch("vgg11")
    assert server.sent < 4 * 9_220_480 + 2 * 4096


def test_later_fetches_are_held_to_commit_and_hash_of_the_first(on_hub, folder, server, large):
    fetching.fetch("vgg11")
    server.commits[REPO] = SECOND
    fetching.fetch("vgg11", force=True)
    assert fetched.record("vgg11")["source"]["revision"] == FIRST
    before = fetched.record("vgg11")
    content = bytearray(on_hub.part(0, 40_000_000))
    content[30_000_000] ^= 1
    changed = folder / "changed.safetensors"
    changed.write_bytes(content)
    with changed.open("r+b") as file:
        file.truncate(on_hub.size)
    server.hub[REPO, FIRST] = File(changed, sha256="2" * 64)
    with pytest.raises(WeightsError, match=r"expected sha256_of_part .* as at the first fetch"):
        fetching.fetch("vgg11", force=True)
    assert fetched.record("vgg11") == before
    jaxviz.load("vgg11")


def test_wrong_shapes_are_known_before_any_data_travel(folder, server, large):
    shapes = {name: value.shape for name, value in large[0].items()} | {"features.0.weight": (64, 3, 5, 5)}
    content = safetensors_file({name: np.zeros(shape, np.float32) for name, shape in shapes.items()})
    server.hub[REPO, FIRST], server.commits[REPO] = File(content), FIRST
    with pytest.raises(WeightsError, match=r"features\.0\.weight \[64, 3, 3, 3\]"):
        fetching.fetch("vgg11")
    assert server.sent < 4096


@pytest.mark.parametrize(
    "start",
    [
        (2**40).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        (9).to_bytes(8, "little") + b'{"a":{}}}',
        (8).to_bytes(8, "little") + b'{"a":{}}',
        (8).to_bytes(8, "little") + b"\xff" * 8,
    ],
)
def test_damaged_headers_are_refused(start, folder, server):
    server.hub[REPO, FIRST], server.commits[REPO] = File(start + bytes(100)), FIRST
    with pytest.raises(WeightsError, match="safetensors header"):
        fetching.fetch("vgg11")


def test_server_without_ranges_sends_the_whole_file(folder, server, large):
    # A head of two numbers: its shapes do not matter where it is not asked for.
    tensors = large[0] | {"head.fc.bias": np.zeros(2, np.float32)}
    file = File(safetensors_file(tensors))
    server.hub[REPO, FIRST], server.commits[REPO], server.ranges = file, FIRST, False
    fetching.fetch("vgg11")
    record = fetched.record("vgg11")
    assert record["source"]["sha256"] == file.sha256
    assert "sha256 of the whole file as the hub says" in record["checks"]
    assert any("sends no parts" in check for check in record["checks"])


def test_whole_file_of_the_hub_is_held_to_its_hash(folder, server, small, monkeypatch):
    # HF_TOKEN of the environment, which is read anew at each request.
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setitem(SOURCES, NAME, dataclasses.replace(SOURCES[NAME], hub=Hub("timm/some")))
    file = File(safetensors_file(small))
    server.hub["timm/some", FIRST], server.commits["timm/some"] = file, FIRST
    content, file.content = file.content, file.content[:-1] + b"\x77"
    with pytest.raises(WeightsError, match=f"expected sha256 {file.sha256}, found") as caught:
        fetching.fetch(NAME)
    assert "signature" not in str(caught.value)
    assert left(folder) == []
    file.content, server.cuts = content, [3_000_000]
    server.sent = 0
    fetching.fetch(NAME)
    assert server.sent == file.size
    assert fetched.record(NAME)["checks"][0] == "sha256 of the whole file as the hub says"
    check_same(jaxviz.load(NAME), small)
    tokens = {
        (path.split("/")[1], {name.lower(): value for name, value in headers.items()}.get("authorization"))
        for _, path, headers in server.asked
    }
    assert tokens == {("timm", "Bearer hf_secret"), ("cdn", None)}


def test_file_without_a_hash_is_said_to_have_none(folder, server, small, monkeypatch):
    monkeypatch.setitem(SOURCES, NAME, dataclasses.replace(SOURCES[NAME], hub=Hub("timm/some")))
    file = File(safetensors_file(small), sha256="0" * 40)
    server.hub["timm/some", FIRST], server.commits["timm/some"] = file, FIRST
    fetching.fetch(NAME)
    assert fetched.record(NAME)["checks"][0] == "no hash from the hub"
    file.content, file.etag = file.content[:-4] + bytes(4), '"another"'
    with pytest.raises(WeightsError, match=r"expected sha256 .* as at the first fetch"):
        fetching.fetch(NAME, force=True)


def test_without_the_hubs_library_the_mirror_is_taken(folder, server, small, monkeypatch):
    on_mirror(server, NAME, torch_file(small), monkeypatch)
    monkeypatch.setitem(SOURCES, NAME, dataclasses.replace(SOURCES[NAME], hub=Hub("timm/none")))
    with pytest.raises(WeightsError, match="HTTP status 404"):
        fetching.fetch(NAME)
    monkeypatch.setattr(hub, "installed", lambda: False)
    fetching.fetch(NAME)
    assert fetched.record(NAME)["source"]["url"] == SOURCES[NAME].mirror
