import numpy as np
import pytest

from jaxviz.drawing import grids

RANDOM = np.random.default_rng(0)
COLORS = RANDOM.integers(20, 200, (3, 4, 1, 1, 3)) / np.float32(255)
PICTURES = np.broadcast_to(COLORS, (3, 4, 120, 160, 3)).astype(np.float32)
ROWS, COLUMNS = [1e-3, 1e-2, 1e-1], ["relu1_1", "relu2_1", "relu3_1", "relu4_1"]


def spans(lines):
    """The first and the last index of each run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], lines, [False]]).astype(int)))
    return list(zip(edges[::2], edges[1::2] - 1, strict=True))


def test_every_picture_is_in_its_row_and_column():
    sheet = grids.grid(PICTURES, ROWS, COLUMNS, title="Trade-off", rows="style weight", columns="layer")
    places = []
    for i in range(3):
        for j in range(4):
            found = (np.abs(sheet - COLORS[i, j]) < 1e-6).all(-1)
            assert found.sum() == 120 * 160
            places.append((*np.argwhere(found).min(0), *np.argwhere(found).max(0)))
    places = np.array(places).reshape(3, 4, 4)
    assert (places[..., 2] - places[..., 0] == 119).all()
    assert (places[..., 3] - places[..., 1] == 159).all()
    assert (places[..., 0] == places[:, :1, 0]).all()
    assert (places[..., 1] == places[:1, :, 1]).all()
    assert (np.diff(places[:, 0, 0]) > 120).all()
    assert (np.diff(places[0, :, 1]) > 160).all()


def test_labels_stand_beside_their_rows_and_above_their_columns():
    sheet = grids.grid(PICTURES, ROWS, COLUMNS)
    first = np.argwhere((np.abs(sheet - COLORS[0, 0]) < 1e-6).all(-1)).min(0)
    ink = sheet.min(-1) < 0.5
    left, above = ink[first[0] :, : first[1]].any(1), ink[: first[0], first[1] :].any(0)
    assert len(spans(left)) == 3
    for i, (low, high) in enumerate(spans(left)):
        rows = np.argwhere((np.abs(sheet - COLORS[i, 0]) < 1e-6).all(-1))[:, 0] - first[0]
        assert (low + high) / 2 == pytest.approx(rows.mean(), abs=5)
    for j in range(4):
        columns = np.argwhere((np.abs(sheet - COLORS[0, j]) < 1e-6).all(-1))[:, 1] - first[1]
        words = np.flatnonzero(above[columns.min() : columns.max()])
        assert (words.min() + words.max()) / 2 == pytest.approx(80, abs=5)


@pytest.mark.parametrize(
    "shape", [(1, 1, 1, 1), (2, 2, 7, 300), (1, 9, 700, 40), (5, 6, 512, 512), (12, 1, 300, 300)]
)
def test_sheets_of_all_sizes_fit_on_a_page(shape):
    pictures = RANDOM.random((*shape, 3), np.float32)
    words = "some words of a title that is longer than any " * 3
    rows, columns = [words] * shape[0], ["relu1_1,relu2_1,relu3_1,relu4_1,relu5_1"] * shape[1]
    sheet = grids.grid(pictures, rows, columns, title=words, rows=words, columns=words)
    assert sheet.dtype == np.float32
    assert 112 < sheet.shape[1] < 2500
    assert 112 < sheet.shape[0] < 3500
    assert sheet.min() >= 0
    assert sheet.max() <= 1
    assert (sheet[:, -10:] == 1).all()
    assert (sheet[-10:, 60:] == 1).all()


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([1e-4, 1e-3, 1e-2, 1.0], ["1e-4", "1e-3", "1e-2", "1e0"]),
        ([0.05, 0.25, 1, 20.0], ["0.05", "0.25", "1", "20"]),
        ([0, 100000, -2.5e-7], ["0", "1e5", "-2.5e-7"]),
        ([12345, 1], ["12345", "1"]),
        ([float("inf"), 0.001, np.float32(0.1)], ["inf", "1e-3", "1e-1"]),
        (["adam", 3], ["adam", "3"]),
    ],
)
def test_numbers_are_short_and_alike(labels, expected):
    assert grids.written([float(x) if isinstance(x, np.floating) else x for x in labels]) == expected


def test_wrong_labels_are_refused():
    with pytest.raises(ValueError, match="row_labels has 2 entries; expected 3"):
        grids.grid(PICTURES, ROWS[:2], COLUMNS)
    with pytest.raises(ValueError, match="column_labels has 5 entries; expected 4"):
        grids.grid(PICTURES, ROWS, [*COLUMNS, "more"])
    with pytest.raises(ValueError, match=r"\[0, 4, 8, 8, 3\]; expected at least one picture"):
        grids.grid(np.zeros((0, 4, 8, 8, 3), np.float32), [], COLUMNS)


def test_a_grid_over_one_option_has_no_labels_on_the_left():
    sheet = grids.grid(np.zeros((1, 3, 32, 32, 3), np.float32), [""], [1, 2, 4], columns="weight")
    assert sheet.shape[1] > sheet.shape[0]
