"""PAM's kernels against brute force: every swap's change, the local optimum, the exhaustive optimum as a bound."""

from __future__ import annotations

from contextlib import nullcontext
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pretend_device import PretendDevice
from torch import Tensor

from marketnn.cluster import pam
from marketnn.cluster.pam import Nearest, build, swap, swap_changes


def loss_of(distance_cn: np.ndarray, medoids: list[int]) -> float:
    return float(distance_cn[medoids].min(axis=0).sum())


def swapped_losses(distance_cn: np.ndarray, medoids: list[int]) -> np.ndarray:
    """The loss (k, c) after each swap of a medoid with a candidate."""
    return np.array(
        [
            [
                loss_of(distance_cn, [*medoids[:m], candidate, *medoids[m + 1 :]])
                for candidate in range(len(distance_cn))
            ]
            for m in range(len(medoids))
        ]
    )


def distances(n: int, seed: int, *, coarse: bool = False, d: int = 2) -> np.ndarray:
    """Euclidean distances of n rows; coarse rows have duplicates and ties."""
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 3, size=(n, d)).astype(float) if coarse else rng.normal(size=(n, d))
    return np.sqrt(((X[:, None] - X[None]) ** 2).sum(axis=2))


problems = {
    "n": st.integers(5, 40),
    "k": st.integers(1, 5),
    "coarse": st.booleans(),
    "seed": st.integers(0, 10**6),
}


@settings(deadline=None, max_examples=40)
@given(**problems)
def test_the_changes_are_those_of_brute_force(n: int, k: int, coarse: bool, seed: int) -> None:
    D = distances(n, seed, coarse=coarse)
    medoids = np.random.default_rng(seed).choice(n, k, replace=False).tolist()
    block = torch.as_tensor(D)[None]
    found = swap_changes(block, Nearest.of(block, torch.tensor([medoids])))[0]
    np.testing.assert_allclose(found, swapped_losses(D, medoids) - loss_of(D, medoids), atol=1e-12 * n)


@settings(deadline=None, max_examples=40)
@given(rows=st.sampled_from([16, 10**6]), start=st.sampled_from(["build", "first"]), **problems)
def test_no_single_swap_improves(rows: int, start: str, n: int, k: int, coarse: bool, seed: int) -> None:
    D = distances(n, seed, coarse=coarse)
    distance = torch.as_tensor(D)[None]
    first = build(distance, k) if start == "build" else torch.arange(k)[None]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pam, "_BLOCK_ELEMENTS", rows)
        patch.setattr(pam, "_BLOCK_ROWS", 3)
        result = swap(distance, first)
    medoids, history = result.medoids_sk[0].tolist(), result.history[0]
    assert history[0] == pytest.approx(loss_of(D, first[0].tolist()), rel=1e-12)
    assert history[-1] == pytest.approx(loss_of(D, medoids), rel=1e-12, abs=1e-12)
    assert (np.diff(history) < 0).all()
    assert swapped_losses(D, medoids).min() >= history[-1] - 1e-10
    if not coarse:
        assert len(set(medoids)) == k


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10**6))
def test_the_exhaustive_optimum_is_a_lower_bound(seed: int) -> None:
    D = distances(11, seed)
    best = min(loss_of(D, list(chosen)) for chosen in combinations(range(11), 3))
    distance = torch.as_tensor(D)[None]
    loss = swap(distance, build(distance, 3)).history[0][-1]
    assert best - 1e-12 <= loss <= 1.5 * best


def test_build_takes_the_greatest_fall_each_time() -> None:
    D = distances(60, 1)
    medoids: list[int] = []
    for _ in range(6):
        medoids.append(int(np.argmin([loss_of(D, [*medoids, candidate]) for candidate in range(60)])))
    assert build(torch.as_tensor(D)[None], 6).tolist() == [medoids]


def test_build_chooses_different_rows_among_duplicates() -> None:
    assert sorted(build(torch.zeros(1, 7, 7), 4)[0].tolist()) == [0, 1, 2, 3]
    assert swap(torch.zeros(1, 7, 7), torch.arange(4)[None]).history == [[0.0]]


def test_two_pairs_on_a_line() -> None:
    """Rows 0, 1, 10, 11, 12: the medoids are 0 (or 1) and 11, the loss is 1 + 1 + 1."""
    X = torch.tensor([[0.0], [1.0], [10.0], [11.0], [12.0]], dtype=torch.float64)
    distance = torch.cdist(X, X)[None]
    result = swap(distance, torch.tensor([[3, 4]]))
    assert sorted(result.medoids_sk[0].tolist())[1] == 3
    assert result.history[0][0] == 22.0
    assert result.history[0][-1] == 3.0


def test_problems_side_by_side_end_as_alone() -> None:
    together = torch.as_tensor(np.stack([distances(70, seed) for seed in range(6)]))
    start = build(together, 4)
    result = swap(together, start)
    for problem in range(6):
        alone = swap(together[problem : problem + 1], start[problem : problem + 1])
        assert build(together[problem : problem + 1], 4).tolist() == [start[problem].tolist()]
        assert alone.medoids_sk.tolist() == [result.medoids_sk[problem].tolist()]
        np.testing.assert_allclose(alone.history[0], result.history[problem], rtol=1e-13)


def test_candidates_need_not_be_the_columns() -> None:
    D = distances(50, 3)[:20]
    result = swap(torch.as_tensor(D)[None], torch.arange(3)[None])
    assert swapped_losses(D, result.medoids_sk[0].tolist()).min() >= result.history[0][-1] - 1e-12


def test_max_passes_stops_the_swaps() -> None:
    distance = torch.as_tensor(distances(300, 2))[None]
    result = swap(distance, torch.arange(8)[None], max_passes=1)
    assert result.n_passes == 1
    assert result.history[0][-1] > swap(distance, torch.arange(8)[None]).history[0][-1]


def test_single_precision_ends_near_double() -> None:
    D = distances(400, 5, d=4)
    start = torch.arange(6)[None]
    double, single = (swap(torch.as_tensor(D).to(dtype)[None], start) for dtype in (torch.float64, torch.float32))
    assert loss_of(D, single.medoids_sk[0].tolist()) == pytest.approx(double.history[0][-1], rel=1e-5)


def test_every_device_gives_the_same_swaps_and_never_waits_within_one(device: torch.device) -> None:
    D = torch.as_tensor(np.stack([distances(120, seed) for seed in range(3)])).float()
    expected = swap(D, build(D, 4))
    there = D.to(device)

    def first_changes() -> tuple[Tensor, Tensor]:
        medoids_sk = build(there, 4)
        return medoids_sk, swap_changes(there[:, 10:30], Nearest.of(there, medoids_sk))

    with PretendDevice(host_sync="error") if device.type == "pretend" else nullcontext():
        medoids_sk, changes_skb = first_changes()
    assert torch.equal(medoids_sk.cpu(), build(D, 4))
    rtol = 1e-4 if device.type == "cuda" else 0
    expected_changes = swap_changes(D[:, 10:30], Nearest.of(D, build(D, 4)))
    torch.testing.assert_close(changes_skb.cpu(), expected_changes, rtol=rtol, atol=rtol)
    found = swap(there, medoids_sk)
    assert torch.equal(found.medoids_sk.cpu(), expected.medoids_sk)
    np.testing.assert_allclose(np.concatenate(found.history), np.concatenate(expected.history), rtol=rtol)
