"""Dunn's index, within over between, the gap, the stability: brute force, closed forms, data with and without clusters."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from marketnn.cluster import KMeans
from marketnn.cluster.dispersion import dunn_index, gap_choice, gap_statistic, within_between, within_sse
from marketnn.cluster.stability import stability
from marketnn.errors import InputError


def test_dunn_by_brute_force(device: torch.device) -> None:
    rng = np.random.default_rng(0)
    x, label = rng.normal(size=(150, 3)), rng.integers(4, size=150)
    distance, same = cdist(x, x), label[:, None] == label
    ours = dunn_index(torch.as_tensor(x, device=device), torch.as_tensor(label, device=device))
    assert ours == pytest.approx(distance[~same].min() / distance[same].max(), rel=1e-12)


def test_dunn_by_hand_and_its_limits() -> None:
    x = torch.tensor([[0.0], [1.0], [5.0], [7.0]])
    assert dunn_index(x, torch.tensor([0, 0, 1, 1])) == pytest.approx(4 / 2)
    assert dunn_index(x, torch.tensor([0, 1, 2, 3])) == np.inf
    with pytest.raises(InputError, match="2 or more are needed"):
        dunn_index(x, torch.zeros(4))


def test_within_between_and_sums_of_squares_by_hand() -> None:
    x, label = np.array([[0.0], [2.0], [10.0], [12.0]]), np.array([5, 5, 1, 1])
    assert within_sse(x, label) == pytest.approx(4.0)
    assert within_between(4.0, 4, np.array([[1.0], [11.0]])) == pytest.approx(1 / 100)


def test_the_gap_of_a_known_within() -> None:
    x = np.random.default_rng(0).uniform(size=(50, 2))

    def within(table: np.ndarray, k: int) -> float:
        return float(np.e**k) if table is x else float(np.e**2)

    found = gap_statistic(x, [1, 2, 3], within, n_references=4, seed=0)
    np.testing.assert_allclose(found.gap, [1, 0, -1], atol=1e-12)
    np.testing.assert_allclose(found.standard_error, 0, atol=1e-12)


@pytest.mark.parametrize(
    ("gap", "error", "k"),
    [([0.1, 0.2, 0.9, 0.8], [0.01] * 4, 4), ([0.1, 0.105, 0.9, 0.8], [0.01] * 4, 2), ([0.1, 0.2, 0.3], [0.01] * 3, 4)],
)
def test_the_one_standard_error_rule(gap: list[float], error: list[float], k: int) -> None:
    candidates = list(range(2, 2 + len(gap)))
    assert gap_choice(candidates, np.array(gap), np.array(error)) == k


def test_stability_is_one_for_separate_groups_and_low_for_none() -> None:
    rng = np.random.default_rng(0)
    apart = 20 * rng.integers(3, size=(300, 1)) + rng.normal(size=(300, 2))
    assert stability(apart, KMeans(3, n_init=5, random_state=0), n_resamples=4, seed=0) == 1.0
    even = rng.uniform(size=(300, 2))
    assert stability(even, KMeans(7, n_init=1, random_state=0), n_resamples=4, seed=0) < 0.8
    assert stability(apart[:4], KMeans(4, random_state=0), n_resamples=2, seed=0) == 0.0
