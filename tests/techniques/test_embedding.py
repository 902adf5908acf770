import numpy as np
import pytest

from jaxviz import embedding


@pytest.fixture
def points():
    return np.random.default_rng(0).standard_normal((500, 12)).astype(np.float32)


@pytest.mark.parametrize("metric", embedding.METRICS)
@pytest.mark.parametrize(("queries", "block"), [(7, 8192), (300, 64), (500, 500)])
def test_neighbors_are_those_of_all_distances(metric, queries, block, points, monkeypatch):
    monkeypatch.setattr(embedding, "POINTS", block)
    monkeypatch.setattr(embedding, "QUERIES", 128)
    embedding._neighbors.clear_cache()
    found = embedding.neighbors(points[:queries], points, 6, metric=metric)
    wide = points.astype(np.float64)
    if metric == "cosine":
        unit = wide / np.linalg.norm(wide, axis=1, keepdims=True)
        distances = 1 - unit[:queries] @ unit.T
    else:
        distances = np.linalg.norm(wide[:queries, None] - wide, axis=-1)
    np.testing.assert_array_equal(found.indices, np.argsort(distances, 1, kind="stable")[:, :6])
    np.testing.assert_allclose(found.distances, np.sort(distances, 1)[:, :6], atol=2e-6)


def test_of_equal_points_the_first_is_nearest(points):
    doubled = np.concatenate([points[:3], points[:3]])
    assert embedding.neighbors(points[:3], doubled, 2).indices.tolist() == [[0, 3], [1, 4], [2, 5]]


def test_vectors_of_zeros_are_far_from_all(points):
    found = embedding.neighbors(np.zeros((1, 12), np.float32), points, 3)
    np.testing.assert_allclose(found.distances, 1)


def test_pca_finds_the_line_that_points_lie_on():
    along = np.linspace(-1, 1, 40, dtype=np.float32)
    points = np.outer(along, [3, 4]) + 1
    places, shares = embedding.pca(points, 2)
    np.testing.assert_allclose(np.abs(places[:, 0]), np.abs(5 * along), atol=1e-5)
    np.testing.assert_allclose(shares, [1, 0], atol=1e-6)


@pytest.mark.slow
def test_tsne_keeps_clusters_apart(points):
    clusters = np.concatenate([points[:40] + 20, points[40:80] - 20])
    places = embedding.tsne(clusters, perplexity=10)
    assert places.shape == (80, 2)
    middle = places[:40].mean(0), places[40:].mean(0)
    spread = max(np.linalg.norm(places[:40] - middle[0], axis=1).mean(), 1e-9)
    assert np.linalg.norm(middle[0] - middle[1]) > 2 * spread
    np.testing.assert_array_equal(places, embedding.tsne(clusters, perplexity=10))


def test_a_grid_shows_of_each_cell_the_point_nearest_to_its_middle(points):
    places = points[:, :2]
    cells = embedding.on_grid(places, 8)
    assert cells.shape == (8, 8)
    shown = cells[cells >= 0]
    assert len(set(shown)) == len(shown)
    corner = embedding.on_grid(np.array([[0.0, 0.0], [1.0, 1.0]]), 3)
    assert corner[2, 0] == 0
    assert corner[0, 2] == 1
    assert (embedding.on_grid(np.zeros((4, 2)), 2) >= 0).sum() == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: embedding.neighbors(p, p, 501), "k is 501; expected 1 to the 500"),
        (lambda p: embedding.neighbors(p, p, 0), "k is 0"),
        (lambda p: embedding.neighbors(p[:, :3], p, 1), "queries have 3 features and points 12"),
        (lambda p: embedding.neighbors(p * np.nan, p, 1), "queries hold NaN"),
        (lambda p: embedding.tsne(p[:20]), "perplexity is 30, and there are 20 points"),
        (lambda p: embedding.tsne(p[:2], perplexity=1), "there are 2 points; expected at least 3"),
        (lambda p: embedding.pca(p[:1]), "there are 1 points; expected at least 2"),
        (lambda p: embedding.pca(p, 13), "count is 13; expected 1 to 12"),
    ],
)
def test_bad_input_is_refused(call, message, points):
    with pytest.raises(ValueError, match=message):
        call(points)


def test_unknown_metrics_are_named(points):
    with pytest.raises(KeyError, match="no metric is named 'cosin'; nearest: cosine"):
        embedding.neighbors(points, points, 1, metric="cosin")
