"""The K-medoids estimator: optima, metrics, starts, devices, seeds, and what it refuses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from marketnn import registry
from marketnn.cluster import kmedoids
from marketnn.cluster.kmedoids import KMedoids
from marketnn.errors import InputError


def blobs(n: int = 300, d: int = 3, k: int = 4, seed: int = 0, spread: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    return make_blobs(n, d, centers=k, cluster_std=spread, random_state=seed)


@parametrize_with_checks([KMedoids(3), KMedoids(3, method="alternate", init="random")])
def test_it_is_a_scikit_learn_estimator(estimator: KMedoids, check: object) -> None:
    check(estimator)


@settings(deadline=None, max_examples=25)
@given(
    n=st.integers(8, 60),
    k=st.integers(1, 6),
    method=st.sampled_from(["fasterpam", "alternate"]),
    metric=st.sampled_from(["euclidean", "manhattan"]),
    init=st.sampled_from(["build", "random"]),
    seed=st.integers(0, 10_000),
)
def test_the_attributes_follow_from_the_medoids(n: int, k: int, method: str, metric: str, init: str, seed: int) -> None:
    X = np.random.default_rng(seed).normal(size=(n, 3))
    fitted = KMedoids(k, method=method, metric=metric, init=init, random_state=seed).fit(X)
    known = {"manhattan": "cityblock"}.get(metric, metric)
    D = cdist(X, X[fitted.medoid_indices_], known)
    np.testing.assert_array_equal(fitted.cluster_centers_, X[fitted.medoid_indices_])
    np.testing.assert_array_equal(fitted.labels_, D.argmin(axis=1))
    np.testing.assert_array_equal(fitted.labels_[fitted.medoid_indices_], np.arange(k))
    assert fitted.labels_.dtype == np.int32
    assert fitted.loss_ == pytest.approx(D.min(axis=1).sum(), rel=1e-12)
    assert fitted.history_[-1] == pytest.approx(fitted.loss_, rel=1e-12)
    assert (np.diff(fitted.history_) < 0).all()
    assert set(fitted.path_[-1]) == set(fitted.medoid_indices_)
    assert fitted.path_.shape == (len(fitted.history_), fitted.n_clusters)
    for loss, medoids in zip(fitted.history_, fitted.path_, strict=True):
        assert cdist(X, X[medoids], known).min(1).sum() == pytest.approx(loss, rel=1e-9)
    assert fitted.inertia_ == pytest.approx((D.min(axis=1) ** 2).sum(), rel=1e-12)
    assert fitted.total_error_ == np.sqrt(fitted.inertia_)
    assert fitted.n_iter_ >= 1
    np.testing.assert_array_equal(fitted.predict(X), fitted.labels_)
    np.testing.assert_allclose(fitted.transform(X), D, atol=1e-12)
    assert fitted.score(X) == pytest.approx(-fitted.inertia_, rel=1e-12)


@pytest.mark.parametrize("method", ["fasterpam", "alternate"])
@pytest.mark.parametrize("metric", ["euclidean", "manhattan"])
def test_precomputed_distances_give_the_same_medoids(method: str, metric: str) -> None:
    X, _ = blobs()
    D = cdist(X, X, {"manhattan": "cityblock"}.get(metric, metric))
    there = KMedoids(4, method=method, metric="precomputed").fit(D)
    here = KMedoids(4, method=method, metric=metric).fit(X)
    np.testing.assert_array_equal(there.medoid_indices_, here.medoid_indices_)
    np.testing.assert_array_equal(there.labels_, here.labels_)
    np.testing.assert_array_equal(there.predict(D[:9]), here.labels_[:9])
    assert there.cluster_centers_ is None
    assert there.loss_ == pytest.approx(here.loss_, rel=1e-12)


def test_separate_clusters_are_found() -> None:
    X, label = blobs(spread=0.3)
    for settings_ in ({}, {"init": "random", "random_state": 0}, {"init": [0, 1, 2, 3]}):
        assert adjusted_rand_score(KMedoids(4, **settings_).fit(X).labels_, label) == 1.0


def test_swaps_end_no_higher_than_alternating_rounds() -> None:
    for seed in range(10):
        X, _ = blobs(200, 2, 6, seed=seed, spread=2.5)
        alternate = KMedoids(6, method="alternate", init="random", random_state=seed).fit(X)
        swapped = KMedoids(6, init=alternate.medoid_indices_).fit(X)
        assert swapped.loss_ <= alternate.loss_ * (1 + 1e-12)


def test_the_smallest_and_the_largest_k() -> None:
    X, _ = blobs(20)
    assert KMedoids(1).fit(X).medoid_indices_.tolist() == [cdist(X, X).sum(axis=1).argmin()]
    every = KMedoids(20, init="random", random_state=0).fit(X)
    assert sorted(every.medoid_indices_) == list(range(20))
    assert every.loss_ == 0


def test_repeated_rows_never_share_a_cluster_of_their_own() -> None:
    X = np.repeat([[0.0, 0.0], [1.0, 0.0], [5.0, 5.0]], [40, 30, 1], axis=0)
    for init in ("build", "random", np.array([0, 1, 2])):
        fitted = KMedoids(3, init=init, random_state=1).fit(X)
        assert fitted.loss_ == 0
        assert sorted(fitted.cluster_centers_.tolist()) == [[0.0, 0.0], [1.0, 0.0], [5.0, 5.0]]


def test_an_empty_cluster_warns() -> None:
    X = np.repeat([[0.0], [1.0], [2.0]], 4, axis=0)
    with pytest.warns(ConvergenceWarning, match=r"distinct clusters \(2\) found smaller than n_clusters \(3\)"):
        KMedoids(3, method="alternate", init=[0, 1, 2]).fit(X)


def test_single_precision_far_from_the_origin_keeps_its_clusters() -> None:
    far = (blobs(800, 4, 5, seed=1)[0] + 1e4).astype(np.float32)
    for method in ("fasterpam", "alternate"):
        single = KMedoids(5, method=method, init=np.arange(5)).fit(far)
        double = KMedoids(5, method=method, init=np.arange(5)).fit(far.astype(np.float64))
        assert single.cluster_centers_.dtype == single.transform(far).dtype == np.float32
        np.testing.assert_array_equal(single.labels_, double.labels_)
        np.testing.assert_array_equal(single.predict(far), single.labels_)
        assert single.loss_ == pytest.approx(double.loss_, rel=1e-6)


def test_the_same_seed_gives_the_same_bits_and_leaves_global_state_alone() -> None:
    X, _ = blobs(spread=3.0)
    before = torch.get_rng_state()
    one, two = (KMedoids(5, init="random", random_state=3).fit(X) for _ in range(2))
    np.testing.assert_array_equal(one.medoid_indices_, two.medoid_indices_)
    np.testing.assert_array_equal(one.history_, two.history_)
    assert torch.equal(torch.get_rng_state(), before)
    assert KMedoids(5, init="random", random_state=4).fit(X).history_[0] != one.history_[0]


@pytest.mark.parametrize("method", ["fasterpam", "alternate"])
def test_every_device_gives_the_same_numbers(device: torch.device, method: str) -> None:
    X = blobs(spread=3.0)[0].astype(np.float32)
    here = KMedoids(5, method=method, init="random", random_state=1, device=device).fit(X)
    there = KMedoids(5, method=method, init="random", random_state=1, device="cpu").fit(X)
    rtol = 1e-4 if device.type == "cuda" else 0
    np.testing.assert_allclose(here.history_, there.history_, rtol=rtol)
    np.testing.assert_allclose(here.score(X), there.score(X), rtol=rtol)
    if device.type != "cuda":
        np.testing.assert_array_equal(here.medoid_indices_, there.medoid_indices_)
        np.testing.assert_array_equal(here.predict(X), there.predict(X))
        np.testing.assert_array_equal(here.transform(X), there.transform(X))


def test_pandas_in_and_out() -> None:
    X = pd.DataFrame(blobs(40, 2, 2)[0], columns=["a", "b"])
    fitted = KMedoids(2).set_output(transform="pandas").fit(X)
    assert fitted.feature_names_in_.tolist() == ["a", "b"]
    assert fitted.transform(X).columns.tolist() == ["kmedoids0", "kmedoids1"]
    with pytest.raises(InputError, match="feature names should match"):
        fitted.predict(X.rename(columns={"a": "c"}))


def test_too_many_pairs_name_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kmedoids, "_MATRIX_BYTES", 1000)
    X, _ = blobs(50, 2, 3)
    with pytest.raises(InputError, match="use CLARA, or method='alternate' with init='random'"):
        KMedoids(3).fit(X)
    assert KMedoids(3, method="alternate", init="random", random_state=0).fit(X).n_iter_ >= 1


@pytest.mark.parametrize(
    ("X", "k", "message"),
    [
        (np.repeat([[1.0], [2.0]], 5, axis=0), 3, "n_samples=10 with only 2 distinct rows, but n_clusters=3"),
        (np.ones((1, 2)), 2, "n_samples=1 with only 1 distinct rows"),
        (np.array([[1.0], [np.nan], [2.0]]), 2, "X has NaN or infinite values in row 2"),
    ],
)
def test_tables_that_cannot_be_clustered(X: np.ndarray, k: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        KMedoids(k).fit(X)


@pytest.mark.parametrize(
    ("D", "message"),
    [
        (np.ones((3, 2)), r"shape \(3, 2\); they must be square"),
        (np.array([[0.0]]), "n_samples=1 rows, but n_clusters=2"),
        (np.array([[0.0, -1.0], [-1.0, 0.0]]), "must not be negative: row 1, column 2 is -1"),
        (np.array([[0.0, 1.0], [1.0, 2.0]]), "must be 0 on the diagonal: row 2, column 2 is 2"),
        (np.array([[0.0, 1.0], [3.0, 0.0]]), "must be symmetric: row 1, column 2 is 1, row 2, column 1 is 3"),
    ],
)
def test_matrices_that_are_no_distances(D: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        KMedoids(2, metric="precomputed").fit(D)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_clusters": 0}, "n_clusters=0 is not possible"),
        ({"n_clusters": 2.5}, "n_clusters=2.5 is not possible"),
        ({"max_iter": 0}, "max_iter=0 is not possible"),
        ({"method": "pam"}, "method='pam' is not possible; use fasterpam, alternate"),
        ({"metric": "cosine"}, "metric='cosine' is not possible; use euclidean, manhattan, precomputed"),
        ({"init": "k-means++"}, "init='k-means\\+\\+' is not possible"),
        ({"init": [0, 0]}, "2 different row numbers from 0 to 2"),
        ({"init": [0, 3]}, "2 different row numbers from 0 to 2"),
        ({"init": np.eye(3)[:2]}, "2 different row numbers from 0 to 2"),
    ],
)
def test_arguments_that_cannot_be(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        KMedoids(**{"n_clusters": 2, **arguments}).fit(np.eye(3))


def test_the_configuration_builds_it() -> None:
    built = registry.build("cluster", {"name": "kmedoids", "method": "alternate"})
    assert (built.method, built.init, built.metric, built.max_iter) == ("alternate", "build", "euclidean", 300)
