"""Silhouettes: scikit-learn's numbers, the simplified forms by hand, hard cases of float32 and of tiny clusters."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.metrics import silhouette_samples as scikit_samples
from sklearn.metrics import silhouette_score

from marketnn.cluster import pair_tiles
from marketnn.cluster.silhouette import medoid_silhouette, silhouette, silhouette_samples, simplified_silhouette
from marketnn.errors import InputError


@settings(deadline=None, max_examples=40)
@given(n=st.integers(4, 120), d=st.integers(1, 6), k=st.integers(2, 9), seed=st.integers(0, 10_000))
def test_it_is_scikit_learns(n: int, d: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, label = rng.normal(size=(n, d)), np.r_[0, 1, 1, rng.integers(k, size=n - 3)]
    ours = silhouette_samples(torch.as_tensor(x), torch.as_tensor(label))
    np.testing.assert_allclose(ours, scikit_samples(x, label), atol=1e-10)


@pytest.mark.parametrize("elements", [1, 700, 2**19])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tiles_of_any_size_and_float32(monkeypatch: pytest.MonkeyPatch, elements: int, dtype: type) -> None:
    monkeypatch.setattr(pair_tiles, "_TILE_ELEMENTS", elements)
    rng = np.random.default_rng(0)
    x, label = rng.normal(size=(300, 5)).astype(dtype), rng.integers(4, size=300) * 7 - 3
    ours = silhouette(torch.as_tensor(x), torch.as_tensor(label))
    assert ours == pytest.approx(silhouette_score(x.astype(float), label), abs=1e-6 if dtype == np.float32 else 1e-10)


def test_float32_keeps_tight_clusters_far_apart() -> None:
    rng = np.random.default_rng(0)
    label = rng.integers(3, size=600)
    x = (1e3 * label[:, None] + rng.normal(scale=1.0, size=(600, 3))).astype(np.float32)
    ours = silhouette_samples(torch.as_tensor(x), torch.as_tensor(label))
    np.testing.assert_allclose(ours, scikit_samples(x.astype(float), label), atol=2e-7)


def test_on_every_device_without_waiting(device: torch.device) -> None:
    rng = np.random.default_rng(0)
    x, label = rng.normal(size=(200, 3)), rng.integers(5, size=200)
    here = silhouette_samples(torch.as_tensor(x, device=device), torch.as_tensor(label, device=device)).cpu()
    there = silhouette_samples(torch.as_tensor(x), torch.as_tensor(label))
    torch.testing.assert_close(here, there, rtol=1e-9 if device.type == "cuda" else 0, atol=0)


def test_simplified_and_medoid_silhouettes_from_their_definition() -> None:
    rng = np.random.default_rng(0)
    x, centres = rng.normal(size=(80, 2)), rng.normal(size=(4, 2))
    distance = cdist(x, centres)
    label = rng.integers(4, size=80)
    own = distance[np.arange(80), label]
    other = np.where(np.arange(4) == label[:, None], np.inf, distance).min(axis=1)
    tensors = torch.as_tensor(x), torch.as_tensor(label), torch.as_tensor(centres)
    expected = ((other - own) / np.maximum(own, other)).mean()
    assert simplified_silhouette(*tensors) == pytest.approx(expected, abs=1e-12)
    first, second = np.sort(distance, axis=1)[:, :2].T
    assert medoid_silhouette(tensors[0], tensors[2]) == pytest.approx((1 - first / second).mean(), abs=1e-12)
    nearest = torch.as_tensor(distance.argmin(axis=1))
    assert simplified_silhouette(tensors[0], nearest, tensors[2]) == pytest.approx((1 - first / second).mean())


def test_equal_rows_in_two_clusters_count_nothing() -> None:
    x = torch.zeros(4, 2, dtype=torch.float64)
    assert silhouette(x, torch.tensor([0, 0, 1, 1])) == 0.0
    assert medoid_silhouette(x, x[:2]) == 0.0


@pytest.mark.parametrize(("label", "k"), [([0, 0, 0], 1), ([0, 1, 2], 3)])
def test_labels_that_have_no_silhouette(label: list[int], k: int) -> None:
    with pytest.raises(InputError, match=f"{k} clusters of 3 rows have no silhouette; 2 to 2 clusters are needed"):
        silhouette(torch.eye(3), torch.tensor(label))
