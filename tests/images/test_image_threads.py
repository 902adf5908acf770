import threading
import warnings

import numpy as np
from PIL import Image

from jaxviz import images


def test_reading_by_threads_restores_what_belongs_to_the_process(tmp_path, monkeypatch):
    """One thread begins to read, a second one begins, the first ends, the second ends."""
    path = tmp_path / "a.png"
    Image.fromarray(np.zeros((6, 9, 3), np.uint8)).save(path)
    began, go_on = [threading.Event(), threading.Event()], [threading.Event(), threading.Event()]
    turn = iter(range(2))
    checked = images.check_pixels

    def waiting(*arguments):
        k = next(turn)
        began[k].set()
        assert go_on[k].wait(20)
        assert Image.MAX_IMAGE_PIXELS is None
        checked(*arguments)

    monkeypatch.setattr(images.reading, "check_pixels", waiting)
    limit, filters = Image.MAX_IMAGE_PIXELS, list(warnings.filters)
    found = []
    threads = [threading.Thread(target=lambda: found.append(images.read(path))) for _ in range(2)]
    for thread, event in zip(threads, began, strict=True):
        thread.start()
        assert event.wait(20)
    for thread, event in zip(threads, go_on, strict=True):
        event.set()
        thread.join(20)
    assert len(found) == 2
    assert limit == Image.MAX_IMAGE_PIXELS
    assert warnings.filters == filters
