"""Published weights, fetched once: received, checked, tried on a picture, and kept as a file of ours."""

import contextlib
import errno
import os
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

from jaxviz._checks import known
from jaxviz.checkpoints import fetched, store, verifying
from jaxviz.checkpoints.fetching import hub, transfer
from jaxviz.checkpoints.fetching.receiving import Job, Received, from_hub, from_mirror, full
from jaxviz.checkpoints.fetching.sources import SOURCES, Source
from jaxviz.checkpoints.fetching.transfer import Progress
from jaxviz.checkpoints.formats import WeightsError
from jaxviz.checkpoints.rewriting import rewrite
from jaxviz.networks import NETWORKS
from jaxviz.networks.network import Network


def fetch(
    name: str,
    *,
    folder: Path | None = None,
    on_progress: Progress | None = None,
    endpoint: str | None = None,
    mirror: bool = False,
    force: bool = False,
) -> Path:
    """Returns the file with a network's published weights, fetched if it is not there, for `load` to find.

    Weights come from the Hugging Face hub where `sources.SOURCES` names a repository and `huggingface_hub` is
    installed, else as their authors published them. Without a classifier only the convolutions travel. A whole
    file is held to its publisher's hash. A part of one is held to names and shapes before it travels, and to
    the hash of the first fetch ever after. All are tried on a picture. What broke off is continued by the next
    call; nothing is ever half-written.

    Args:
      name: A key of `NETWORKS`.
      folder: Where to keep it, instead of `fetched.folder()`: `$JAXVIZ_WEIGHTS`, or the user's cache.
      on_progress: Called with the bytes received, and with their number, if known.
      endpoint: URL of the hub, instead of `$HF_ENDPOINT` and huggingface.co.
      mirror: Take the authors' own file even if there is one on the hub.
      force: Fetch anew what is there, or is shipped.

    Raises:
      WeightsError: If the network is unknown or shipped, a server cannot be reached or keeps breaking off, what
        it sends is not what it should be, or there is no room for it.
    """
    source = _source(name, force)
    where = folder or fetched.folder()
    with _explained(name, source, where, mirror):
        (where / "partial").mkdir(parents=True, exist_ok=True)
        with fetched.locked(where / "partial" / f"{name}.lock"):
            before = None
            with contextlib.suppress(WeightsError):
                before = fetched.record(name, where)
            if before and not force:
                path = where / before["file"]
                if path.is_file() and store.sha256(path) == before["sha256"]:
                    return path
            job = Job(name, source, where, on_progress or (lambda done, total: None))
            if mirror or source.hub is None or not hub.installed():
                received = from_mirror(job)
            else:
                received = from_hub(job, source.hub, endpoint or os.environ.get("HF_ENDPOINT"), before)
            try:
                path = _made(job, received)
            except WeightsError:
                # The next fetch would find the same in it.
                received.partial.remove()
                raise
            received.partial.remove()
            return path


def _source(name: str, force: bool) -> Source:
    try:
        known(name, NETWORKS, "network")
    except KeyError as error:
        raise WeightsError(error.args[0]) from error
    if name in store.manifest() and not force:
        raise WeightsError(f"{name}: the weights are shipped with jaxviz; load({name!r}) has them")
    if name not in SOURCES:
        raise WeightsError(f"{name}: expected one of {', '.join(SOURCES)}, for which a source is known")
    return SOURCES[name]


@contextlib.contextmanager
def _explained(name: str, source: Source, where: Path, mirror: bool) -> Iterator[None]:
    """Says what to do where there is no connection, or the folder is full or cannot be written to."""
    try:
        yield
    except transfer.Unreachable as error:
        file = urllib.parse.urlsplit(source.mirror).path.rpartition("/")[2]
        other = "; --mirror takes it from its authors instead" if source.hub and not mirror else ""
        raise WeightsError(
            f"{name}: {error}. The next fetch continues what was received{other}. Without a "
            f"connection: bring {source.mirror} from elsewhere, and run `jaxviz weights convert {file} "
            f"--network {name} --out {fetched.by_hand(name, where)}`"
        ) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise full(where, name, source.megabytes * 1e6) from error
        raise WeightsError(
            f"{where}: cannot be written ({error.strerror or error}); "
            f"name another folder in ${fetched.VARIABLE}, or make this one writable"
        ) from error


def _made(job: Job, received: Received) -> Path:
    """Returns our file, made of what was received, tried, and then put in its place."""
    url = received.source["url"]
    origin = {"source_file": url.rpartition("/")[2], "source_url": url, "license": job.source.license}
    if "revision" in received.source:
        origin["source_revision"] = received.source["revision"]
    if "sha256" not in received.source:
        origin["source_sha256"] = f"{received.source['sha256_of_part']} of the part without classifier"
    with fetched.temporary_path(job.where / f"{job.name}.safetensors") as temporary:
        said = rewrite(received.partial.path, job.name, temporary, origin=origin)
        architecture = NETWORKS[job.name].architecture
        params, found, preprocessing = store.read(temporary, job.name, architecture)
        if found != architecture:
            raise WeightsError(f"{url}: expected the classifier of {job.name}, found: {said['head']}")
        network = Network(params, found, preprocessing, job.name)
        checks = [*received.checks, verifying.check_activations(network, Path(url))]
        record = {"source": received.source, "license": job.source.license, "checks": checks, "origin": said}
        return fetched.keep(job.name, temporary, store.sha256(temporary), record)
