"""The alternating k-medoids against brute force, with distances looked up and computed."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pretend_device import PretendDevice

from marketnn.cluster import voronoi
from marketnn.cluster.voronoi import alternate, central_rows, nearest_medoid


def computed(X: np.ndarray, device: torch.device | str = "cpu") -> voronoi.Distances:
    x_nd = torch.as_tensor(X, device=device)
    return lambda rows, columns: torch.cdist(x_nd[rows], x_nd[columns], compute_mode="donot_use_mm_for_euclid_dist")


def looked_up(X: np.ndarray) -> voronoi.Distances:
    distance_nn = torch.as_tensor(np.sqrt(((X[:, None] - X[None]) ** 2).sum(axis=2)))
    return lambda rows, columns: distance_nn[rows][:, columns]


@settings(deadline=None, max_examples=40)
@given(n=st.integers(6, 60), k=st.integers(1, 6), coarse=st.booleans(), seed=st.integers(0, 10**6))
def test_the_loss_falls_to_a_fixed_point(n: int, k: int, coarse: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 3, size=(n, 2)).astype(float) if coarse else rng.normal(size=(n, 2))
    D = np.sqrt(((X[:, None] - X[None]) ** 2).sum(axis=2))
    result = alternate(computed(X), n, torch.as_tensor(rng.choice(n, k, replace=False)))
    medoids = result.medoids_k.numpy()
    assert (np.diff(result.history) < 0).all()
    assert result.history[-1] == pytest.approx(D[medoids].min(axis=0).sum(), rel=1e-12, abs=1e-12)
    label = D[medoids].argmin(axis=0)
    for cluster, medoid in enumerate(medoids):
        if not coarse:
            members = label == cluster
            assert D[medoid, members].sum() <= D[np.ix_(members, members)].sum(axis=0).min() + 1e-10
    again = alternate(looked_up(X), n, torch.as_tensor(medoids))
    assert again.history == [pytest.approx(result.history[-1], abs=1e-12)]


@settings(deadline=None, max_examples=40)
@given(n=st.integers(1, 60), k=st.integers(1, 9), seed=st.integers(0, 10**6))
def test_the_nearest_medoid_is_the_first_of_equals(n: int, k: int, seed: int) -> None:
    X = np.random.default_rng(seed).integers(0, 3, size=(n, 2)).astype(float)
    medoids = np.random.default_rng(seed).integers(0, n, size=k)
    D = np.sqrt(((X[:, None] - X[None]) ** 2).sum(axis=2))[:, medoids]
    for distances in (computed(X), looked_up(X)):
        label, distance = nearest_medoid(distances, n, torch.as_tensor(medoids))
        assert label.dtype == torch.int32
        np.testing.assert_array_equal(label, D.argmin(axis=1))
        np.testing.assert_allclose(distance, D.min(axis=1), rtol=1e-15)


def test_small_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    X = np.random.default_rng(0).normal(size=(200, 3))
    whole = alternate(computed(X), 200, torch.arange(5))
    monkeypatch.setattr(voronoi, "_BLOCK_ELEMENTS", 64)
    blocks = alternate(computed(X), 200, torch.arange(5))
    assert blocks.medoids_k.tolist() == whole.medoids_k.tolist()
    assert blocks.history == pytest.approx(whole.history, rel=1e-13)


def test_an_empty_cluster_keeps_its_medoid() -> None:
    X = np.array([[0.0], [0.0], [1.0], [2.0]])
    label, distance = nearest_medoid(computed(X), 4, torch.tensor([0, 1, 3]))
    assert (label.tolist(), distance.tolist()) == ([0, 0, 0, 2], [0.0, 0.0, 1.0, 0.0])
    assert central_rows(computed(X), label, torch.tensor([0, 1, 3])).tolist() == [0, 1, 3]


def test_max_rounds_stops_it() -> None:
    X = np.random.default_rng(1).normal(size=(300, 2))
    result = alternate(computed(X), 300, torch.arange(10), max_rounds=1)
    assert (result.n_rounds, len(result.history)) == (1, 2)


def test_every_device_gives_the_same_rounds(device: torch.device) -> None:
    X = np.random.default_rng(2).normal(size=(150, 3)).astype(np.float32)
    expected = alternate(computed(X), 150, torch.arange(6))
    there, start = computed(X, device), torch.arange(6).to(device)
    found = alternate(there, 150, start)
    assert found.medoids_k.tolist() == expected.medoids_k.tolist()
    np.testing.assert_allclose(found.history, expected.history, rtol=1e-5 if device.type == "cuda" else 0)
    with PretendDevice(host_sync="error") if device.type == "pretend" else nullcontext():
        label_n, _ = nearest_medoid(there, 150, start)
    assert label_n.tolist() == nearest_medoid(computed(X), 150, torch.arange(6))[0].tolist()
