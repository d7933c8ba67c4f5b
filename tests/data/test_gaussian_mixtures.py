"""The generator: sizes, spreads, overlaps and seeds are what it says."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from marketnn.data.gaussian_mixtures import KINDS, draw_gaussian_mixture
from marketnn.errors import InputError


@pytest.mark.parametrize(
    ("kind", "shape", "k", "low", "high"),
    [
        ("S1", (5000, 2), 15, 0.0, 0.01),
        ("S2", (5000, 2), 15, 0.003, 0.02),
        ("S3", (5000, 2), 15, 0.02, 0.045),
        ("S4", (5000, 2), 15, 0.045, 0.08),
        ("A1", (3000, 2), 20, 0.0, 0.01),
        ("A2", (5250, 2), 35, 0.004, 0.015),
        ("A3", (7500, 2), 50, 0.008, 0.02),
        ("unbalance", (6500, 2), 8, 0.0, 0.002),
        ("six_segments", (3000, 6), 6, 0.0, 0.01),
    ],
)
def test_shapes_and_overlap(kind: str, shape: tuple[int, int], k: int, low: float, high: float) -> None:
    drawn = [draw_gaussian_mixture(kind, seed=seed) for seed in range(5)]
    scale = np.ones(shape[1]) if kind != "six_segments" else drawn[0].x.std(axis=0)
    for mixture in drawn:
        assert mixture.x.shape == shape
        assert mixture.centres.shape == (k, shape[1])
        assert len(mixture.columns) == shape[1]
        assert len(np.unique(mixture.labels)) == k
    if kind != "six_segments":
        assert low <= np.mean([mixture.overlap for mixture in drawn]) <= high
    means = np.stack([drawn[0].x[drawn[0].labels == j].mean(axis=0) for j in range(k)])
    np.testing.assert_allclose(means / scale, drawn[0].centres / scale, atol=0.12)


def test_centres_keep_their_distance_and_groups_their_sizes() -> None:
    for seed in range(20):
        assert pdist(draw_gaussian_mixture("A3", seed=seed).centres).min() >= 0.09
    assert np.bincount(draw_gaussian_mixture("unbalance").labels).tolist() == [2000] * 3 + [100] * 5


def test_the_same_seed_draws_the_same_points() -> None:
    one, two, other = (draw_gaussian_mixture("S3", seed=seed) for seed in (4, 4, 5))
    assert (one.x == two.x).all()
    assert (one.labels == two.labels).all()
    assert (one.x != other.x).any()


def test_customers_stay_within_their_columns() -> None:
    mixture = draw_gaussian_mixture("six_segments", seed=1)
    column = dict(zip(mixture.columns, mixture.x.T, strict=True))
    assert column["age"].min() >= 18
    assert column["positive_feedback_rate"].max() <= 1
    assert mixture.x.min() >= 0
    z = (mixture.centres - mixture.centres.mean(axis=0)) / mixture.x.std(axis=0)
    assert (z.argmax(axis=1) == np.arange(6)).all()


def test_what_cannot_be_drawn() -> None:
    with pytest.raises(InputError, match="unknown kind of mixture 'S5'"):
        draw_gaussian_mixture("S5")
    with pytest.raises(InputError, match="seed=-1 is not possible"):
        draw_gaussian_mixture(KINDS[0], seed=-1)
