"""K-means against scikit-learn: from the same start, with ties, empty clusters, weights; and reference errors on real data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn.cluster
import statsmodels.api
from sklearn.metrics import adjusted_rand_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from marketnn.cluster import KMeans


def scikit(
    X: np.ndarray, init: np.ndarray, weight: np.ndarray | None = None, **settings: object
) -> sklearn.cluster.KMeans:
    return sklearn.cluster.KMeans(len(init), init=init, n_init=1, **settings).fit(X, sample_weight=weight)


def blobs(n: int, d: int, k: int, seed: int, spread: float = 0.3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(scale=4, size=(k, d))[rng.integers(k, size=n)] + rng.normal(scale=spread, size=(n, d))


@parametrize_with_checks(
    [KMeans(3, n_init=2)],
    # Repeated rows are other rows to draw first centres from; scikit-learn expects its own KMeans to fail here, too.
    expected_failed_checks=lambda _: {"check_sample_weight_equivalence_on_dense_data": "random starts differ"},
)
def test_it_is_a_scikit_learn_estimator(estimator: KMeans, check: object) -> None:
    check(estimator)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("n", "d", "k"), [(50, 2, 3), (1000, 8, 6), (700, 5, 40), (3000, 1, 9)])
def test_the_same_start_ends_where_scikit_learn_ends(n: int, d: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    weight = rng.uniform(0.5, 2, size=n) if seed % 2 else None
    init = X[rng.choice(n, k, replace=False)]
    ours, theirs = KMeans(k, init=init, tol=0).fit(X, sample_weight=weight), scikit(X, init, weight, tol=0)
    assert (ours.labels_ == theirs.labels_).all()
    assert ours.inertia_ == pytest.approx(theirs.inertia_, rel=1e-10)
    assert ours.n_iter_ == theirs.n_iter_
    np.testing.assert_allclose(ours.cluster_centers_, theirs.cluster_centers_, atol=1e-10)
    np.testing.assert_allclose(ours.transform(X), theirs.transform(X), atol=1e-7)
    assert ours.score(X, sample_weight=weight) == pytest.approx(theirs.score(X, sample_weight=weight), rel=1e-10)
    assert (ours.predict(X) == theirs.predict(X)).all()


@pytest.mark.parametrize("tol", [1e-1, 1e-2, 1e-3, 1e-4])
def test_the_tolerance_means_what_scikit_learns_means(tol: float) -> None:
    X = blobs(2000, 4, 6, seed=0, spread=2.0)
    ours, theirs = KMeans(6, init=X[:6], tol=tol).fit(X), scikit(X, X[:6], tol=tol)
    assert ours.n_iter_ == theirs.n_iter_
    np.testing.assert_allclose(ours.cluster_centers_, theirs.cluster_centers_, atol=1e-9)


@pytest.mark.parametrize("init", ["k-means++", "random"])
def test_restarts_find_what_scikit_learn_finds(init: str) -> None:
    X = blobs(600, 3, 5, seed=3)
    ours = KMeans(5, init=init, n_init=30, random_state=0).fit(X)
    theirs = sklearn.cluster.KMeans(5, n_init=30, random_state=0, tol=0).fit(X)
    assert ours.inertia_ == pytest.approx(theirs.inertia_, rel=1e-9)
    assert adjusted_rand_score(ours.labels_, theirs.labels_) == 1.0


@pytest.mark.parametrize("k", [2, 5, 36])
def test_ties_on_a_grid_of_repeated_points(k: int) -> None:
    X = np.array([[x, y] for x in range(6) for y in range(6)] * 3, dtype=float)
    init = X[np.linspace(0, 35, k).astype(int)]
    ours, theirs = KMeans(k, init=init, tol=0).fit(X), scikit(X, init, tol=0)
    assert ours.inertia_ == pytest.approx(theirs.inertia_, rel=1e-12)
    assert (ours.labels_ == theirs.labels_).all()


@pytest.mark.parametrize("k", [3, 12, 40])
def test_empty_clusters_take_the_same_rows(k: int) -> None:
    X = blobs(400, 2, 6, seed=2)
    init = np.concatenate([X[: k - 2], [[500.0, 500.0], [600.0, 600.0]]])
    for max_iter in (1, 2, 300):
        ours = KMeans(k, init=init, tol=0, max_iter=max_iter).fit(X)
        theirs = scikit(X, init, tol=0, max_iter=max_iter)
        np.testing.assert_allclose(ours.cluster_centers_, theirs.cluster_centers_, atol=1e-10)
        assert (ours.labels_ == theirs.labels_).all()


@pytest.mark.realdata
def test_reference_errors_on_real_churners(real_data: Path) -> None:
    frame = pd.read_csv(real_data / "iranian_churn.csv")
    churn, X = frame["Churn"] == 1, frame.drop(columns=["Churn", "Customer Value"])
    logit = statsmodels.api.Logit(churn, statsmodels.api.add_constant((X - X.mean()) / X.std(ddof=0))).fit(disp=False)
    columns = X.columns[logit.pvalues[X.columns] < 0.05]
    churners = X.loc[churn, columns]
    assert churners.shape == (495, 8)
    scaled = ((churners - churners.min()) / (churners.max() - churners.min())).to_numpy()
    found = [KMeans(k, n_init=50, tol=0, random_state=0).fit(scaled).inertia_ for k in range(2, 7)]
    np.testing.assert_allclose(found, [221.03530, 135.29873, 102.20335, 79.94518, 65.7964], rtol=1e-6)
