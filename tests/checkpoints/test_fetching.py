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
from loopback import File, check_same, drawn, left, on_mirror, point_at, running, torch_file

import jaxviz
from jaxviz import WeightsError
from jaxviz.checkpoints import fetched, fetching, naming, store, verifying
from jaxviz.checkpoints.fetching import transfer
from jaxviz.checkpoints.fetching.sources import SOURCES
from jaxviz.networks import NETWORKS
from jaxviz.networks.network import parameter_shapes

NAME = "squeezenet1_0"


@pytest.fixture(scope="module")
def small():
    """The weights of SqueezeNet 1.0 with torchvision's names, and the file that PyTorch would write of them."""
    tensors = drawn(NAME, naming.torchvision)
    return tensors, torch_file(tensors)


@pytest.fixture
def server():
    with running() as server:
        yield server


@pytest.fixture
def folder(tmp_path, monkeypatch, server):
    return point_at(server, tmp_path / "weights", monkeypatch)


@pytest.fixture
def mirror(server, folder, small, monkeypatch):
    """The mirror's file of SqueezeNet, whose name says its hash."""
    return on_mirror(server, NAME, small[1], monkeypatch)


def test_mirror_is_fetched_once_and_loaded(mirror, folder, server, small):
    with pytest.raises(WeightsError, match=f"`jaxviz weights fetch {NAME}` gets the published"):
        jaxviz.load(NAME)
    told = []
    path = fetching.fetch(NAME, on_progress=lambda *numbers: told.append(numbers))
    assert told[-1] == (mirror.size, mirror.size)
    assert server.sent == mirror.size
    record = fetched.record(NAME)
    assert left(folder) == sorted([path.name, f"{NAME}.json"])
    assert record["sha256"] == store.sha256(path)
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
    check_same(network, small[0])
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
    check_same(jaxviz.load(NAME), small[0])


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
    check_same(jaxviz.load(NAME), small[0])


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
    with pytest.raises(WeightsError, match="next fetch continues what was received"):
        fetching.fetch(NAME)
    assert fetched.find(NAME) is None
    server.statuses = []
    fetching.fetch(NAME)
    assert server.sent == mirror.size
    check_same(jaxviz.load(NAME), small[0])


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
    check_same(jaxviz.load(NAME), small[0])


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
    check_same(jaxviz.load(NAME), small[0])


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

    monkeypatch.setattr(store, "save_file", full)
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


def test_partial_file_that_is_too_long_is_begun_anew(mirror, folder, server, small):
    server.cuts, server.statuses = [1_500_000], [None, 503, 503, 503, 503]
    with pytest.raises(WeightsError):
        fetching.fetch(NAME)
    with (folder / "partial" / f"{NAME}.part").open("ab") as file:
        file.write(bytes(9_000_000))
    server.statuses = []
    fetching.fetch(NAME)
    check_same(jaxviz.load(NAME), small[0])


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
