"""Lloyd's rounds against a loop over rows: ties, weights, empty clusters, many starts, and no waiting for the device."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pretend_device import PretendDevice

from marketnn.cluster.assignment import lloyd_round, nearest_centre
from marketnn.cluster.lloyd import lloyd
from marketnn.cluster.rows import HeldRows

MANY = 40


def rows_of(X: np.ndarray, weight: np.ndarray | None = None) -> HeldRows:
    return HeldRows(torch.as_tensor(X), None if weight is None else torch.as_tensor(weight))


def one_by_one(X: np.ndarray, weight: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """A round as the textbook says it: the first nearest centre, then the weighted mean."""
    label = np.array([((x - centres) ** 2).sum(1).argmin() for x in X])
    mass = np.bincount(label, weight, minlength=len(centres))
    moved = centres.copy()
    for j in np.flatnonzero(mass):
        moved[j] = (weight[:, None] * X)[label == j].sum(0) / mass[j]
    return moved, mass, float((weight * ((X - moved[label]) ** 2).sum(1)).sum())


@settings(deadline=None, max_examples=40)
@given(
    n=st.integers(1, 60), d=st.integers(1, 4), k=st.integers(1, MANY), r=st.integers(1, 3), seed=st.integers(0, 10**6)
)
def test_a_round_is_the_textbooks(n: int, d: int, k: int, r: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    X, weight, centres = rng.normal(size=(n, d)), rng.uniform(size=n), rng.normal(size=(r, k, d))
    result = lloyd_round(rows_of(X, weight), torch.as_tensor(centres))
    for start in range(r):
        moved, mass, sse = one_by_one(X, weight, centres[start])
        np.testing.assert_allclose(result.centres_rkd[start], moved, atol=1e-9)
        np.testing.assert_allclose(result.mass_rk[start], mass, atol=1e-12)
        assert result.sse_r[start] == pytest.approx(sse, abs=1e-9 * (1 + (X**2).sum()))
        assert result.shift_r[start] == pytest.approx(((moved - centres[start]) ** 2).sum(), abs=1e-9)
        assert result.hits_r[start] == n


@pytest.mark.parametrize("k", [3, MANY])
def test_a_row_between_centres_goes_to_the_first(k: int) -> None:
    X = np.array([[-1.0], [0.0], [1.0], [0.0]])
    centres = np.full((1, k, 1), 50.0)
    centres[0, [1, 2], 0] = [1.0, -1.0]
    rows = rows_of(X)
    assert lloyd_round(rows, torch.as_tensor(centres)).hits_r.tolist() == [6.0]
    result = lloyd_round(rows, torch.as_tensor(centres), break_ties=True)
    assert result.hits_r.tolist() == [4.0]
    assert result.mass_rk[0, 1:3].tolist() == [3.0, 1.0]
    assert result.centres_rkd[0, 1:3, 0].tolist() == [pytest.approx(1 / 3), -1.0]


@pytest.mark.parametrize("k", [6, MANY])
def test_blocks_change_nothing_but_rounding(monkeypatch: pytest.MonkeyPatch, k: int) -> None:
    X = np.random.default_rng(0).normal(size=(5000, 3))
    centres = torch.as_tensor(X[: 2 * k].reshape(2, k, 3))
    few = lloyd_round(rows_of(X), centres)
    monkeypatch.setattr("marketnn.cluster.rows._BLOCK_ROWS", (7, 37))
    many = lloyd_round(rows_of(X), centres)
    torch.testing.assert_close(few.centres_rkd, many.centres_rkd, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(few.sse_r, many.sse_r, rtol=1e-12, atol=0)


@settings(deadline=None, max_examples=40)
@given(n=st.integers(8, 80), d=st.integers(1, 4), k=st.integers(1, 8), coarse=st.booleans(), seed=st.integers(0, 10**6))
def test_the_error_never_rises(n: int, d: int, k: int, coarse: bool, seed: int) -> None:
    """Coarse rows have ties and duplicates, so clusters run empty and take the farthest rows."""
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 4, size=(n, d)).astype(float) if coarse else rng.normal(size=(n, d))
    starts = torch.as_tensor(np.stack([X[rng.choice(n, k, replace=False)] for _ in range(3)]))
    result = lloyd(rows_of(X), starts, max_rounds=300, tolerance=0.0)
    for errors, n_rounds in zip(result.history, result.n_rounds, strict=True):
        assert (np.diff(errors) <= 1e-12 * (1 + (X**2).sum())).all()
        assert len(errors) == n_rounds
    assert all(result.converged)


def test_starts_side_by_side_end_as_alone() -> None:
    X = np.random.default_rng(4).normal(size=(800, 3))
    rows = rows_of(X)
    starts = rows.x_nd[:30].reshape(6, 5, 3)
    together = lloyd(rows, starts, max_rounds=300, tolerance=0.0)
    assert len(set(together.n_rounds)) > 1
    for start in range(6):
        alone = lloyd(rows, starts[start : start + 1], max_rounds=300, tolerance=0.0)
        torch.testing.assert_close(together.centres_rkd[start], alone.centres_rkd[0], rtol=1e-12, atol=1e-12)
        assert together.n_rounds[start] == alone.n_rounds[0]
        np.testing.assert_allclose(together.history[start], alone.history[0])


def test_max_rounds_stops_a_start() -> None:
    X = np.random.default_rng(5).normal(size=(300, 2))
    result = lloyd(rows_of(X), torch.as_tensor(X[:8])[None], max_rounds=2, tolerance=0.0)
    assert (result.n_rounds, result.converged, len(result.history[0])) == ([2], [False], 2)


def test_tolerance_bounds_the_summed_squared_moves() -> None:
    X = np.random.default_rng(7).normal(size=(500, 2))
    start = torch.as_tensor(X[:6])[None]
    to_rest = lloyd(rows_of(X), start, max_rounds=300, tolerance=0.0)
    tolerance = to_rest.shifts[0][4]
    early = lloyd(rows_of(X), start, max_rounds=300, tolerance=tolerance)
    expected = next(i for i, shift in enumerate(to_rest.shifts[0], start=1) if shift <= tolerance)
    assert (early.n_rounds, early.converged) == ([expected], [True])
    assert to_rest.shifts[0][-1] == 0


@pytest.mark.parametrize("k", [4, MANY])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_round_never_makes_the_host_wait(device: torch.device, k: int, dtype: torch.dtype) -> None:
    X = torch.as_tensor(np.random.default_rng(6).normal(size=(3000, 3))).to(dtype)
    start = X[: 2 * k].reshape(2, k, 3)
    expected = lloyd_round(HeldRows(X), start).centres_rkd
    X_there, start_there = X.to(device), start.to(device)

    def rounds() -> list[torch.Tensor]:
        rows = HeldRows(X_there)
        moved = [lloyd_round(rows, start_there, break_ties=ties).centres_rkd for ties in (False, True)]
        return [*moved, *(nearest_centre(X_there, centres) for centres in moved[0])]

    if device.type == "pretend":
        with PretendDevice(host_sync="error"):
            found = rounds()
    else:
        found = rounds()
    for centres_rkd in found[:2]:
        torch.testing.assert_close(centres_rkd.cpu(), expected, rtol=1e-5 if device.type == "cuda" else 0, atol=0)
    if device.type != "cuda":
        for label_n, centres_kd in zip(found[2:], expected, strict=True):
            assert torch.equal(label_n.cpu(), nearest_centre(X, centres_kd))


@pytest.mark.parametrize("weighted", [False, True])
def test_every_device_ends_where_the_cpu_does(device: torch.device, weighted: bool) -> None:
    """Starts of one row several times, so that clusters run empty on the way."""
    rng = np.random.default_rng(8)
    X, weight = torch.as_tensor(rng.normal(size=(900, 3))), torch.as_tensor(rng.uniform(0.5, 2, size=900))
    start = X[torch.tensor([[0, 0, 1, 2, 3], [4, 5, 6, 7, 8], [9, 9, 9, 10, 11]])]
    here, there = (
        lloyd(
            HeldRows(X.to(where), weight.to(where) if weighted else None),
            start.to(where),
            max_rounds=100,
            tolerance=0.0,
        )
        for where in (torch.device("cpu"), device)
    )
    rtol = 1e-9 if device.type == "cuda" else 0
    torch.testing.assert_close(there.centres_rkd.cpu(), here.centres_rkd, rtol=rtol, atol=0)
    assert (there.n_rounds, there.converged) == (here.n_rounds, here.converged)
    for errors_there, errors_here in zip(there.history, here.history, strict=True):
        np.testing.assert_allclose(errors_there, errors_here, rtol=rtol)
