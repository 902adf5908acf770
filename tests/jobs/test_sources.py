import gc
import os
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest
from little import Mean
from PIL import Image

from jaxviz import images, jobs
from jaxviz.images import PictureError

DATA = Path(__file__).parents[1] / "data"
LIMIT = images.MAX_PIXELS


@pytest.fixture
def photos(tmp_path):
    """A folder of pictures in folders, with files beside them that are none."""
    folder = tmp_path / "photos"
    for name, color in (("b.png", 10), ("a/c.jpg", 20), ("a/d.PNG", 30), (".hidden/e.png", 40)):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (6, 4), (color, 0, 0)).save(path)
    np.save(folder / "f.npy", np.full((2, 3, 3), 0.5, np.float32))
    (folder / "notes.md").write_text("no picture")
    return folder


def names(source):
    return [source[i].name for i in range(len(source))]


def test_a_folder_has_its_pictures_in_order(photos):
    source = jobs.open_source(photos)
    assert names(source) == ["a/c.jpg", "a/d.PNG", "b.png", "f.npy"]
    assert source[2].read(LIMIT).shape == (4, 6, 3)
    assert source[2].label is None
    with pytest.raises(PictureError, match="over the limit of 3"):
        source[2].read(3)
    assert source.describe() == jobs.open_source(photos).describe()
    assert source.describe()["count"] == 4
    (photos / "g.png").write_bytes((photos / "b.png").read_bytes())
    assert jobs.open_source(photos).describe()["sha256"] != source.describe()["sha256"]


def test_globs_lists_and_single_pictures(photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert names(jobs.open_source("photos/**/*.jpg")) == ["photos/a/c.jpg"]
    listed = tmp_path / "list.txt"
    listed.write_text("# mine\nphotos/b.png\t3\n\nphotos/none.png\nphotos/a/c.jpg\tEgyptian cat\n")
    source = jobs.open_source("list.txt")
    assert [(source[i].name, source[i].label) for i in range(3)] == [
        ("photos/b.png", "3"),
        ("photos/none.png", None),
        ("photos/a/c.jpg", "Egyptian cat"),
    ]
    with pytest.raises(PictureError, match="does not exist"):
        source[1].read(LIMIT)
    assert len(jobs.open_source("photos/b.png")) == 1


def test_labels_of_image_folders(photos):
    (photos / "metadata.csv").write_text('file_name,label,text\nb.png,tabby,"a, b"\na/c.jpg,7,\n')
    source = jobs.open_source(photos)
    assert [(source[i].name, source[i].label) for i in range(2)] == [("b.png", "tabby"), ("a/c.jpg", "7")]
    (photos / "metadata.csv").write_text("name,label\nb.png,1\n")
    with pytest.raises(PictureError, match=r"has the columns name, label; expected file_name"):
        jobs.open_source(photos)
    for rows in ("label,file_name\n1,b.png\n2\n", "file_name,label\nb.png,1\n,2\n"):
        (photos / "metadata.csv").write_text(rows)
        with pytest.raises(PictureError, match="has no file_name in row 2"):
            jobs.open_source(photos)


def test_the_mark_that_windows_writes_first_is_no_part_of_a_name(photos):
    (photos / "metadata.csv").write_text("file_name,label\nb.png,1\n", encoding="utf-8-sig")
    (photos / "list.txt").write_text("b.png\n", encoding="utf-8-sig")
    assert names(jobs.open_source(photos)) == names(jobs.open_source(photos / "list.txt")) == ["b.png"]


@pytest.mark.parametrize(
    ("text", "many"),
    [("photos", True), ("photos/*.png", True), ("a.txt", True), ("tfds:coco", True), ("photos/b.png", False)],
)
def test_what_means_many(photos, monkeypatch, text, many):
    monkeypatch.chdir(photos.parent)
    assert jobs.is_many(text) == many


def test_a_picture_with_the_letters_of_a_pattern_is_one(photos, monkeypatch):
    monkeypatch.chdir(photos)
    (photos / "x[1].png").write_bytes((photos / "b.png").read_bytes())
    assert not jobs.is_many("x[1].png")


def test_sources_without_pictures_are_refused(photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.txt").write_text("# nothing\n")
    (tmp_path / "twice.txt").write_text("photos/b.png\nphotos/b.png\n")
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\x00")
    for text, words in (
        ("empty", "empty has no picture; expected files that end with .png"),
        ("empty.txt", "empty.txt has no picture"),
        ("twice.txt", "twice.txt names photos/b.png twice"),
        ("bytes.txt", "bytes.txt is no list of paths that can be read"),
        ("none", "none does not exist; check the path"),
        ("none.txt", "none.txt does not exist"),
        ("photos/*.tiff", "matches no file; check the pattern, and quote it"),
    ):
        with pytest.raises(PictureError, match=words.replace("*", r"\*")):
            jobs.open_source(text)


@pytest.fixture
def drawn(monkeypatch):
    """Twenty drawn pictures as TensorFlow Datasets'; data/prepare_drawn.py made them."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(DATA))


def test_a_data_set_is_read_by_index(drawn):
    source = jobs.open_source("tfds:drawn:test")
    assert len(source) == len(jobs.open_source("tfds:drawn")) == 20
    assert names(source)[:2] == ["test-00000000", "test-00000001"]
    assert {source[i].label for i in range(20)} == {"disk", "square"}
    shapes = {source[i].read(LIMIT).shape for i in range(20)}
    assert shapes <= {(48, 48, 3), (40, 64, 3), (64, 40, 3)}
    assert len(shapes) == 3
    assert source[0].read(LIMIT).dtype == np.uint8
    assert source.describe()["where"] == "drawn/1.0.0:test"
    assert len(jobs.open_source("tfds:drawn:test[:5]")) == 5
    with pytest.raises(PictureError, match="over the limit"):
        source[0].read(10)


def test_the_data_set_is_as_the_script_draws_it(drawn):
    sys.path.insert(0, str(DATA))
    try:
        import prepare_drawn
    finally:
        sys.path.pop(0)
    import io

    expected = {np.asarray(Image.open(io.BytesIO(prepare_drawn.drawn(i)))).tobytes() for i in range(20)}
    source = jobs.open_source("tfds:drawn")
    found = {source[i].read(LIMIT).tobytes() for i in range(20)}
    assert found == expected
    assert sum(path.stat().st_size for path in (DATA / "drawn").rglob("*") if path.is_file()) < 200_000


def test_pictures_over_the_limit_are_refused_before_they_are_decoded(drawn):
    source = jobs.open_source("tfds:drawn")
    source.decode = lambda encoded: pytest.fail("it is decoded")
    with pytest.raises(PictureError, match=r"over the limit of 10; .*--max-pixels"):
        source[0].read(10)


def test_a_bad_slice_is_told_as_one(drawn):
    for split in ("test[:x]", "test[5", "test[:500%]"):
        with pytest.raises(PictureError, match=r"write a slice such as test\[:100\]") as told:
            jobs.open_source(f"tfds:drawn:{split}")
        assert "prepare" not in str(told.value)


class Watched:
    """A data set whose records are seen to die, and of which one may be torn."""

    def __init__(self, data, torn=None):
        self.data, self.torn, self.alive = data, torn, []

    def __len__(self):
        return len(self.data)

    def __getitem__(self, index):
        if index == self.torn:
            raise OSError("checksum mismatch")
        record = type("Record", (dict,), {})(self.data[index])
        self.alive.append(weakref.ref(record))
        return record


def test_a_damaged_record_is_a_failure_of_its_picture_alone(drawn, tmp_path):
    source = jobs.open_source("tfds:drawn")
    source.data = Watched(source.data, torn=4)
    report = jobs.run(Mean(), source, out=tmp_path / "run")
    assert [name for name, _ in report.failures] == ["test-00000004"]
    assert "checksum mismatch" in report.failures[0][1]


def test_items_do_not_hold_their_pictures(drawn):
    source = jobs.open_source("tfds:drawn")
    source.data = Watched(source.data)
    found = list(jobs.iterate(Mean(), source))
    gc.collect()
    assert (len(found), len(source.data.alive)) == (20, 20)
    assert not any(reference() for reference in source.data.alive)


def test_data_sets_that_cannot_be_read(drawn, monkeypatch, tmp_path):
    for text, words in (
        ("tfds:nothing", r"tfds:nothing is not prepared in .*data, which has drawn; prepare it there"),
        ("tfds:drawn:train", r"tfds:drawn has no split 'train'; there are: test"),
    ):
        with pytest.raises(PictureError, match=words):
            jobs.open_source(text)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    with pytest.raises(PictureError, match=r"where no data set is; prepare it there as array_record"):
        jobs.open_source("tfds:drawn")
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(ImportError, match=r'pip install "jaxviz-vision\[tfds\]"'):
        jobs.open_source("tfds:drawn")


def test_tensorflow_is_never_imported(tmp_path):
    program = (
        "import sys; from jaxviz import jobs; import jaxviz;"
        "task = jobs.classify(jaxviz.load('squeezenet1_1'), size=64);"
        f"report = jobs.run(task, 'tfds:drawn', out={str(tmp_path / 'run')!r});"
        "print(report.total, report.made, len(report.failures), 'tensorflow' in sys.modules)"
    )
    environment = os.environ | {"TFDS_DATA_DIR": str(DATA), "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert done.stdout == "20 20 0 False\n", done.stderr
