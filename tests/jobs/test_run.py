import contextlib
import errno
import json
import os

import numpy as np
import pyarrow.dataset
import pyarrow.parquet
import pytest
from little import Drawn, Mean

from jaxviz import images, jobs
from jaxviz.jobs import shards
from jaxviz.jobs.sizes import Longer, Square, stack


def rows(folder):
    return [
        row
        for path in sorted(folder.glob("results-*.parquet"))
        for row in pyarrow.parquet.read_table(path).to_pylist()
    ]


def test_a_run_has_a_row_an_array_and_a_picture_for_each(tmp_path):
    source = Drawn(11, bad=(3,))
    told = []
    report = jobs.run(Mean(), source, out=tmp_path / "run", shard=4, on_progress=told.append)
    assert (report.total, report.made, report.already) == (11, 11, 0)
    assert report.failures == [("0003.png", "picture 3 is torn")]
    found = rows(tmp_path / "run")
    assert [row["index"] for row in found] == list(range(11))
    assert [row["name"] for row in found] == [source[i].name for i in range(11)]
    assert [row["label"] for row in found] == [str(i % 3) for i in range(11)]
    assert [bool(row["failure"]) for row in found] == [i == 3 for i in range(11)]
    for row in found:
        if row["index"] != 3:
            pixels = source[row["index"]].read(100)
            assert row["mean"] == pytest.approx(float(pixels.mean()), rel=1e-6)
            drawn = images.read(tmp_path / "run" / "pictures" / f"{row['name']}.blur.png")
            assert drawn.shape == (8, 8, 3)
    with np.load(tmp_path / "run" / "arrays-00000.npz") as file:
        assert file["index"].tolist() == [0, 1, 2]
        np.testing.assert_allclose(file["color"][1], source[1].read(100).mean((0, 1)))
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert (manifest["state"], manifest["failed"], manifest["total"]) == ("complete", 1, 11)
    assert {"settings", "source", "shard", "versions", "device", "jaxviz"} <= set(manifest)
    assert (told[-1].done, told[-1].total, told[-1].failed) == (11, 11, 1)
    assert [at.done for at in told] == sorted(at.done for at in told)
    assert told[-1].per_second > 0
    whole = pyarrow.dataset.dataset(tmp_path / "run", format="parquet", exclude_invalid_files=True)
    assert whole.count_rows() == 11


def test_a_second_run_does_what_is_missing_alone(tmp_path):
    source = Drawn(10)
    jobs.run(Mean(), source, out=tmp_path, shard=4)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.parquet")}
    again = Mean()
    report = jobs.run(again, source, out=tmp_path, shard=4)
    assert (report.made, report.already, again.calls) == (0, 10, [])
    shards.results_path(tmp_path, 1).unlink()
    (tmp_path / ".jaxviz-left.npz").write_bytes(b"torn")
    report = jobs.run(again, source, out=tmp_path, shard=4)
    assert (report.made, report.already, again.calls) == (4, 6, [(4, 8, 8, 3)])
    assert not list(tmp_path.glob(".jaxviz-*"))
    untouched = [path for path in before if path != shards.results_path(tmp_path, 1)]
    assert [path.stat().st_mtime_ns for path in untouched] == [before[path] for path in untouched]
    assert [row["index"] for row in rows(tmp_path)] == list(range(10))


def test_shards_that_were_damaged_are_made_again(tmp_path):
    jobs.run(Mean(), Drawn(12), out=tmp_path, shard=4)
    shards.results_path(tmp_path, 0).write_bytes(b"PAR1 torn")
    shards.arrays_path(tmp_path, 1).unlink()
    report = jobs.run(Mean(), Drawn(12), out=tmp_path, shard=4)
    assert (report.made, report.already) == (8, 4)
    assert [row["index"] for row in rows(tmp_path)] == list(range(12))
    assert shards.arrays_path(tmp_path, 1).is_file()


def test_interrupts_keep_complete_shards(tmp_path):
    class Stopping(Mean):
        def __call__(self, *arguments):
            if len(self.calls) == 2:
                raise KeyboardInterrupt
            return super().__call__(*arguments)

    with pytest.raises(KeyboardInterrupt):
        jobs.run(Stopping(), Drawn(12), out=tmp_path, shard=4)
    assert len(rows(tmp_path)) == 8
    report = jobs.run(Mean(), Drawn(12), out=tmp_path, shard=4)
    assert (report.made, report.already) == (4, 8)


@pytest.mark.parametrize(
    ("task", "source", "options", "words"),
    [
        (Mean(settings={"sigma": 2}), Drawn(4), {}, r"settings\.sigma is 1 there and 2 here"),
        (Mean(settings={"sigma": 1}), Drawn(5), {}, r"source\.count is 4 there and 5 here"),
        (Mean(settings={"sigma": 1}), Drawn(4), {"shard": 2}, r"shard is 4 there and 2 here"),
        (Mean(settings={"sigma": 1}), Drawn(4), {"batch": 2}, r"settings\.batch is null there and 2 here"),
    ],
)
def test_a_folder_of_another_run_is_refused_and_the_difference_named(tmp_path, task, source, options, words):
    jobs.run(Mean(settings={"sigma": 1}), Drawn(4), out=tmp_path, shard=4)
    with pytest.raises(jobs.RunError, match=f"has a run of other settings: {words}; choose another folder"):
        jobs.run(task, source, out=tmp_path, **{"shard": 4, **options})
    assert len(rows(tmp_path)) == 4


def test_folders_that_are_no_runs_are_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(jobs.RunError, match=r"is no run folder, and has thesis\.tex; choose an empty one"):
        jobs.run(Mean(), Drawn(2), out=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "manifest.json").write_text("{")
    with pytest.raises(jobs.RunError, match=r"manifest\.json is damaged"):
        jobs.run(Mean(), Drawn(2), out=tmp_path / "run")
    with pytest.raises(jobs.RunError, match=r"thesis\.tex cannot be written"):
        jobs.run(Mean(), Drawn(2), out=tmp_path / "thesis.tex")


def test_one_run_at_a_time_in_a_folder(tmp_path):
    class Nested(Mean):
        def __call__(self, *arguments):
            with pytest.raises(jobs.RunError, match="is in use by another run"):
                jobs.run(Mean(), Drawn(2), out=tmp_path)
            return super().__call__(*arguments)

    assert jobs.run(Nested(), Drawn(2), out=tmp_path).made == 2


def test_a_full_disk_is_told_and_the_run_goes_on_later(tmp_path, monkeypatch):
    write, full = images.write, [True]

    def writing(path, picture):
        if full[0] and path.name.startswith("0005"):
            with contextlib.ExitStack() as stack:
                stack.enter_context(images.writing(path))
                raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, picture)

    monkeypatch.setattr(images, "write", writing)
    with pytest.raises(jobs.RunError, match="no room is left on the disk"):
        jobs.run(Mean(), Drawn(8), out=tmp_path, shard=4)
    assert len(rows(tmp_path)) == 4
    full[0] = False
    assert jobs.run(Mean(), Drawn(8), out=tmp_path, shard=4).made == 4


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_that_cannot_be_written_to(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(jobs.RunError, match="cannot be written"):
        jobs.run(Mean(), Drawn(2), out=tmp_path / "run")


@pytest.mark.parametrize("name", ["batch", "shard", "workers", "max_pixels"])
def test_numbers_are_checked(tmp_path, name):
    with pytest.raises(ValueError, match=f"{name} is 0; expected at least 1"):
        jobs.run(Mean(), Drawn(2), out=tmp_path, **{name: 0})


def test_pictures_are_gathered_by_shape_inside_their_shard(tmp_path):
    task = Mean(sizing=Longer(16, 8))
    source = Drawn(20, shapes=((8, 16), (16, 8), (16, 16)))
    jobs.run(task, source, out=tmp_path, shard=10)
    assert {shape[1:3] for shape in task.calls} == {(8, 16), (16, 8), (16, 16)}
    assert max(shape[0] for shape in task.calls) == 4
    assert sum(shape[0] for shape in task.calls) == 20
    assert [row["shape"] for row in rows(tmp_path)] == [list(source.shapes[i % 3]) for i in range(20)]
    mixed = np.load(tmp_path / "arrays-00000.npz")
    assert mixed["color"].shape == (10, 3)


def test_results_come_in_order_without_a_folder():
    found = list(jobs.iterate(Mean(), Drawn(9, bad=(2,)), workers=3))
    assert [loaded.index for loaded, _, _ in found] == list(range(9))
    assert [result is None for _, result, _ in found] == [i == 2 for i in range(9)]
    assert found[2][2] == "picture 2 is torn"


class TestSizes:
    @pytest.mark.parametrize("shape", [(480, 640), (640, 480), (500, 500), (1000, 40), (31, 33)])
    def test_the_longer_side_is_exact_and_the_other_a_multiple(self, shape):
        picture = np.random.default_rng(0).random((*shape, 3), np.float32)
        made = Longer(96, 16)(picture)
        assert max(made.shape[:2]) == 96
        assert min(made.shape[:2]) % 16 == 0
        assert made.shape[:2] == Longer(96, 16).shape(*shape)

    def test_nothing_is_stretched(self):
        y, x = np.mgrid[:300, :400]
        circle = ((y - 150) ** 2 + (x - 200) ** 2 < 100**2).astype(np.float32)
        made = Longer(128, 32)(np.repeat(circle[..., None], 3, -1))[..., 0] > 0.5
        tall, wide = made.any(1).sum(), made.any(0).sum()
        assert abs(int(tall) - int(wide)) <= 1

    def test_few_shapes_serve_all_pictures(self):
        random = np.random.default_rng(0)
        shapes = {Longer(256).shape(*random.integers(20, 2000, 2).tolist()) for _ in range(2000)}
        assert len(shapes) <= 2 * 256 / 32

    def test_squares_are_those_of_images(self):
        picture = np.random.default_rng(0).random((40, 60, 3), np.float32)
        np.testing.assert_array_equal(Square(24)(picture), images.fit_square(picture, 24))

    @pytest.mark.parametrize("sizing", [Square(24), Square(35), Square(40), Longer(60, 20), Longer(32, 16)])
    def test_bytes_give_the_bits_of_their_floats(self, sizing):
        picture = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)
        floats = images.to_floats(picture)
        np.testing.assert_array_equal(floats, picture.astype(np.float32) / 255)
        expected = sizing(floats)
        found = stack([sizing(picture), expected])
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, [expected, expected])

    def test_what_is_only_cut_stays_bytes(self):
        picture = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)
        np.testing.assert_array_equal(Square(35)(picture), picture[2:37, 12:47])
        assert Square(35)(picture).dtype == np.uint8

    def test_pictures_of_several_shapes_are_no_batch(self):
        with pytest.raises(ValueError, match="2 pictures are given; expected at least one, all of one shape"):
            stack([np.zeros((2, 2, 3), np.uint8), np.zeros((2, 3, 3), np.float32)])


def test_names_never_leave_the_folder(tmp_path):
    for name in ("../../a.png", "/etc/a.png", "x/../../a.png"):
        path = shards.picture_path(tmp_path, name, "map")
        assert path.resolve().is_relative_to(tmp_path / "pictures")


def test_names_that_differ_have_pictures_that_differ(tmp_path):
    names = ("a.png", "../a.png", "/a.png", "../../a.png", "x/a.png", "x/../a.png", "../x/a.png")
    assert len({shards.picture_path(tmp_path, name, "map") for name in names}) == len(names)
