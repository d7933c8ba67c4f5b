"""The choice of k: scikit-learn's criteria, every vote shown, and blobs that leave no doubt."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score, silhouette_score

from marketnn.cluster import KMeans, choose_n_clusters
from marketnn.errors import InputError


def blobs(k: int, n: int = 400, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = 10 * np.array([[np.cos(angle), np.sin(angle)] for angle in 2 * np.pi * np.arange(k) / k])
    return centres[rng.integers(k, size=n)] + rng.normal(size=(n, 2))


@pytest.mark.parametrize("k", [3, 4, 6])
def test_separate_blobs_are_counted(k: int) -> None:
    table = choose_n_clusters(blobs(k), random_state=0)
    assert table.index.tolist() == list(range(2, 9))
    assert table.attrs["chosen"] == k
    assert table.attrs["choices"] == {"silhouette": k, "calinski_harabasz": k, "davies_bouldin": k}
    assert (np.diff(table["inertia"]) < 0).all()


def test_criteria_equal_scikit_learns() -> None:
    X = blobs(3)
    table = choose_n_clusters(X, [3], n_init=20, random_state=0)
    labels = KMeans(3, n_init=20, tol=0, random_state=1).fit(X).labels_
    assert table.loc[3, "silhouette"] == pytest.approx(silhouette_score(X, labels))
    assert table.loc[3, "calinski_harabasz"] == pytest.approx(calinski_harabasz_score(X, labels))
    assert table.loc[3, "davies_bouldin"] == pytest.approx(davies_bouldin_score(X, labels))


def test_a_tie_goes_to_the_smaller_k(monkeypatch: pytest.MonkeyPatch) -> None:
    votes = iter([0.1, 0.9, 0.2, 0.5, 0.6, 0.7])
    monkeypatch.setattr("marketnn.cluster.n_clusters.silhouette_score", lambda *_: next(votes))
    monkeypatch.setattr("marketnn.cluster.n_clusters.calinski_harabasz_score", lambda *_: next(votes))
    monkeypatch.setattr("marketnn.cluster.n_clusters.davies_bouldin_score", lambda *_: next(votes))
    table = choose_n_clusters(blobs(3), [2, 3], random_state=0)
    assert table.attrs["choices"] == {"silhouette": 3, "calinski_harabasz": 2, "davies_bouldin": 2}
    assert table.attrs["chosen"] == 2


def test_large_tables_are_judged_on_some_rows() -> None:
    X = blobs(4, n=6000)
    table = choose_n_clusters(X, [3, 4, 5], n_init=2, random_state=0)
    assert table.attrs["chosen"] == 4
    whole = silhouette_score(X, KMeans(4, n_init=5, random_state=0).fit(X).labels_)
    assert table.loc[4, "silhouette"] == pytest.approx(whole, abs=0.01)


@pytest.mark.parametrize(("candidates", "distinct"), [([], 400), ([1, 2], 400), ([2, 400], 400)])
def test_candidates_that_cannot_be(candidates: list[int], distinct: int) -> None:
    with pytest.raises(InputError, match=f"must lie from 2 to {distinct - 1}"):
        choose_n_clusters(blobs(3), candidates)
