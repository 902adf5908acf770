"""Files of the Hugging Face hub: where one is at one commit, and what the hub says of it.

`huggingface_hub` knows addresses, tokens and hashes. What it received it throws away when a connection breaks for
good (2.4 does, 0.30 did not), and of a file it takes all or nothing, so the bytes come through `transfer`.
"""

import importlib.util
import re
import urllib.parse
from typing import Any

from jaxviz.checkpoints.fetching import transfer
from jaxviz.checkpoints.fetching.sources import Hub
from jaxviz.checkpoints.fetching.transfer import Place
from jaxviz.checkpoints.formats import WeightsError


def installed() -> bool:
    """Returns whether `huggingface_hub` is installed."""
    return importlib.util.find_spec("huggingface_hub") is not None


class Location:
    """A file of the hub at one commit, as `huggingface_hub` finds it."""

    def __init__(self, hub: Hub, endpoint: str | None, revision: str | None):
        self.hub, self.endpoint = hub, endpoint
        found = transfer.persistently(lambda: self._metadata(revision or "main"))
        if not re.fullmatch("[0-9a-f]{40}", found.commit_hash or ""):
            raise WeightsError(f"{hub.repo}: expected a commit from the hub, found {found.commit_hash!r}")
        self.commit: str = found.commit_hash
        self.size: int | None = found.size
        self.sha256 = found.etag if re.fullmatch("[0-9a-f]{64}", found.etag or "") else None

    @property
    def url(self) -> str:
        """The URL that stays."""
        return self._url(self.commit)

    def _url(self, revision: str) -> str:
        from huggingface_hub import hf_hub_url

        return hf_hub_url(self.hub.repo, self.hub.file, revision=revision, endpoint=self.endpoint)

    def _metadata(self, revision: str) -> Any:
        from huggingface_hub import get_hf_file_metadata

        url = self._url(revision)
        try:
            return get_hf_file_metadata(url, timeout=transfer.TIMEOUT)
        except Exception as error:
            # Its HTTP library, and with it what else it raises, changed twice.
            status = getattr(getattr(error, "response", None), "status_code", None)
            if status is None or status in transfer.LATER:
                raise transfer.Broken(f"{url}: {_line(error)}") from error
            raise WeightsError(f"{url}: HTTP status {status}; {_line(error)}") from error

    def place(self) -> Place:
        """Returns where the bytes are now: a signed URL of another host, that is good for a while."""
        from huggingface_hub.utils import build_hf_headers

        location = urllib.parse.urljoin(self.url, self._metadata(self.commit).location)
        headers = build_hf_headers(library_name="jaxviz")
        if urllib.parse.urlsplit(location).netloc != urllib.parse.urlsplit(self.url).netloc:
            headers = {k: v for k, v in headers.items() if k.lower() != "authorization"}
        return Place(location, headers)


def _line(error: Exception) -> str:
    return (str(error) or type(error).__name__).split("\n")[0]
