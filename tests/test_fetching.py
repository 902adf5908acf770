"""Fetching against a server on this machine: what arrives, what is checked, and what happens when it does not."""

import dataclasses
import errno
import json
import shutil
import socket
import threading

import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from loopback import File, drawn, running, safetensors_file, safetensors_start, torch_file

import jaxviz
from jaxviz import WeightsError
from jaxviz.networks import (
    NETWORKS,
    checkpoints,
    fetched,
    fetching,
    hub,
    naming,
    sources,
    transfer,
    verifying,
)
from jaxviz.networks.network import parameter_shapes
from jaxviz.networks.sources import SOURCES, Hub

NAME = "squeezenet1_0"
REPO = "timm/vgg11.tv_in1k"
FIRST, SECOND = "a" * 40, "b" * 40


@pytest.fixture(scope="module")
def small():
    """The weights of SqueezeNet 1.0 with torchvision's names, and the file that PyTorch would write of them."""
    tensors = drawn(NAME, naming.torchvision)
    return tensors, torch_file(tensors)


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
    """The folder of fetched weights; the hub is the server, and nobody waits between attempts."""
    monkeypatch.setenv("JAXVIZ_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    for name in ("HF_TOKEN", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(transfer, "PAUSE", 0.001)
    monkeypatch.setattr(transfer, "TIMEOUT", 5.0)
    return tmp_path / "weights"


@pytest.fixture
def mirror(server, folder, small, monkeypatch):
    """The mirror's file of SqueezeNet, whose name says its hash."""
    file = File(small[1])
    path = f"/models/{NAME}-{file.sha256[:8]}.pth"
    server.mirror[path] = file
    monkeypatch.setitem(SOURCES, NAME, dataclasses.replace(SOURCES[NAME], mirror=server.url + path))
    return file


@pytest.fixture
def on_hub(server, folder, large):
    """VGG-11 on the hub."""
    server.hub[REPO, FIRST], server.commits[REPO] = large[1], FIRST
    return large[1]


def left(folder):
    """What there is in the folder, but for the locks."""
    return sorted(p.name for p in folder.rglob("*") if p.is_file() and p.suffix != ".lock")


def check_small(network, small):
    params = flatten_dict(network.params, sep="/")
    for ours, theirs in naming.torchvision(NETWORKS[NAME].architecture).items():
        kernel = small[0][f"{theirs}.weight"].transpose(2, 3, 1, 0)
        np.testing.assert_array_equal(params[f"{ours}/kernel"], kernel)
        np.testing.assert_array_equal(params[f"{ours}/bias"], small[0][f"{theirs}.bias"])


def test_mirror_is_fetched_once_and_loaded(mirror, folder, server, small):
    with pytest.raises(WeightsError, match=f"`jaxviz weights fetch {NAME}` gets the published"):
        jaxviz.load(NAME)
    told = []
    path = fetching.fetch(NAME, on_progress=lambda *numbers: told.append(numbers))
    assert told[-1] == (mirror.size, mirror.size)
    assert server.sent == mirror.size
    record = fetched.record(NAME)
    assert left(folder) == sorted([path.name, f"{NAME}.json"])
    assert record["sha256"] == checkpoints.sha256(path)
    assert record["source"]["sha256"] == mirror.sha256
    assert record["source"]["etag"] == mirror.etag
    assert record["license"] == "BSD-3-Clause"
    assert [c.split(",")[0] for c in record["checks"]] == [
        "sha256 of the whole file begins as its name ends",
        "activations finite and of sane size at 64 taps",
    ]
    assert record["checks"][1].endswith("class scores not constant")
    assert record["origin"]["source_names"] == "torchvision"
    network = jaxviz.load(NAME)
    check_small(network, small)
    assert network.preprocessing.channels == "RGB"
    assert network.labels[285] == "Egyptian cat"
    assert fetching.fetch(NAME) == path
    assert server.sent == mirror.size
    assert fetching.fetch(NAME, force=True).is_file()
    assert server.sent == 2 * mirror.size
    assert len(left(folder)) == 2


def test_damaged_fetched_file_is_refused_and_fetched_anew(mirror, folder, small):
    path = fetching.fetch(NAME)
    content = bytearray(path.read_bytes())
    content[-1000] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="expected sha256"):
        jaxviz.load(NAME)
    verdicts = {v.network: v for v in verifying.verify_all()}
    assert verdicts[NAME].problem
    assert not verdicts["vgg16"].problem
    fetching.fetch(NAME)
    check_small(jaxviz.load(NAME), small)


def test_damaged_record_is_refused_and_replaced(mirror, folder):
    fetching.fetch(NAME)
    for text in ("{", "{}", '{"file": "../x", "sha256": "0"}', "[1]"):
        fetched.record_path(NAME).write_text(text)
        with pytest.raises(WeightsError, match=f"fetch {NAME} --force"):
            jaxviz.load(NAME)
        assert [v.check for v in verifying.verify_all() if v.problem] == ["the record"]
    fetching.fetch(NAME)
    jaxviz.load(NAME)


def test_file_with_another_hash_is_removed(mirror, folder, server):
    content = bytearray(mirror.content)
    content[len(content) // 2] ^= 1
    mirror.content = bytes(content)
    found = File(mirror.content).sha256
    with pytest.raises(WeightsError, match=f"expected sha256 {mirror.sha256[:8]}…, found {found}"):
        fetching.fetch(NAME)
    assert left(folder) == []


def test_broken_connection_is_continued_at_once(mirror, folder, server, small):
    server.cuts = [1_000_000, 2_000_000]
    fetching.fetch(NAME)
    assert server.sent == mirror.size
    asked = [(h.get("Range"), h.get("If-Range")) for h in server.data_requests]
    assert asked == [(None, None), ("bytes=1000000-", mirror.etag), ("bytes=3000000-", mirror.etag)]
    check_small(jaxviz.load(NAME), small)


def test_busy_server_is_asked_again(mirror, folder, server):
    server.statuses = [503, 429, 500]
    fetching.fetch(NAME)
    assert server.sent == mirror.size


def test_missing_file_is_not_asked_for_again(mirror, folder, server):
    server.mirror.clear()
    with pytest.raises(WeightsError, match="HTTP status 404"):
        fetching.fetch(NAME)
    assert len(server.asked) == 1


def test_next_fetch_continues_a_broken_one(mirror, folder, server, small):
    server.cuts, server.statuses = [1_500_000], [None, 503, 503, 503, 503]
    with pytest.raises(WeightsError, match="next fetch continues it"):
        fetching.fetch(NAME)
    assert fetched.find(NAME) is None
    server.statuses = []
    fetching.fetch(NAME)
    assert server.sent == mirror.size
    check_small(jaxviz.load(NAME), small)


def test_interrupt_leaves_what_the_next_fetch_continues(mirror, folder, server):
    def interrupting(done, total):
        if done > 1_000_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetching.fetch(NAME, on_progress=interrupting)
    assert left(folder) == [f"{NAME}.json", f"{NAME}.part"]
    assert fetched.find(NAME) is None
    have = (folder / "partial" / f"{NAME}.part").stat().st_size
    assert have > 1_000_000
    fetching.fetch(NAME)
    assert server.data_requests[-1]["Range"] == f"bytes={have}-"


@pytest.mark.parametrize("change", ["no ranges", "another file"])
def test_broken_fetch_begins_anew_where_it_cannot_be_continued(change, mirror, folder, server, small):
    server.cuts, server.statuses = [1_500_000], [None, 503, 503, 503, 503]
    with pytest.raises(WeightsError):
        fetching.fetch(NAME)
    server.statuses, server.sent = [], 0
    if change == "no ranges":
        server.ranges = False
    else:
        mirror.etag = '"another"'
    fetching.fetch(NAME)
    assert server.sent == mirror.size
    check_small(jaxviz.load(NAME), small)


def test_silent_server_is_asked_again(mirror, folder, server, monkeypatch):
    monkeypatch.setattr(transfer, "TIMEOUT", 0.2)
    server.pauses = [1.0]
    fetching.fetch(NAME)
    assert len(server.data_requests) == 2


def test_offline_says_what_to_do_by_hand(folder, monkeypatch, small, tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/models/squeezenet.pth"
    monkeypatch.setitem(SOURCES, NAME, dataclasses.replace(SOURCES[NAME], mirror=url))
    by_hand = folder / f"{NAME}.safetensors"
    command = f"jaxviz weights convert squeezenet.pth --network {NAME} --out {by_hand}"
    with pytest.raises(WeightsError) as caught:
        fetching.fetch(NAME)
    assert command in str(caught.value)
    assert "refused" in str(caught.value)
    (tmp_path / "squeezenet.pth").write_bytes(small[1])
    fetching.rewrite(tmp_path / "squeezenet.pth", NAME, by_hand)
    check_small(jaxviz.load(NAME), small)


def test_hub_that_is_away_names_the_mirror(folder, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(
        WeightsError, match=r"--mirror takes it .* bring https://download.pytorch.org/models/vgg11-"
    ):
        fetching.fetch("vgg11")


def test_no_space_is_known_before(mirror, folder, server, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 10**6))
    with pytest.raises(WeightsError, match=r"no space left .* needs 10\.0 MB where 1\.0 MB are free"):
        fetching.fetch(NAME)
    assert fetched.find(NAME) is None


def test_no_space_in_the_middle(mirror, folder, server, monkeypatch):
    def full(done, total):
        if done > 2_000_000:
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(WeightsError, match=r"no space left for squeezenet1_0, which needs 5\.0 MB"):
        fetching.fetch(NAME, on_progress=full)
    fetching.fetch(NAME)
    assert server.data_requests[-1]["Range"].startswith("bytes=2")


def test_no_space_for_the_result(mirror, folder, monkeypatch):
    from safetensors import SafetensorError

    def full(*_):
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(checkpoints, "save_file", full)
    with pytest.raises(WeightsError, match="no space left"):
        fetching.fetch(NAME)
    assert left(folder) == [f"{NAME}.json", f"{NAME}.part"]


def test_folder_that_cannot_be_written_to(mirror, folder):
    folder.parent.mkdir(exist_ok=True)
    folder.write_text("a file")
    with pytest.raises(WeightsError, match=r"cannot be written \(Not a directory\).*\$JAXVIZ_WEIGHTS"):
        fetching.fetch(NAME)


def test_unknown_and_shipped_networks_are_refused(folder):
    with pytest.raises(WeightsError, match="vgg12"):
        fetching.fetch("vgg12")
    with pytest.raises(WeightsError, match="shipped with jaxviz"):
        fetching.fetch("vgg16")


def test_two_at_once_fetch_once(mirror, folder, server):
    server.pauses = [0.3]
    paths = []
    threads = [threading.Thread(target=lambda: paths.append(fetching.fetch(NAME))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(paths) == 2
    assert len(set(paths)) == 1
    assert server.sent == mirror.size


@pytest.mark.parametrize("value", [0.0, np.nan, 1e30])
def test_weights_that_make_no_sense_are_not_kept(value, mirror, folder, server, small, monkeypatch):
    nonsense = {name: np.full_like(array, value) for name, array in small[0].items()}
    server.mirror["/models/nonsense.pth"] = File(torch_file(nonsense))
    url = f"{server.url}/models/nonsense.pth"
    monkeypatch.setitem(SOURCES, NAME, dataclasses.replace(SOURCES[NAME], mirror=url))
    with pytest.raises(WeightsError, match=r"these weights make no sense|expected finite weights"):
        fetching.fetch(NAME)
    assert left(folder) == []


def test_another_networks_file_is_not_kept(mirror, folder, server, small, monkeypatch):
    monkeypatch.setitem(SOURCES, "squeezenet1_1", SOURCES[NAME])
    with pytest.raises(WeightsError, match="not this network's"):
        fetching.fetch("squeezenet1_1", force=True)
    assert left(folder) == []


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
    with pytest.raises(WeightsError, match="next fetch continues it"):
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
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setitem(SOURCES, NAME, dataclasses.replace(SOURCES[NAME], hub=Hub("timm/some")))
    file = File(safetensors_file(small[0]))
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
    check_small(jaxviz.load(NAME), small)
    tokens = {path.split("/")[1]: headers.get("Authorization") for _, path, headers in server.asked}
    tokens |= {p.split("/")[1]: h.get("authorization", tokens[p.split("/")[1]]) for _, p, h in server.asked}
    assert tokens == {"timm": "Bearer hf_secret", "cdn": None}


def test_without_the_hubs_library_the_mirror_is_taken(mirror, folder, server, monkeypatch):
    monkeypatch.setitem(SOURCES, NAME, dataclasses.replace(SOURCES[NAME], hub=Hub("timm/none")))
    with pytest.raises(WeightsError, match="HTTP status 404"):
        fetching.fetch(NAME)
    monkeypatch.setattr(hub, "installed", lambda: False)
    fetching.fetch(NAME)
    assert fetched.record(NAME)["source"]["url"] == SOURCES[NAME].mirror


def test_every_network_has_a_source_of_its_size():
    assert set(SOURCES) == set(NETWORKS)
    for name in ("alexnet", "vgg11_bn", "vgg16_classifier", "vgg19", "squeezenet1_1", "resnet18"):
        shapes = flatten_dict(parameter_shapes(NETWORKS[name].architecture))
        count = sum(int(np.prod(shape.shape)) for shape in shapes.values())
        assert SOURCES[name].megabytes == pytest.approx(4 * count / 1e6, abs=0.051)
    for name, source in SOURCES.items():
        assert (source.md5 is None) == (source.digits is not None) == (not name.endswith("_caffe"))
        assert source.hub is None or source.hub.repo.partition("/")[2].partition(".")[0] == name.removesuffix(
            "_classifier"
        )
    assert SOURCES["vgg16"].digits == "397923af"
    assert isinstance(sources.Hub("a/b").revision, type(None))


def test_keras_file_is_held_to_its_md5(folder, server, small, monkeypatch):
    server.mirror["/models/some.h5"] = File(small[1])
    url = f"{server.url}/models/some.h5"
    monkeypatch.setitem(SOURCES, NAME, dataclasses.replace(SOURCES[NAME], mirror=url, md5="0" * 32))
    with pytest.raises(WeightsError, match=f"expected md5 {'0' * 32}, found"):
        fetching.fetch(NAME)
    assert left(folder) == []


def test_records_are_json_that_anyone_can_read(mirror, folder):
    fetching.fetch(NAME)
    record = json.loads((folder / f"{NAME}.json").read_text())
    assert {"network", "file", "sha256", "bytes", "date", "source", "license", "checks", "origin"} == set(
        record
    )
