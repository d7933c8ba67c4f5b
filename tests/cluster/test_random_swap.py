"""Random swaps: never worse than Lloyd's end, the optimum where Lloyd's rounds miss it, the best known errors of a real table."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from marketnn.cluster import KMeans
from marketnn.cluster.lloyd import lloyd
from marketnn.cluster.random_swap import random_swap
from marketnn.cluster.rows import HeldRows
from marketnn.seed import torch_generator


def grid(seed: int = 0) -> np.ndarray:
    """Sixteen clusters of 25 rows on a grid of 4 by 4."""
    centre = np.array([[x, y] for x in range(4) for y in range(4)], dtype=float)
    return np.repeat(centre, 25, axis=0) + np.random.default_rng(seed).normal(scale=0.08, size=(400, 2))


@settings(deadline=None, max_examples=15)
@given(n=st.integers(10, 60), d=st.integers(1, 3), k=st.integers(1, 7), seed=st.integers(0, 10**6))
def test_it_never_ends_higher(n: int, d: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    X, weight = torch.as_tensor(rng.normal(size=(n, d))), torch.as_tensor(rng.uniform(0.1, 2, size=n))
    rows = HeldRows(X, weight)
    ended = lloyd(rows, X[: 2 * k].reshape(-1, k, d)[:2] if n >= 2 * k else X[None, :k], max_rounds=99, tolerance=0.0)
    swapped = random_swap(rows, ended, torch_generator(seed), max_rounds=99)
    lloyds = ended.history[ended.best]
    assert swapped.history[0][: len(lloyds)] == lloyds
    assert (np.diff(swapped.history[0][len(lloyds) - 1 :]) < 0).all()
    assert swapped.n_rounds == [len(lloyds)]
    nearest = torch.cdist(X, swapped.centres_rkd[0]).square().amin(1)
    assert swapped.history[0][-1] == pytest.approx(float(weight @ nearest), rel=1e-9, abs=1e-9)


def test_it_finds_the_optimum_that_lloyd_misses() -> None:
    """All first centres in one cluster of the grid: Lloyd's rounds leave several clusters to share a centre."""
    X = grid()
    mean = X.reshape(16, 25, 2).mean(axis=1)
    optimum = ((X - np.repeat(mean, 25, axis=0)) ** 2).sum()
    ended = KMeans(16, init=X[:16], tol=0, random_state=0).fit(X)
    assert ended.inertia_ > 3 * optimum
    for seed in range(5):
        swapped = KMeans(16, init=X[:16], tol=0, refine="swap", random_state=seed).fit(X)
        assert swapped.inertia_ == pytest.approx(optimum, rel=1e-12)
        assert swapped.history_[: ended.n_iter_ - 1] == pytest.approx(ended.history_[: ended.n_iter_ - 1])


def test_rows_of_no_weight_receive_no_centre() -> None:
    """Three heavy places and many weightless rows far away, which would pull a centre if they were drawn."""
    X = np.concatenate([np.repeat([[0.0], [1.0], [5.0]], 5, axis=0), np.linspace(50, 90, 300)[:, None]])
    weight = np.r_[np.ones(15), np.zeros(300)]
    fitted = KMeans(3, init=X[[0, 1, 2]], tol=0, refine="swap", random_state=0).fit(X, sample_weight=weight)
    assert sorted(fitted.cluster_centers_[:, 0]) == pytest.approx([0, 1, 5])
    assert fitted.inertia_ == pytest.approx(0, abs=1e-20)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_every_device_gives_the_same_numbers_and_so_does_the_same_seed(
    device: torch.device, dtype: torch.dtype
) -> None:
    X = torch.as_tensor(grid(1) - 1.5).to(dtype)

    def search(rows_nd: torch.Tensor) -> tuple[torch.Tensor, list[float]]:
        rows = HeldRows(rows_nd)
        ended = lloyd(rows, rows_nd[:300:60][None], max_rounds=99, tolerance=0.0)
        swapped = random_swap(rows, ended, torch_generator(3), max_rounds=99)
        return swapped.centres_rkd.cpu(), swapped.history[0]

    (here, errors), (again, _), (there, errors_there) = search(X), search(X), search(X.to(device))
    assert torch.equal(here, again)
    if device.type != "cuda":
        assert torch.equal(here, there)
        assert errors == errors_there
    assert errors_there[-1] == pytest.approx(errors[-1], rel=1e-5)


@pytest.fixture(scope="module")
def scaled_rfm(retail_rfm: np.ndarray) -> np.ndarray:
    return (retail_rfm - retail_rfm.min(axis=0)) / np.ptp(retail_rfm, axis=0)


@pytest.mark.realdata
def test_every_seed_reaches_the_best_known_error_of_a_real_table(scaled_rfm: np.ndarray) -> None:
    assert scaled_rfm.shape == (4338, 3)
    found = [KMeans(4, tol=0, refine="swap", random_state=seed).fit(scaled_rfm).inertia_ for seed in range(20)]
    np.testing.assert_allclose(found, 27.215131, rtol=0, atol=1e-6)


@pytest.mark.realdata
def test_the_best_known_errors_for_two_to_eight_clusters(scaled_rfm: np.ndarray) -> None:
    known = [74.176236, 40.888202, 27.215131, 20.617230, 16.111725, 12.767793, 10.892126]
    found = [KMeans(k, tol=0, refine="swap", random_state=0).fit(scaled_rfm).inertia_ for k in range(2, 9)]
    assert (np.array(found) <= np.array(known) + 1e-6).all()
    np.testing.assert_allclose(found, known, rtol=1e-4)
