"""A server on this machine that plays the Hugging Face hub and a mirror, and misbehaves on request."""

import dataclasses
import hashlib
import http.server
import io
import json
import re
import threading
import time
import zipfile
from contextlib import contextmanager

import numpy as np
from flax.traverse_util import flatten_dict

from jaxviz.checkpoints import naming
from jaxviz.checkpoints.fetching import transfer
from jaxviz.checkpoints.fetching.sources import SOURCES
from jaxviz.networks import NETWORKS
from jaxviz.networks.network import parameter_shapes

KINDS = {"kernel": "weight", "bias": "bias"}


def drawn(network, names, seed=0):
    """The weights of a network as PyTorch would have them, He normal, under the names that `names` gives."""
    architecture = NETWORKS[network].architecture
    draw = np.random.default_rng(seed)
    tensors = {}
    for ours, shape in flatten_dict(parameter_shapes(architecture), sep="/").items():
        module, _, kind = ours.rpartition("/")
        size = shape.shape
        value = draw.standard_normal(size, np.float32) * np.float32(np.sqrt(2 / max(np.prod(size[:-1]), 1)))
        value = value.transpose(3, 2, 0, 1) if len(size) == 4 else value * np.float32(0.1)
        tensors[f"{names(architecture)[module]}.{KINDS[kind]}"] = np.ascontiguousarray(value)
    return tensors


def torch_file(tensors):
    """What `torch.save` writes of a state dict: a zip with a pickle and one member per storage."""

    def text(value):
        return b"X" + len(value.encode()).to_bytes(4, "little") + value.encode()

    def numbers(values):
        return b"(" + b"".join(b"J" + int(v).to_bytes(4, "little") for v in values) + b"t"

    ordered = b"ccollections\nOrderedDict\n)R"
    pickled = b"\x80\x02" + ordered + b"("
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for i, (name, value) in enumerate(tensors.items()):
            archive.writestr(f"archive/data/{i}", value.tobytes())
            storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text(str(i)) + text("cpu")
            storage += b"J" + value.size.to_bytes(4, "little") + b"tQ"
            strides = [stride // value.itemsize for stride in value.strides]
            rebuilt = storage + b"K\x00" + numbers(value.shape) + numbers(strides) + b"\x89" + ordered
            pickled += text(name) + b"ctorch._utils\n_rebuild_tensor_v2\n(" + rebuilt + b"tR"
        archive.writestr("archive/data.pkl", pickled + b"u.")
        archive.writestr("archive/version", "3\n")
    return buffer.getvalue()


def safetensors_start(shapes):
    """The header of a safetensors file of float32 arrays, and where each lies in the file."""
    header, place = {}, 0
    for name, shape in shapes.items():
        size = 4 * int(np.prod(shape))
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [place, place + size]}
        place += size
    text = json.dumps(header).encode()
    start = len(text).to_bytes(8, "little") + text
    return start, {name: len(start) + entry["data_offsets"][0] for name, entry in header.items()}


def safetensors_file(tensors):
    start, _ = safetensors_start({name: value.shape for name, value in tensors.items()})
    return start + b"".join(value.tobytes() for value in tensors.values())


class File:
    """What lies on the server: bytes, or a path."""

    def __init__(self, content, sha256=None):
        self.content = content
        self.size = len(content) if isinstance(content, bytes) else content.stat().st_size
        self.sha256 = sha256 or hashlib.sha256(content).hexdigest()
        self.etag = f'"{self.sha256[:32]}"'

    def part(self, first, last):
        if isinstance(self.content, bytes):
            return self.content[first:last]
        with self.content.open("rb") as file:
            file.seek(first)
            return file.read(last - first)


class Server:
    """The files, the switches, and what was asked and sent.

    Attributes:
      mirror: Path → file.
      hub: (repository, revision) → file; `commits` says which revision main is.
      cuts: For each of the next responses with data, the bytes after which the connection breaks; None for not.
      statuses: For each of the next requests of data, the status to answer with; None to answer it.
      ranges: Whether parts are sent.
      pause: Seconds to wait before each of the next responses with data.
      asked: Method, path, headers of all requests; `sent` is the number of bytes of data.
    """

    def __init__(self):
        self.mirror, self.hub, self.commits = {}, {}, {}
        self.cuts, self.statuses, self.pauses = [], [], []
        self.ranges, self.sent, self.asked = True, 0, []
        self.url = self.cdn = ""

    @property
    def data_requests(self):
        return [headers for method, path, headers in self.asked if method == "GET"]


def _handler(server):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_HEAD(self):
            self.answer("HEAD")

        def do_GET(self):
            self.answer("GET")

        def answer(self, method):
            server.asked.append((method, self.path, dict(self.headers)))
            path = self.path.partition("?")[0]
            if found := re.fullmatch(r"/(.+)/resolve/(\w+)/model\.safetensors", path):
                return self.resolved(found[1], found[2])
            file = server.mirror.get(path)
            if path.startswith("/cdn/"):
                file = next((f for f in server.hub.values() if f.sha256 == path[5:]), None)
            if file is None:
                return self.headed(404, {})
            if server.statuses and (status := server.statuses.pop(0)):
                return self.headed(status, {})
            return self.data(file)

        def resolved(self, repo, revision):
            commit = server.commits.get(repo) if revision == "main" else revision
            file = server.hub.get((repo, commit))
            if file is None:
                return self.headed(404, {"X-Error-Code": "EntryNotFound"})
            return self.headed(
                302,
                {
                    "Location": f"{server.cdn}/cdn/{file.sha256}?signature=secret",
                    "X-Repo-Commit": commit,
                    "X-Linked-Etag": f'"{file.sha256}"',
                    "X-Linked-Size": str(file.size),
                },
            )

        def headed(self, status, headers):
            self.send_response(status)
            for name, value in {"Content-Length": "0", **headers}.items():
                self.send_header(name, value)
            self.end_headers()

        def data(self, file):
            time.sleep(server.pauses.pop(0) if server.pauses else 0)
            first, last, status, headers = 0, file.size, 200, {"ETag": file.etag}
            asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            if asked and server.ranges and self.headers.get("If-Range", file.etag) == file.etag:
                first, last = int(asked[1]), min(int(asked[2] or file.size - 1) + 1, file.size)
                status, headers["Content-Range"] = 206, f"bytes {first}-{last - 1}/{file.size}"
            cut = server.cuts.pop(0) if server.cuts else None
            self.headed(status, headers | {"Content-Length": str(last - first)})
            end = last if cut is None else min(first + cut, last)
            try:
                for at in range(first, end, 2**20):
                    chunk = file.part(at, min(at + 2**20, end))
                    self.wfile.write(chunk)
                    server.sent += len(chunk)
            except OSError:
                self.close_connection = True
            if end < last:
                self.close_connection = True

    return Handler


@contextmanager
def running():
    """Yields a server that runs in a thread of this process."""
    server = Server()
    listener = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(server))
    listener.daemon_threads = True
    listener.handle_error = lambda *_: None
    server.url = f"http://127.0.0.1:{listener.server_port}"
    # Another name is another host: a token that is for the one is not for the other.
    server.cdn = f"http://localhost:{listener.server_port}"
    thread = threading.Thread(target=listener.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()


def point_at(server, folder, monkeypatch):
    """Makes the server the hub, and the folder that of fetched weights; nobody waits between attempts."""
    monkeypatch.setenv("JAXVIZ_WEIGHTS", str(folder))
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    for name in ("HF_TOKEN", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(transfer, "PAUSE", 0.001)
    monkeypatch.setattr(transfer, "TIMEOUT", 5.0)
    return folder


def on_mirror(server, network, content, monkeypatch):
    """Puts a file on the mirror under a name that says its hash, and the mirror into the table of sources."""
    file = File(content)
    path = f"/models/{network}-{file.sha256[:8]}.pth"
    server.mirror[path] = file
    source = dataclasses.replace(SOURCES[network], mirror=server.url + path)
    monkeypatch.setitem(SOURCES, network, source)
    return file


def left(folder):
    """What there is in the folder, but for the locks."""
    return sorted(p.name for p in folder.rglob("*") if p.is_file() and p.suffix != ".lock")


def check_same(network, tensors):
    """Holds the weights of a SqueezeNet to torchvision's."""
    params = flatten_dict(network.params, sep="/")
    for ours, theirs in naming.torchvision(network.architecture).items():
        kernel = tensors[f"{theirs}.weight"].transpose(2, 3, 1, 0)
        np.testing.assert_array_equal(params[f"{ours}/kernel"], kernel)
        np.testing.assert_array_equal(params[f"{ours}/bias"], tensors[f"{theirs}.bias"])
