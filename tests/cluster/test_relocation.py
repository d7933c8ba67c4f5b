"""Empty clusters take the farthest rows: by hand, as scikit-learn's do, and from a table in blocks."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.cluster
import torch

from marketnn.cluster.assignment import lloyd_round
from marketnn.cluster.lloyd import lloyd
from marketnn.cluster.relocation import relocate_empty
from marketnn.cluster.rows import HeldRows


def relocated(X: torch.Tensor, centres_rkd: torch.Tensor, weight: torch.Tensor | None = None):
    rows = HeldRows(X, weight)
    return relocate_empty(rows, centres_rkd, lloyd_round(rows, centres_rkd, break_ties=True))


def test_an_empty_cluster_takes_the_farthest_row_from_its_cluster() -> None:
    X = torch.tensor([[0.0], [1.0], [9.0], [20.0], [21.0]], dtype=torch.float64)
    centres = torch.tensor([[[0.0], [20.0], [500.0]]], dtype=torch.float64)
    outcome = relocated(X, centres)
    assert outcome.centres_rkd.flatten().tolist() == [0.5, 20.5, 9.0]
    assert outcome.mass_rk.tolist() == [[2.0, 2.0, 1.0]]
    assert outcome.sse_r.tolist() == [pytest.approx(1.0)]
    assert outcome.shift_r.tolist() == [0.25 + 0.25 + 491.0**2]


def test_several_empty_clusters_take_the_farthest_rows_in_turn() -> None:
    X = torch.tensor([[0.0], [1.0], [-7.0], [9.0]], dtype=torch.float64)
    centres = torch.tensor([[[80.0], [0.0], [90.0]]], dtype=torch.float64)
    outcome = relocated(X, centres)
    assert outcome.centres_rkd.flatten().tolist() == [9.0, 0.5, -7.0]


def test_the_last_row_of_a_cluster_stays() -> None:
    """The farthest row is alone in its cluster, so the empty cluster keeps its centre."""
    X = torch.tensor([[0.0], [50.0]], dtype=torch.float64)
    centres = torch.tensor([[[0.0], [30.0], [900.0]]], dtype=torch.float64)
    outcome = relocated(X, centres)
    assert outcome.centres_rkd.flatten().tolist() == [0.0, 50.0, 900.0]
    assert outcome.mass_rk.tolist() == [[1.0, 1.0, 0.0]]


def test_only_starts_with_empty_clusters_change_and_rows_without_weight_do_not_count() -> None:
    X = torch.tensor([[0.0], [1.0], [2.0], [100.0]], dtype=torch.float64)
    weight = torch.tensor([1.0, 2.0, 3.0, 0.0], dtype=torch.float64)
    centres = torch.tensor([[[0.0], [999.0]], [[0.0], [2.0]]], dtype=torch.float64)
    outcome = relocated(X, centres, weight)
    untouched = lloyd_round(HeldRows(X, weight), centres, break_ties=True)
    assert outcome.centres_rkd[0].flatten().tolist() == [pytest.approx(2 / 3), 2.0]
    assert outcome.mass_rk[0].tolist() == [3.0, 3.0]
    assert torch.equal(outcome.centres_rkd[1], untouched.centres_rkd[1])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("max_iter", [1, 2, 100])
def test_it_takes_the_row_that_scikit_learn_takes(dtype: type, max_iter: int) -> None:
    X = np.random.default_rng(0).normal(size=(400, 3)).astype(dtype)
    init = np.vstack([X[:5], np.full((1, 3), 80, dtype)])
    expected = sklearn.cluster.KMeans(6, init=init, n_init=1, max_iter=max_iter, tol=0).fit(X)
    # scikit-learn too computes about the mean.
    centred, offset = torch.as_tensor(X - X.mean(axis=0)), X.mean(axis=0)
    result = lloyd(HeldRows(centred), torch.as_tensor(init - offset)[None], max_rounds=max_iter, tolerance=0.0)
    tolerance = 1e-10 if dtype == np.float64 else 1e-5
    np.testing.assert_allclose(result.centres_rkd[0].numpy() + offset, expected.cluster_centers_, atol=tolerance)
    assert result.n_rounds == [expected.n_iter_]


@pytest.mark.parametrize("n_empty", [1, 3])
def test_blocks_find_the_same_rows(monkeypatch: pytest.MonkeyPatch, device: torch.device, n_empty: int) -> None:
    X = torch.as_tensor(np.random.default_rng(1).normal(size=(1_000, 2)))
    far = torch.full((n_empty, 2), 50.0, dtype=torch.float64)
    centres = torch.cat([X[:4], far])[None]
    whole = relocated(X, centres)
    monkeypatch.setattr("marketnn.cluster.rows._BLOCK_ROWS", (2, 33))
    monkeypatch.setattr("marketnn.cluster.rows._BLOCK_ELEMENTS", 2)
    found = relocated(X.to(device), centres.to(device))
    torch.testing.assert_close(found.centres_rkd.cpu(), whole.centres_rkd, rtol=1e-12, atol=1e-12)
    distance = torch.cdist(X, X[:4]).amin(1)
    farthest = X[distance.topk(n_empty).indices]
    torch.testing.assert_close(found.centres_rkd[0, 4:].cpu(), farthest, rtol=0, atol=0)
