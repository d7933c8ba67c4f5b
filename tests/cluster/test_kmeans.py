"""The K-means estimator: invariants, weights, offsets, devices, seeds, and what it refuses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import sklearn.cluster
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import adjusted_rand_score

from marketnn import registry
from marketnn.cluster import KMeans
from marketnn.errors import InputError


def blobs(n: int = 600, d: int = 3, k: int = 4, seed: int = 0, spread: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    label = rng.integers(k, size=n)
    return rng.normal(scale=4, size=(k, d))[label] + rng.normal(scale=spread, size=(n, d)), label


@settings(deadline=None, max_examples=40)
@given(n=st.integers(12, 80), d=st.integers(1, 4), k=st.integers(1, 8), seed=st.integers(0, 10_000))
def test_a_fit_is_a_fixed_point(n: int, d: int, k: int, seed: int) -> None:
    X = np.random.default_rng(seed).normal(size=(n, d))
    fitted = KMeans(k, init="random", n_init=2, tol=0, random_state=seed).fit(X)
    assert (np.diff(fitted.history_) <= 1e-9).all()
    assert fitted.history_[-1] == fitted.total_error_ == np.sqrt(fitted.inertia_)
    assert len(fitted.history_) == fitted.n_iter_
    assert fitted.labels_.dtype == np.int32
    means = np.stack([X[fitted.labels_ == j].mean(axis=0) for j in range(k)])
    np.testing.assert_allclose(fitted.cluster_centers_, means, atol=1e-10)
    np.testing.assert_allclose(fitted.inertia_, ((X - means[fitted.labels_]) ** 2).sum(), rtol=1e-10, atol=1e-20)
    assert (fitted.predict(X) == fitted.labels_).all()


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


def test_more_starts_never_end_higher() -> None:
    X, _ = blobs(400, 2, 8, spread=1.5)
    errors = [KMeans(8, init="random", n_init=n, tol=0, random_state=5).fit(X).inertia_ for n in (1, 5, 25)]
    assert errors[0] >= errors[1] >= errors[2]


def test_weights_count_like_repeated_rows() -> None:
    X, _ = blobs(80, 3, 3, seed=7)
    weight = np.random.default_rng(0).integers(0, 4, size=80)
    weighted = KMeans(3, init=X[:3], tol=0).fit(X, sample_weight=weight)
    repeated = KMeans(3, init=X[:3], tol=0).fit(np.repeat(X, weight, axis=0))
    np.testing.assert_allclose(weighted.cluster_centers_, repeated.cluster_centers_, atol=1e-10)
    assert (np.repeat(weighted.labels_, weight) == repeated.labels_).all()
    assert weighted.inertia_ == pytest.approx(repeated.inertia_, rel=1e-10)
    assert weighted.score(X, sample_weight=weight) == pytest.approx(-repeated.inertia_, rel=1e-10)


@pytest.mark.parametrize("init", ["k-means++", "random"])
def test_rows_of_no_weight_start_no_cluster(init: str) -> None:
    X = np.concatenate([np.zeros((50, 1)), np.arange(1.0, 4.0)[:, None]])
    weight = np.r_[np.zeros(49), 1, 1, 1, 1]
    fitted = KMeans(4, init=init, random_state=0).fit(X, sample_weight=weight)
    assert sorted(fitted.cluster_centers_[:, 0]) == [0.0, 1.0, 2.0, 3.0]
    with pytest.raises(InputError, match="only 4 distinct rows, but n_clusters=5"):
        KMeans(5, init=init).fit(np.append(X, [[9.0]], axis=0), sample_weight=np.append(weight, 0))


def test_the_smallest_and_the_largest_k() -> None:
    X, _ = blobs(20, 3, 2)
    one = KMeans(1).fit(X)
    np.testing.assert_allclose(one.cluster_centers_[0], X.mean(axis=0))
    assert one.inertia_ == pytest.approx(((X - X.mean(axis=0)) ** 2).sum())
    every = KMeans(20, init="random", random_state=0).fit(X)
    assert every.inertia_ == pytest.approx(0, abs=1e-25)
    assert sorted(every.labels_) == list(range(20))


def test_constant_columns_change_nothing() -> None:
    X, _ = blobs(300, 2, 4)
    wide = np.column_stack([np.full(300, 1e6), X, np.full(300, -3.0)])
    plain, padded = KMeans(4, init=X[:4], tol=0).fit(X), KMeans(4, init=wide[:4], tol=0).fit(wide)
    assert (plain.labels_ == padded.labels_).all()
    assert padded.inertia_ == pytest.approx(plain.inertia_, rel=1e-12)
    assert (padded.cluster_centers_[:, 0] == 1e6).all()


def test_float32_far_from_the_origin_keeps_its_clusters() -> None:
    far = (blobs(2000, 4, 5, seed=1, spread=1.0)[0] + 1e4).astype(np.float32)
    single = KMeans(5, init=far[:5], tol=0).fit(far)
    double = KMeans(5, init=far[:5], tol=0).fit(far.astype(np.float64))
    assert single.cluster_centers_.dtype == np.float32
    assert single.transform(far).dtype == np.float32
    assert (single.labels_ == double.labels_).all()
    assert (single.predict(far) == single.labels_).all()
    assert single.inertia_ == pytest.approx(double.inertia_, rel=1e-6)


def test_the_same_seed_gives_the_same_bits_and_leaves_global_state_alone() -> None:
    X, _ = blobs(500, 4, 6, spread=2.0)
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    one, two = (KMeans(6, n_init=5, random_state=3).fit(X) for _ in range(2))
    assert (one.cluster_centers_ == two.cluster_centers_).all()
    assert (one.history_ == two.history_).all()
    assert torch.equal(torch.get_rng_state(), torch_before)
    assert (np.random.get_state()[1] == numpy_before).all()  # noqa: NPY002
    assert KMeans(6, n_init=5, random_state=4).fit(X).history_[0] != one.history_[0]


@pytest.mark.parametrize(("k", "init"), [(5, "k-means++"), (5, "random"), (40, "k-means++")])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_every_device_gives_the_same_numbers(device: torch.device, k: int, init: str, dtype: type) -> None:
    X = blobs(900, 4, 5, spread=2.0)[0].astype(dtype)
    here = KMeans(k, init=init, n_init=3, random_state=1, device=device).fit(X)
    there = KMeans(k, init=init, n_init=3, random_state=1, device="cpu").fit(X)
    rtol = 1e-3 if device.type == "cuda" else 0
    np.testing.assert_allclose(here.history_, there.history_, rtol=rtol)
    np.testing.assert_allclose(-here.score(X), -there.score(X), rtol=rtol)
    if device.type != "cuda":
        assert (here.cluster_centers_ == there.cluster_centers_).all()
        assert (here.labels_ == there.labels_).all()
        assert (here.predict(X) == there.predict(X)).all()
        assert (here.transform(X) == there.transform(X)).all()


@pytest.mark.parametrize(
    ("X", "k", "message"),
    [
        (np.repeat([[1.0], [2.0]], 5, axis=0), 3, "n_samples=10 with only 2 distinct rows, but n_clusters=3"),
        (np.ones((1, 2)), 2, "n_samples=1 with only 1 distinct rows"),
        (np.array([[1.0], [np.nan], [2.0]]), 2, "X has NaN or infinite values in row 2"),
        (np.array([[np.inf], [1.0], [-np.inf]]), 2, r"X has NaN or infinite values in 2 rows \(1, 3\)"),
        (np.empty((0, 2)), 2, r"0 sample\(s\)"),
        (np.ones(4), 2, "Expected 2D array"),
        (np.array([["a"], ["b"]]), 2, "could not convert string"),
    ],
)
def test_tables_that_cannot_be_clustered(X: np.ndarray, k: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        KMeans(k).fit(X)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"init": "k-mean"}, "init='k-mean' is not possible"),
        ({"init": np.zeros((3, 2))}, r"init has shape \(3, 2\); \(2, 3\) centres are needed"),
        ({"init": [[np.nan] * 3] * 2}, r"NaN or infinite values in 2 rows"),
        ({"n_init": 0}, "n_init=0 is not possible"),
        ({"n_init": "many"}, "n_init='many' is not possible"),
        ({"n_clusters": 2.5}, "n_clusters=2.5 is not possible"),
        ({"n_clusters": 0}, "n_clusters=0 is not possible"),
        ({"max_iter": 0}, "max_iter=0 is not possible"),
        ({"tol": -1}, "tol=-1 is not possible"),
        ({"tol": np.nan}, "tol=nan is not possible"),
    ],
)
def test_arguments_that_cannot_be(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        KMeans(**{"n_clusters": 2, **settings}).fit(np.eye(3))


def test_weights_that_cannot_be() -> None:
    for weight, message in ((np.ones(2), "sample_weight.shape"), ([1, -1, 1], "[Nn]egative"), ([1, np.nan, 1], "NaN")):
        with pytest.raises(InputError, match=message):
            KMeans(2).fit(np.eye(3), sample_weight=weight)


def test_other_columns_than_were_fitted() -> None:
    X = pd.DataFrame(blobs(40, 2, 2)[0], columns=["a", "b"])
    fitted = KMeans(2, random_state=0).set_output(transform="pandas").fit(X)
    assert fitted.feature_names_in_.tolist() == ["a", "b"]
    assert fitted.transform(X).columns.tolist() == ["kmeans0", "kmeans1"]
    with pytest.raises(InputError, match="feature names should match"):
        fitted.predict(X.rename(columns={"a": "c"}))
    with pytest.raises(InputError, match="X has 1 features, but KMeans is expecting 2"):
        KMeans(2).fit(X.to_numpy()).predict(np.ones((3, 1)))


@pytest.mark.parametrize("refine", ["lloyd", "swap"])
def test_single_and_double_precision_agree(refine: str) -> None:
    X = blobs(900, 4, 6)[0].astype(np.float32)
    single, double = (
        KMeans(6, init=X[:6], refine=refine, random_state=0).fit(X.astype(t)) for t in (np.float32, float)
    )
    assert (single.labels_ == double.labels_).all()
    assert single.inertia_ == pytest.approx(double.inertia_, rel=1e-5)
    np.testing.assert_allclose(single.cluster_centers_, double.cluster_centers_, rtol=1e-5, atol=1e-5)
    assert (single.cluster_centers_.dtype, double.cluster_centers_.dtype) == (np.float32, np.float64)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("settings", [{}, {"max_iter": 2}, {"tol": 0.1}, {"refine": "swap"}, {"n_init": 25}])
def test_the_attributes_are_those_of_the_centres(settings: dict[str, object], dtype: type) -> None:
    X = blobs(500, 3, 5, spread=2.0)[0].astype(dtype)
    fitted = KMeans(5, random_state=0, **settings).fit(X)
    distance = cdist(X.astype(float), fitted.cluster_centers_.astype(float))
    assert (fitted.labels_ == distance.argmin(1)).all()
    assert fitted.inertia_ == pytest.approx((distance.min(1) ** 2).sum(), rel=1e-6)
    assert fitted.score(X) == pytest.approx(-fitted.inertia_, rel=1e-12)
    np.testing.assert_allclose(fitted.transform(X), distance, rtol=1e-5 if dtype == np.float32 else 1e-10, atol=1e-5)
    assert (fitted.predict(X) == fitted.labels_).all()
    again = clone(fitted)
    assert (again.fit_predict(X) == fitted.labels_).all()
    assert (again.fit_transform(X) == fitted.transform(X)).all()


@pytest.mark.parametrize(
    "form",
    [np.asfortranarray, lambda X: X[:, ::-1][:, ::-1], lambda X: X.astype(np.int16), pd.DataFrame, np.ndarray.tolist],
)
def test_the_form_of_the_table_does_not_matter(form) -> None:
    X = np.random.default_rng(0).integers(-50, 50, size=(200, 3)).astype(float)
    plain, formed = KMeans(4, n_init=3, random_state=0).fit(X), KMeans(4, n_init=3, random_state=0).fit(form(X))
    assert (formed.cluster_centers_ == plain.cluster_centers_).all()
    assert (formed.labels_ == plain.labels_).all()
    assert formed.cluster_centers_.dtype == np.float64


def test_the_callers_arrays_stay_as_they_are() -> None:
    X, init, weight = blobs(100, 2, 3)[0], np.array([[0.0, 1.0], [2.0, 3.0], [9.0, 9.0]]), np.linspace(0, 1, 100)
    for array in (X, init, weight):
        array.flags.writeable = False
    before = [array.copy() for array in (X, init, weight)]
    fitted = KMeans(3, init=init, refine="swap", random_state=0).fit(X, sample_weight=weight)
    fitted.transform(X)
    for array, kept in zip((X, init, weight), before, strict=True):
        assert (array == kept).all()
    assert fitted.init is init


def test_one_round_is_assignment_and_means() -> None:
    X, init = np.array([[0.0], [1.0], [4.0], [9.0]]), np.array([[0.0], [6.0]])
    fitted = KMeans(2, init=init, max_iter=1).fit(X)
    np.testing.assert_allclose(fitted.cluster_centers_, [[0.5], [6.5]])
    assert (fitted.n_iter_, fitted.labels_.tolist()) == (1, [0, 0, 1, 1])
    assert fitted.inertia_ == pytest.approx(0.5 + 12.5)


def test_the_tolerance_is_relative_to_the_variance() -> None:
    X = blobs(800, 3, 6, spread=2.0)[0]
    rounds = [KMeans(6, init=X[:6], tol=tol).fit(X).n_iter_ for tol in (0, 1e-6, 1e-3, 1e-1, 1e6)]
    assert rounds == sorted(rounds, reverse=True)
    assert (rounds[0] > rounds[2] > rounds[3], rounds[-1]) == (True, 1)
    for scale in (1e-6, 1e6):
        assert KMeans(6, init=X[:6] * scale, tol=1e-3).fit(X * scale).n_iter_ == rounds[2]


def test_weights_all_alike_weigh_nothing() -> None:
    X = blobs(300, 3, 5, spread=1.5)[0]
    plain, ones, tens = (KMeans(5, init=X[:5], tol=0).fit(X, sample_weight=w) for w in (None, np.ones(300), [10] * 300))
    assert (ones.cluster_centers_ == plain.cluster_centers_).all()
    np.testing.assert_allclose(tens.cluster_centers_, plain.cluster_centers_, rtol=1e-12, atol=1e-12)
    assert tens.inertia_ == pytest.approx(10 * plain.inertia_, rel=1e-12)


def test_rows_of_no_weight_are_labelled_but_move_nothing() -> None:
    X = blobs(200, 2, 3)[0]
    far = np.vstack([X, X.max(axis=0) + 50])
    plain = KMeans(3, init=X[:3], tol=0).fit(X)
    fitted = KMeans(3, init=X[:3], tol=0).fit(far, sample_weight=np.r_[np.ones(200), 0])
    np.testing.assert_allclose(fitted.cluster_centers_, plain.cluster_centers_, atol=1e-10)
    assert fitted.inertia_ == pytest.approx(plain.inertia_, rel=1e-10)
    assert fitted.labels_[-1] == plain.predict(far[-1:])[0]


def test_first_centres_that_are_each_a_row() -> None:
    X = np.random.default_rng(0).normal(size=(12, 2))
    fitted = KMeans(12, init=X[::-1], tol=0).fit(X)
    assert (fitted.labels_ == np.arange(12)[::-1]).all()
    np.testing.assert_allclose(fitted.cluster_centers_, X[::-1], atol=1e-12)


def test_one_row_one_cluster_and_identical_rows() -> None:
    assert KMeans(1).fit([[3.0, 4.0]]).cluster_centers_.tolist() == [[3.0, 4.0]]
    same = KMeans(1, refine="swap").fit(np.full((7, 2), 0.1, np.float32))
    assert same.inertia_ == pytest.approx(0, abs=1e-12)
    assert same.labels_.tolist() == [0] * 7


def test_a_new_row_goes_to_the_first_of_its_nearest_centres() -> None:
    fitted = KMeans(2, init=[[1.0], [-1.0]]).fit([[1.0], [-1.0]])
    assert fitted.predict([[0.0], [0.1], [-0.1], [-70.0]]).tolist() == [0, 0, 1, 1]
    assert fitted.transform([[0.0], [3.0]]).tolist() == [[1.0, 1.0], [2.0, 4.0]]


def test_a_second_fit_forgets_the_first() -> None:
    X, other = blobs(150, 3, 3)[0], blobs(90, 2, 4, seed=9)[0]
    fitted, fresh = KMeans(3, random_state=0).fit(X).fit(other), KMeans(3, random_state=0).fit(other)
    assert (fitted.cluster_centers_ == fresh.cluster_centers_).all()
    assert (fitted.n_features_in_, len(fitted.labels_), fitted.transform(other).shape) == (2, 90, (90, 3))


def test_auto_is_one_start_or_ten_and_more_are_no_worse() -> None:
    X = blobs(300, 2, 9, spread=1.0)[0]
    for init, n_init in (("k-means++", 1), ("random", 10)):
        auto = KMeans(9, init=init, random_state=2).fit(X)
        assert (
            auto.cluster_centers_ == KMeans(9, init=init, n_init=n_init, random_state=2).fit(X).cluster_centers_
        ).all()
        assert KMeans(9, init=init, n_init=40, random_state=2).fit(X).inertia_ <= auto.inertia_


def test_random_states_of_every_kind() -> None:
    X = blobs(300, 2, 9, spread=2.0)[0]
    for kind in (np.random.default_rng, np.random.RandomState):
        one, two = (KMeans(9, init="random", n_init=1, random_state=kind(7)).fit(X) for _ in range(2))
        assert (one.cluster_centers_ == two.cluster_centers_).all()
    unseeded = {KMeans(9, init="random", n_init=1, max_iter=1).fit(X).history_[0] for _ in range(6)}
    assert len(unseeded) > 1


def test_parameters_are_kept_as_given() -> None:
    init = np.eye(2)
    estimator = KMeans(2, init=init, n_init=3, max_iter=7, tol=0.5, refine="swap", device="cpu", random_state=4)
    expected = {"n_clusters": 2, "n_init": 3, "max_iter": 7, "tol": 0.5, "refine": "swap", "device": "cpu"}
    assert {name: value for name, value in estimator.get_params().items() if name in expected} == expected
    assert clone(estimator).get_params()["init"].tolist() == init.tolist()
    assert estimator.set_params(n_clusters=5).n_clusters == 5
    with pytest.raises(NotFittedError):
        KMeans(2).predict(np.eye(2))


def test_pandas_in_and_out() -> None:
    X = pd.DataFrame(blobs(50, 2, 2)[0], columns=["recency", "value"], index=range(100, 150))
    fitted = KMeans(2, random_state=0).fit(X)
    out = clone(fitted).set_output(transform="pandas").fit_transform(X)
    assert out.index.equals(X.index)
    np.testing.assert_array_equal(out.to_numpy(), fitted.transform(X))
    assert fitted.get_feature_names_out().tolist() == ["kmeans0", "kmeans1"]


def test_tables_refused_at_prediction() -> None:
    fitted = KMeans(2, random_state=0).fit(np.arange(6.0).reshape(3, 2))
    for method in (fitted.predict, fitted.transform, fitted.score):
        with pytest.raises(InputError, match="NaN or infinite values in row 1"):
            method([[np.nan, 1.0]])
    with pytest.raises(TypeError, match="Sparse data"):
        KMeans(2).fit(csr_array(np.eye(3)))
    with pytest.raises(InputError, match=r"0 feature\(s\)"):
        KMeans(2).fit(np.empty((3, 0)))
    with pytest.raises(InputError, match="refine='more' is not possible; use lloyd, swap"):
        KMeans(2, refine="more").fit(np.eye(3))


def test_it_warns_where_scikit_learn_warns() -> None:
    X, init = np.array([[0.0], [0.0], [0.0], [3.0], [5.0], [5.0]]), np.zeros((3, 1))
    for estimator in (KMeans, sklearn.cluster.KMeans):
        estimator(3, init=init, n_init=1, max_iter=2).fit(X)
        with pytest.warns(ConvergenceWarning, match=r"distinct clusters \(2\) found smaller than n_clusters \(3\)"):
            estimator(3, init=init, n_init=1, max_iter=1).fit(X)


def test_the_configuration_builds_it() -> None:
    built = registry.build("cluster", {"name": "kmeans", "n_init": 3})
    assert (built.init, built.n_init, built.max_iter, built.tol) == ("k-means++", 3, 300, 0.0)
