"""Rounds that look only at rows that may change cluster: the same sums, counts and ends as rounds over all rows."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.cluster
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from marketnn.cluster import KMeans
from marketnn.cluster.assignment import lloyd_round, nearest_centre
from marketnn.cluster.changed_rows import ChangedRows, may_pay, pays
from marketnn.cluster.lloyd import LloydResult, lloyd
from marketnn.cluster.rows import HeldRows


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small tables too go by changes, in several blocks of which the last is ragged."""
    monkeypatch.setattr("marketnn.cluster.changed_rows.may_pay", lambda rows, k: True)
    monkeypatch.setattr("marketnn.cluster.changed_rows.pays", lambda rows, before, centres: True)
    monkeypatch.setattr("marketnn.cluster.lloyd._PROBED", 1)
    monkeypatch.setattr("marketnn.cluster.changed_rows._MOVED_ROWS", 64)
    monkeypatch.setattr("marketnn.cluster.rows._BLOCK_ROWS", (16, 150))


def by_masks(X: torch.Tensor, start_rkd: torch.Tensor, max_rounds: int = 300) -> LloydResult:
    """Run the same start in rounds over all rows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("marketnn.cluster.changed_rows.may_pay", lambda rows, k: False)
        return lloyd(HeldRows(X), start_rkd, max_rounds=max_rounds, tolerance=0.0)


@pytest.mark.parametrize(("n", "d", "k"), [(1_000, 3, 5), (151, 1, 2), (150, 8, 12), (620, 20, 40), (40, 2, 1)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.usefixtures("always")
def test_every_round_is_that_over_all_rows(n: int, d: int, k: int, dtype: torch.dtype) -> None:
    X = torch.as_tensor(np.random.default_rng(n).normal(size=(n, d))).to(dtype)
    rows = HeldRows(X)
    centres_1kd, clusters, label_n = X[:k][None], ChangedRows(rows, X[n - k :]), nearest_centre(X, X[n - k :])
    # The sums over all rows, with which the changes begin, are products in X's dtype within a block.
    tolerance = {"rtol": 1e-12, "atol": 1e-10} if dtype == torch.float64 else {"rtol": 1e-5, "atol": 1e-3}
    for _ in range(8):
        expected = lloyd_round(rows, centres_1kd)
        found, n_changed = clusters.round(centres_1kd)
        nearest_n = nearest_centre(X, centres_1kd[0])
        assert n_changed == int((nearest_n != label_n).sum())
        assert torch.equal(found.mass_rk, expected.mass_rk)
        assert found.hits_r.tolist() == expected.hits_r.tolist() == [n]
        exact_kd = torch.zeros(k, d, dtype=torch.float64).index_add_(0, nearest_n, X.double())
        torch.testing.assert_close(found.sum_rkd[0], exact_kd, **tolerance)
        torch.testing.assert_close(found.sum_rkd, expected.sum_rkd, **tolerance)
        torch.testing.assert_close(found.centres_rkd, expected.centres_rkd, **tolerance)
        torch.testing.assert_close(found.sse_r, expected.sse_r, rtol=tolerance["rtol"], atol=1e-9)
        torch.testing.assert_close(found.shift_r, expected.shift_r, **tolerance)
        centres_1kd, label_n = found.centres_rkd, nearest_n


@pytest.mark.usefixtures("always")
def test_a_row_enters_the_first_of_its_nearest_centres_and_stays_on_a_tie() -> None:
    X = torch.tensor([[-1.0], [0.0], [1.0]], dtype=torch.float64)
    nearer_1kd, farther_1kd = torch.tensor([[[-1.0], [0.5]], [[-1.0], [1.0]]], dtype=torch.float64).split(1)
    clusters = ChangedRows(HeldRows(X), nearer_1kd[0])
    assert clusters.in_first(nearer_1kd[0])
    # The middle row is now as near to the first centre as to its own, the second: it stays.
    outcome, n_changed = clusters.round(farther_1kd)
    assert (outcome.mass_rk.tolist(), n_changed) == ([[1.0, 2.0]], 0)
    assert outcome.sum_rkd.flatten().tolist() == [-1.0, 1.0]
    assert not clusters.in_first(farther_1kd[0])
    # Where two centres change places, all rows but the middle one change cluster.
    outcome, n_changed = clusters.round(-farther_1kd)
    assert (outcome.mass_rk.tolist(), n_changed) == ([[1.0, 2.0]], 2)
    assert ChangedRows(HeldRows(X), farther_1kd[0]).round(farther_1kd)[0].mass_rk.tolist() == [[2.0, 1.0]]


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(n=st.integers(30, 400), d=st.integers(1, 4), k=st.integers(1, 9), seed=st.integers(0, 10**6))
@pytest.mark.usefixtures("always")
def test_the_run_is_that_over_all_rows(n: int, d: int, k: int, seed: int) -> None:
    """One centre far from everything: a cluster is empty in the first round and takes the farthest row."""
    X = torch.as_tensor(np.random.default_rng(seed).normal(size=(n, d)))
    start = torch.stack([X[:k], torch.cat([X[1:k], torch.full((1, d), 1e3, dtype=torch.float64)])])
    found, expected = lloyd(HeldRows(X), start, max_rounds=300, tolerance=0.0), by_masks(X, start)
    torch.testing.assert_close(found.centres_rkd, expected.centres_rkd, rtol=1e-10, atol=1e-10)
    assert found.converged == expected.converged
    for errors, expected_errors in zip(found.history, expected.history, strict=True):
        # The last round may be one of rounding: what a row halfway between two centres makes of the last bit of their sums.
        assert abs(len(errors) - len(expected_errors)) <= 1
        shared = min(len(errors), len(expected_errors))
        np.testing.assert_allclose(errors[:shared], expected_errors[:shared], rtol=1e-10, atol=1e-9)


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(n=st.integers(20, 300), d=st.integers(1, 3), k=st.integers(1, 8), seed=st.integers(0, 10**6))
@pytest.mark.usefixtures("always")
def test_ties_and_duplicates_end_at_rest(n: int, d: int, k: int, seed: int) -> None:
    """Coarse rows are often equally near to two centres; the end is a fixed point with ties given to the first centre."""
    X = torch.as_tensor(np.random.default_rng(seed).integers(0, 4, size=(n, d)).astype(float))
    result = lloyd(HeldRows(X), X[:k][None], max_rounds=300, tolerance=0.0)
    assert result.converged == [True]
    assert (np.diff(result.history[0]) <= 1e-9).all()
    at_end = lloyd_round(HeldRows(X), result.centres_rkd, break_ties=True)
    torch.testing.assert_close(at_end.sse_r[0].item(), result.history[0][-1], rtol=1e-10, atol=1e-9)
    filled = at_end.mass_rk[0] > 0
    torch.testing.assert_close(at_end.centres_rkd[0, filled], result.centres_rkd[0, filled], rtol=0, atol=1e-10)


@pytest.mark.usefixtures("always")
def test_rounds_run_out() -> None:
    X = torch.as_tensor(np.random.default_rng(0).normal(size=(500, 2)))
    result = lloyd(HeldRows(X), X[:7][None], max_rounds=3, tolerance=0.0)
    assert (result.n_rounds, result.converged) == ([3], [False])
    torch.testing.assert_close(result.centres_rkd, by_masks(X, X[:7][None], 3).centres_rkd, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("k", [8, 25])
def test_it_ends_as_scikit_learns_from_the_same_start(k: int) -> None:
    rng = np.random.default_rng(k)
    X = rng.normal(scale=3, size=(k, 8))[rng.integers(k, size=60_000)] + rng.normal(size=(60_000, 8))
    assert may_pay(HeldRows(torch.as_tensor(X)), k)
    settings_of_both = {"init": X[:k], "n_init": 1, "max_iter": 60, "tol": 0}
    found = KMeans(k, **settings_of_both).fit(X)
    expected = sklearn.cluster.KMeans(k, algorithm="lloyd", **settings_of_both).fit(X)
    assert (found.labels_ == expected.labels_).all()
    assert found.n_iter_ == expected.n_iter_
    assert found.inertia_ == pytest.approx(expected.inertia_, rel=1e-10)
    np.testing.assert_allclose(found.cluster_centers_, expected.cluster_centers_, rtol=1e-9, atol=1e-10)
    assert (np.diff(found.history_) <= 1e-11).all()


def test_it_may_pay_for_large_unweighted_tables_on_the_host(device: torch.device) -> None:
    X = torch.zeros(60_000, 8, device=device, dtype=torch.float64)
    here = device.type == "cpu"
    assert may_pay(HeldRows(X), 8) == here
    assert may_pay(HeldRows(X, torch.ones_like(X[:, 0])), 8) == here
    assert not may_pay(HeldRows(X, torch.full_like(X[:, 0], 2)), 8)
    assert not may_pay(HeldRows(X[:1_000]), 8)
    assert not may_pay(HeldRows(X), 1)
    assert not may_pay(object(), 8)


def test_it_pays_when_the_centres_move_little_against_the_margins() -> None:
    X = torch.as_tensor(np.random.default_rng(0).uniform(size=(20_000, 1)))
    rows, centres_kd = HeldRows(X), torch.tensor([[0.25], [0.75]], dtype=torch.float64)
    # Half of the rows have a margin of 1/2, those of the others are spread evenly below. A step of s by both centres takes
    # 2 s off each, so that a share of 4 s (2 - log(4 s)) / 2 is open: 0.16 or 0.25, where 0.20 would pay.
    assert pays(rows, centres_kd + 0.02, centres_kd)
    assert not pays(rows, centres_kd + 0.035, centres_kd)
    assert pays(rows, centres_kd, centres_kd)
