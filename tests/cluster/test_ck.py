"""CK: never above its medoids, scaled inside, near the best known error of a real table, and what it refuses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from marketnn import registry
from marketnn.cluster.ck import CK
from marketnn.errors import InputError


def blobs(n: int = 600, d: int = 3, k: int = 4, seed: int = 0, spread: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    X, label = make_blobs(n, d, centers=k, cluster_std=spread, random_state=seed)
    return X * np.array([1, 100, 0.01, 1, 1])[:d] + 50, label


def min_max(X: np.ndarray) -> np.ndarray:
    return (X - X.min(axis=0)) / (X.max(axis=0) - X.min(axis=0))


@parametrize_with_checks(
    [CK(3)],
    # Repeated rows are other rows to sample from; scikit-learn expects its own KMeans to fail here, too.
    expected_failed_checks=lambda _: {"check_sample_weight_equivalence_on_dense_data": "the samples differ"},
)
def test_it_is_a_scikit_learn_estimator(estimator: CK, check: object) -> None:
    check(estimator)


@pytest.mark.parametrize("block", range(10))
def test_the_error_falls_from_the_medoids_to_a_fixed_point(block: int) -> None:
    for seed in range(20 * block, 20 * block + 20):
        rng = np.random.default_rng(seed)
        n, d, k = int(rng.integers(10, 200)), int(rng.integers(1, 5)), int(rng.integers(1, 8))
        X = rng.normal(size=(n, d)) if seed % 2 else rng.lognormal(sigma=1.5, size=(n, d))
        Z = min_max(X)
        medoids, ended = (CK(k, refine=refine, random_state=seed).fit(X) for refine in ("none", "lloyd"))
        np.testing.assert_array_equal(medoids.medoid_indices_, ended.medoid_indices_)
        squared = ((Z[:, None] - Z[medoids.medoid_indices_]) ** 2).sum(axis=2).min(axis=1)
        assert medoids.inertia_ == pytest.approx(squared.sum(), rel=1e-9)
        assert ended.history_[0] == pytest.approx(medoids.total_error_, rel=1e-9)
        assert (np.diff(ended.history_) <= 1e-9).all()
        assert ended.inertia_ <= medoids.inertia_ * (1 + 1e-12)
        assert ended.history_[-1] == ended.total_error_ == pytest.approx(np.sqrt(ended.inertia_), rel=1e-12)
        assert len(ended.history_) == ended.n_iter_ + 1
        means = np.stack([X[ended.labels_ == cluster].mean(axis=0) for cluster in range(k)])
        np.testing.assert_allclose(ended.cluster_centers_, means, rtol=1e-8, atol=1e-10)
        np.testing.assert_array_equal(ended.predict(X), ended.labels_)
        assert ended.score(X) == pytest.approx(-ended.inertia_, rel=1e-9)


def test_no_refinement_is_the_papers_literal_reading() -> None:
    X, _ = blobs()
    fitted = CK(4, refine="none", random_state=0).fit(X)
    np.testing.assert_array_equal(fitted.cluster_centers_, X[fitted.medoid_indices_])
    assert fitted.n_iter_ == 0
    assert fitted.history_.tolist() == [fitted.total_error_]


def test_scaling_inside_is_scaling_before() -> None:
    X, label = blobs(spread=0.3)
    inside = CK(4, random_state=0).fit(X)
    before = CK(4, scale=False, random_state=0).fit(min_max(X))
    np.testing.assert_array_equal(inside.labels_, before.labels_)
    np.testing.assert_allclose(inside.history_, before.history_, rtol=1e-9)
    np.testing.assert_allclose(min_max(np.vstack([X, inside.cluster_centers_]))[-4:], before.cluster_centers_)
    np.testing.assert_allclose(inside.transform(X), before.transform(min_max(X)), atol=1e-9)
    assert adjusted_rand_score(inside.labels_, label) == 1.0


def test_a_constant_column_changes_nothing() -> None:
    X, _ = blobs(200)
    plain, padded = (CK(4, random_state=0).fit(table) for table in (X, np.column_stack([X, np.full(200, 7e5)])))
    np.testing.assert_array_equal(plain.labels_, padded.labels_)
    assert padded.inertia_ == pytest.approx(plain.inertia_, rel=1e-12)
    np.testing.assert_array_equal(padded.cluster_centers_[:, 3], np.full(4, 7e5))


def test_weights_count_in_the_error_and_the_centres() -> None:
    X, _ = blobs(80, spread=0.2)
    weight = np.random.default_rng(0).uniform(0.5, 3, size=80)
    fitted = CK(4, random_state=0).fit(X, sample_weight=weight)
    means = [np.average(X[fitted.labels_ == c], axis=0, weights=weight[fitted.labels_ == c]) for c in range(4)]
    np.testing.assert_allclose(fitted.cluster_centers_, means, rtol=1e-9)
    squared = ((min_max(np.vstack([X, means]))[:80] - min_max(np.vstack([X, means]))[80:][fitted.labels_]) ** 2).sum(
        axis=1
    )
    assert fitted.inertia_ == pytest.approx((weight * squared).sum(), rel=1e-9)
    assert fitted.score(X, sample_weight=weight) == pytest.approx(-fitted.inertia_, rel=1e-9)


def test_single_precision_far_from_the_origin_keeps_its_clusters() -> None:
    far = (make_blobs(2000, 4, centers=5, random_state=1)[0] + 1e4).astype(np.float32)
    single, double = (CK(5, random_state=0).fit(X) for X in (far, far.astype(np.float64)))
    assert single.cluster_centers_.dtype == single.transform(far).dtype == np.float32
    np.testing.assert_array_equal(single.labels_, double.labels_)
    np.testing.assert_array_equal(single.predict(far), single.labels_)
    assert single.inertia_ == pytest.approx(double.inertia_, rel=1e-5)


def test_the_same_seed_gives_the_same_bits_and_leaves_global_state_alone() -> None:
    X, _ = blobs(spread=3.0)
    before = torch.get_rng_state()
    one, two = (CK(5, preset="strong", random_state=3).fit(X) for _ in range(2))
    np.testing.assert_array_equal(one.cluster_centers_, two.cluster_centers_)
    np.testing.assert_array_equal(one.history_, two.history_)
    assert torch.equal(torch.get_rng_state(), before)
    assert CK(5, random_state=4).fit(X).history_[0] != CK(5, random_state=3).fit(X).history_[0]


def test_every_device_gives_the_same_numbers(device: torch.device) -> None:
    X = blobs(spread=3.0)[0].astype(np.float32)
    here, there = (CK(5, random_state=1, device=where).fit(X) for where in (device, "cpu"))
    np.testing.assert_allclose(here.history_, there.history_, rtol=1e-3 if device.type == "cuda" else 0)
    if device.type != "cuda":
        np.testing.assert_array_equal(here.cluster_centers_, there.cluster_centers_)
        np.testing.assert_array_equal(here.predict(X), there.predict(X))


def test_pandas_in_and_out() -> None:
    X = pd.DataFrame(blobs(80, 2, 2)[0], columns=["a", "b"])
    fitted = CK(2, random_state=0).set_output(transform="pandas").fit(X)
    assert fitted.feature_names_in_.tolist() == ["a", "b"]
    assert fitted.transform(X).columns.tolist() == ["ck0", "ck1"]
    with pytest.raises(InputError, match="feature names should match"):
        fitted.predict(X.rename(columns={"a": "c"}))


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.repeat([[1.0], [2.0]], 5, axis=0), "n_samples=10 with only 2 distinct rows, but n_clusters=3"),
        (np.ones((1, 2)), "n_samples=1 with only 1 distinct rows"),
        (np.array([[1.0], [np.nan], [2.0]]), "X has NaN or infinite values in row 2"),
    ],
)
def test_tables_that_cannot_be_clustered(X: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        CK(3).fit(X)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_clusters": 0}, "n_clusters=0 is not possible"),
        ({"max_iter": 0}, "max_iter=0 is not possible"),
        ({"preset": "weak"}, "preset='weak' is not possible; use paper, strong"),
        ({"refine": "best"}, "refine='best' is not possible; use lloyd, none, swap"),
    ],
)
def test_arguments_that_cannot_be(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        CK(**{"n_clusters": 2, **arguments}).fit(np.eye(3))


def test_the_configuration_builds_it() -> None:
    built = registry.build("cluster", {"name": "ck", "preset": "strong"})
    assert (built.preset, built.refine, built.scale, built.max_iter) == ("strong", "lloyd", True, 300)


@pytest.mark.realdata
@pytest.mark.parametrize("preset", ["paper", "strong"])
def test_on_a_real_table_it_ends_near_the_best_known_error(retail_rfm: np.ndarray, preset: str) -> None:
    assert retail_rfm.shape == (4338, 3)
    errors = np.array([CK(4, preset=preset, random_state=seed).fit(retail_rfm).inertia_ for seed in range(20)])
    assert (errors >= 27.215131 - 1e-6).all()
    assert (errors <= 27.215131 * 1.005).all()


@pytest.mark.realdata
def test_swaps_reach_the_best_known_error_of_a_real_table(retail_rfm: np.ndarray) -> None:
    for seed in range(20):
        fitted = CK(4, refine="swap", random_state=seed).fit(retail_rfm)
        assert fitted.inertia_ == pytest.approx(27.215131, abs=1e-6)
        assert (np.diff(fitted.history_) < 1e-9).all()
        assert fitted.history_[-1] == fitted.total_error_


def test_swaps_never_end_higher_and_find_what_lloyd_misses() -> None:
    X, label = make_blobs(400, 2, centers=12, cluster_std=0.2, random_state=4)
    for seed in range(4):
        ended, swapped = (CK(12, refine=refine, random_state=seed).fit(X) for refine in ("lloyd", "swap"))
        assert swapped.inertia_ <= ended.inertia_ * (1 + 1e-12)
        np.testing.assert_array_equal(swapped.history_[: ended.n_iter_], ended.history_[: ended.n_iter_])
        assert adjusted_rand_score(swapped.labels_, label) == 1.0
