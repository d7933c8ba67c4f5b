"""K-means: scikit-learn as the oracle, Lloyd's invariants, and the corners: ties, empty clusters, weights, offsets, devices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn.cluster
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pretend_device import PretendDevice
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from marketnn.classify import fit_logistic, significant
from marketnn.cluster import KMeans
from marketnn.cluster.lloyd import Rows, lloyd, lloyd_round
from marketnn.errors import InputError


def blobs(n: int = 600, d: int = 3, k: int = 4, seed: int = 0, spread: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    label = rng.integers(k, size=n)
    return rng.normal(scale=4, size=(k, d))[label] + rng.normal(scale=spread, size=(n, d)), label


def scikit(X: np.ndarray, init: np.ndarray, **settings: object) -> sklearn.cluster.KMeans:
    return sklearn.cluster.KMeans(len(init), init=init, n_init=1, **settings).fit(X)


@parametrize_with_checks(
    [KMeans(3, n_init=2)],
    expected_failed_checks=lambda _: {
        # scikit-learn lists its own KMeans here: the seeding draws rows, so weights and repeated rows start differently.
        "check_sample_weight_equivalence_on_dense_data": "random starts differ",
    },
)
def test_it_is_a_scikit_learn_estimator(estimator: KMeans, check: object) -> None:
    check(estimator)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("n", "d", "k"), [(50, 2, 3), (1000, 8, 6), (700, 5, 40), (3000, 1, 9)])
def test_the_same_start_ends_where_scikit_learn_ends(n: int, d: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    init = X[rng.choice(n, k, replace=False)]
    ours, theirs = KMeans(k, init=init, tol=0).fit(X), scikit(X, init, tol=0)
    assert (ours.labels_ == theirs.labels_).all()
    assert ours.inertia_ == pytest.approx(theirs.inertia_, rel=1e-10)
    assert ours.n_iter_ == theirs.n_iter_
    np.testing.assert_allclose(ours.cluster_centers_, theirs.cluster_centers_, atol=1e-10)
    np.testing.assert_allclose(ours.transform(X), theirs.transform(X), atol=1e-7)
    assert ours.score(X) == pytest.approx(theirs.score(X), rel=1e-10)
    assert (ours.predict(X) == ours.labels_).all()


def test_the_tolerance_means_what_scikit_learns_means() -> None:
    X, _ = blobs(2000, 4, 6, spread=2.0)
    for tol in (1e-1, 1e-2, 1e-3, 1e-4):
        ours, theirs = KMeans(6, init=X[:6], tol=tol).fit(X), scikit(X, X[:6], tol=tol)
        assert ours.n_iter_ == theirs.n_iter_
        np.testing.assert_allclose(ours.cluster_centers_, theirs.cluster_centers_, atol=1e-9)


@pytest.mark.parametrize("init", ["k-means++", "random"])
def test_restarts_find_what_scikit_learn_finds(init: str) -> None:
    X, label = blobs(k=5, seed=3)
    ours = KMeans(5, init=init, n_init=30, random_state=0).fit(X)
    theirs = sklearn.cluster.KMeans(5, n_init=30, random_state=0, tol=0).fit(X)
    assert ours.inertia_ == pytest.approx(theirs.inertia_, rel=1e-9)
    assert adjusted_rand_score(ours.labels_, label) > 0.99


def test_more_restarts_never_end_higher() -> None:
    X, _ = blobs(400, 2, 8, spread=1.5)
    errors = [KMeans(8, init="random", n_init=n, tol=0, random_state=5).fit(X).inertia_ for n in (1, 5, 25)]
    assert errors[0] >= errors[1] >= errors[2]


@settings(deadline=None, max_examples=40)
@given(n=st.integers(12, 80), d=st.integers(1, 4), k=st.integers(1, 8), seed=st.integers(0, 10_000))
def test_lloyds_invariants(n: int, d: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    fitted = KMeans(k, init="random", n_init=1, tol=0, random_state=seed).fit(X)
    assert (np.diff(fitted.history_) <= 1e-9).all()
    assert fitted.history_[-1] == fitted.total_error_ == np.sqrt(fitted.inertia_)
    assert len(fitted.history_) == fitted.n_iter_
    means = np.stack([X[fitted.labels_ == j].mean(axis=0) for j in range(k)])
    np.testing.assert_allclose(fitted.cluster_centers_, means, atol=1e-10)
    np.testing.assert_allclose(fitted.inertia_, ((X - means[fitted.labels_]) ** 2).sum(), rtol=1e-10)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000), shift=st.floats(-1e3, 1e3), angle=st.floats(0, 6.28))
def test_total_error_ignores_translation_rotation_and_order(seed: int, shift: float, angle: float) -> None:
    X, _ = blobs(60, 2, 3, seed=seed)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    order = np.random.default_rng(seed).permutation(60)
    plain = KMeans(3, init=X[:3], tol=0).fit(X)
    moved = KMeans(3, init=X[:3] @ turn + shift, tol=0).fit((X @ turn + shift)[order])
    assert moved.total_error_ == pytest.approx(plain.total_error_, rel=1e-8)
    assert adjusted_rand_score(moved.labels_, plain.labels_[order]) == 1.0


def test_weights_count_like_repeated_rows() -> None:
    X, _ = blobs(80, 3, 3, seed=7)
    weight = np.random.default_rng(0).integers(0, 4, size=80)
    weighted = KMeans(3, init=X[:3], tol=0).fit(X, sample_weight=weight)
    repeated = KMeans(3, init=X[:3], tol=0).fit(np.repeat(X, weight, axis=0))
    np.testing.assert_allclose(weighted.cluster_centers_, repeated.cluster_centers_, atol=1e-10)
    assert weighted.inertia_ == pytest.approx(repeated.inertia_, rel=1e-10)
    assert weighted.score(X, sample_weight=weight) == pytest.approx(-repeated.inertia_, rel=1e-10)


def test_rows_of_no_weight_start_no_cluster() -> None:
    X = np.concatenate([np.zeros((50, 1)), np.arange(1.0, 4.0)[:, None]])
    weight = np.r_[np.zeros(49), 1, 1, 1, 1]
    for init in ("k-means++", "random"):
        fitted = KMeans(4, init=init, random_state=0).fit(X, sample_weight=weight)
        assert sorted(fitted.cluster_centers_[:, 0]) == [0.0, 1.0, 2.0, 3.0]


@pytest.mark.parametrize("k", [2, 5])
def test_exact_ties_are_counted_once(k: int) -> None:
    X = np.array([[x, y] for x in range(6) for y in range(6)] * 3, dtype=float)
    init = X[np.linspace(0, 35, k).astype(int)]
    ours = KMeans(k, init=init, tol=0).fit(X)
    theirs = scikit(X, init, tol=0)
    assert ours.inertia_ == pytest.approx(theirs.inertia_, rel=1e-12)
    assert np.bincount(ours.labels_).sum() == len(X)
    means = np.stack([X[ours.labels_ == j].mean(axis=0) for j in range(k)])
    np.testing.assert_allclose(ours.cluster_centers_, means, atol=1e-12)


@pytest.mark.parametrize("k", [3, 40])
def test_empty_clusters_get_the_farthest_rows(k: int) -> None:
    X, _ = blobs(400, 2, 6, seed=2)
    init = np.concatenate([X[: k - 2], [[500.0, 500.0], [600.0, 600.0]]])
    ours, theirs = KMeans(k, init=init, tol=0).fit(X), scikit(X, init, tol=0)
    assert len(np.unique(ours.labels_)) == k
    assert ours.inertia_ == pytest.approx(theirs.inertia_, rel=0.05)
    one_round = KMeans(k, init=init, tol=0, max_iter=1)
    with pytest.warns(ConvergenceWarning, match="max_iter=1"):
        one_round.fit(X)
    with pytest.warns(ConvergenceWarning):
        np.testing.assert_allclose(
            one_round.cluster_centers_, scikit(X, init, tol=0, max_iter=1).cluster_centers_, atol=1e-10
        )


def test_the_smallest_and_the_largest_k() -> None:
    X, _ = blobs(20, 3, 2)
    one = KMeans(1).fit(X)
    np.testing.assert_allclose(one.cluster_centers_[0], X.mean(axis=0))
    assert one.inertia_ == pytest.approx(((X - X.mean(axis=0)) ** 2).sum())
    every = KMeans(20, init="random", random_state=0).fit(X)
    assert every.inertia_ == 0.0
    assert sorted(every.labels_) == list(range(20))


@pytest.mark.parametrize(
    ("X", "k", "message"),
    [
        (np.repeat([[1.0], [2.0]], 5, axis=0), 3, "n_samples=10 has only 2 distinct rows, but n_clusters=3"),
        (np.ones((1, 2)), 2, "n_samples=1 has only 1 distinct rows"),
        (np.array([[1.0], [np.nan], [2.0]]), 2, "contains NaN"),
        (np.array([[1.0], [np.inf], [2.0]]), 2, "contains infinity"),
        (np.empty((0, 2)), 2, r"0 sample\(s\)"),
    ],
)
def test_tables_that_cannot_be_clustered(X: np.ndarray, k: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        KMeans(k).fit(X)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"init": "k-mean"}, "init='k-mean' is not possible"),
        ({"init": np.zeros((3, 2))}, r"init has shape \(3, 2\); \(2, 3\) centres are needed"),
        ({"n_init": 0}, "n_init=0 is not possible"),
        ({"n_init": "many"}, "n_init='many' is not possible"),
        ({"max_iter": 0}, "max_iter=0 must be at least 1"),
        ({"tol": -1}, "tol=-1 must be at least 0"),
    ],
)
def test_arguments_that_cannot_be(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        KMeans(2, **settings).fit(np.eye(3))


def test_float32_far_from_the_origin_keeps_its_clusters() -> None:
    X, label = blobs(2000, 4, 5, seed=1)
    far = (X + 1e4).astype(np.float32)
    fitted = KMeans(5, n_init=10, random_state=0).fit(far)
    assert fitted.cluster_centers_.dtype == np.float32
    assert adjusted_rand_score(fitted.labels_, label) > 0.99
    double = KMeans(5, n_init=10, random_state=0).fit(far.astype(np.float64))
    assert (double.labels_ == fitted.labels_).all()
    assert fitted.inertia_ == pytest.approx(double.inertia_, rel=1e-5)


def test_the_same_seed_gives_the_same_bits_and_leaves_global_state_alone() -> None:
    X, _ = blobs(500, 4, 6, spread=2.0)
    before = torch.get_rng_state()
    one, two = (KMeans(6, n_init=5, random_state=3).fit(X) for _ in range(2))
    assert (one.cluster_centers_ == two.cluster_centers_).all()
    assert one.inertia_ == two.inertia_
    assert torch.equal(torch.get_rng_state(), before)
    assert (KMeans(6, init="random", random_state=4).fit(X).history_[0] != one.history_[0]).any()


@pytest.mark.parametrize(("k", "init"), [(5, "k-means++"), (5, "random"), (40, "k-means++")])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_every_device_gives_the_same_numbers(device: torch.device, k: int, init: str, dtype: type) -> None:
    X, _ = blobs(900, 4, 5, spread=2.0)
    X = X.astype(dtype)
    here = KMeans(k, init=init, n_init=3, random_state=1, device=device).fit(X)
    there = KMeans(k, init=init, n_init=3, random_state=1, device="cpu").fit(X)
    same = np.array_equal if device.type != "cuda" else lambda a, b: np.allclose(a, b, rtol=1e-4)
    assert same(here.cluster_centers_, there.cluster_centers_)
    assert same(here.labels_, there.labels_)
    assert same(here.history_, there.history_)
    assert same(here.predict(X), there.predict(X))
    assert same(here.transform(X), there.transform(X))


@pytest.mark.parametrize("k", [4, 40])
def test_a_round_never_makes_the_host_wait(device: torch.device, k: int) -> None:
    X = torch.as_tensor(blobs(3000, 3, 4)[0], device=device)
    rows = Rows.of(X - X.mean(0), torch.ones_like(X[:, 0]), 2 * k)
    start = rows.x_nd[: 2 * k].reshape(2, k, 3)
    if device.type == "pretend":
        with PretendDevice(host_sync="error"):
            first = lloyd_round(rows, start)
            lloyd_round(rows, first.centres_rkd, break_ties=True)
    assert lloyd(rows, start, max_rounds=50, tolerance=0.0).n_rounds[0] > 1


def test_starts_side_by_side_equal_starts_alone() -> None:
    X = torch.as_tensor(blobs(800, 3, 5, spread=1.5)[0])
    rows = Rows.of(X - X.mean(0), torch.ones(800, dtype=torch.float64), 30)
    starts = rows.x_nd[:30].reshape(6, 5, 3)
    together = lloyd(rows, starts, max_rounds=300, tolerance=0.0)
    for r in range(6):
        alone = lloyd(rows, starts[r : r + 1], max_rounds=300, tolerance=0.0)
        torch.testing.assert_close(together.centres_rkd[r], alone.centres_rkd[0], rtol=1e-12, atol=1e-12)
        assert together.n_rounds[r] == alone.n_rounds[0]


def test_names_and_pandas_output() -> None:
    X = pd.DataFrame(blobs(40, 2, 2)[0], columns=["a", "b"])
    fitted = KMeans(2, random_state=0).set_output(transform="pandas").fit(X)
    assert fitted.feature_names_in_.tolist() == ["a", "b"]
    assert fitted.transform(X).columns.tolist() == ["kmeans0", "kmeans1"]
    with pytest.raises(ValueError, match="feature names should match"):
        fitted.predict(X.rename(columns={"a": "c"}))


@pytest.mark.realdata
def test_reference_errors_on_real_churners(real_data: Path) -> None:
    frame = pd.read_csv(real_data / "iranian_churn.csv")
    X = frame.drop(columns=["Churn", "Customer Value"])
    columns = significant(fit_logistic((X - X.mean()) / X.std(ddof=0), frame["Churn"].to_numpy()))
    assert len(columns) == 8
    churners = X.loc[frame["Churn"] == 1, columns]
    spread = churners.max() - churners.min()
    scaled = ((churners - churners.min()) / spread.where(spread > 0, 1)).to_numpy()
    found = [KMeans(k, n_init=50, tol=0, random_state=0).fit(scaled).inertia_ for k in range(2, 7)]
    np.testing.assert_allclose(found, [221.03530, 135.29873, 102.20335, 79.94518, 65.7964], rtol=1e-5)
