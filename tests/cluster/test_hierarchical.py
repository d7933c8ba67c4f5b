"""Hierarchical K-means: Ward's cost and heights, accepted samples, and benchmarks whose centres are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import linkage
from scipy.stats import ks_2samp
from sklearn.utils.estimator_checks import parametrize_with_checks

from marketnn import registry
from marketnn.cluster.dispersion import within_sse
from marketnn.cluster.hierarchical import HierarchicalKMeans
from marketnn.cluster.representative import ks_distance, representative_sample
from marketnn.cluster.ward import cut_centres, largest_jump, merge_nearest, ward_tree
from marketnn.data.gaussian_mixtures import draw_gaussian_mixture
from marketnn.errors import InputError

KINDS = ("S1", "S2", "S3", "S4", "A1", "A2", "A3", "unbalance")


def centroid_index(one: np.ndarray, other: np.ndarray) -> int:
    """Count the centres of either set that are nearest to none of the other (Fränti, Rezaei and Zhao 2014)."""
    squared = ((one[:, None] - other) ** 2).sum(axis=2)
    return max(len(other) - len(np.unique(squared.argmin(axis=1))), len(one) - len(np.unique(squared.argmin(axis=0))))


@settings(deadline=None, max_examples=40)
@given(n=st.integers(3, 40), d=st.integers(1, 3), seed=st.integers(0, 10_000))
def test_merging_raises_the_sse_by_wards_cost(n: int, d: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, cell = rng.normal(size=(n, d)), np.r_[np.arange(3), rng.integers(3, size=n - 3)]
    means = np.stack([x[cell == j].mean(axis=0) for j in range(3)])
    mass = np.bincount(cell)
    merged = merge_nearest(means, mass, 1)
    two = merge_nearest(means, mass, 2)
    before, between = within_sse(x, cell), within_sse(x, two.group_n[cell])
    after = within_sse(x, np.zeros(n))
    np.testing.assert_allclose(merged.costs_m, [between - before, after - between], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(merged.centres_kd[0], x.mean(axis=0), atol=1e-12)
    assert merged.mass_k.tolist() == [n]


def test_merging_single_rows_is_scipys_ward_tree() -> None:
    x = np.random.default_rng(0).normal(size=(60, 3))
    merged = merge_nearest(x, np.ones(60), 1)
    heights = linkage(x, "ward")[:, 2]
    np.testing.assert_allclose(np.sqrt(2 * merged.costs_m), heights, rtol=1e-10)
    assert (np.diff(heights) >= 0).all()


def test_cut_centres_are_the_means_of_the_trees_clusters() -> None:
    x = np.array([[0.0], [1.0], [10.0], [12.0], [50.0]])
    np.testing.assert_allclose(np.sort(cut_centres(x, ward_tree(x), 3)[:, 0]), [0.5, 11.0, 50.0])


@pytest.mark.parametrize(
    ("heights", "k_min", "k_max", "k"),
    [([1, 1, 1, 8, 9], 2, 5, 3), ([1, 1, 1, 8, 9], 4, 5, 4), ([0, 0, 2, 3], 2, 4, 3), ([], 2, 5, 1), ([1.0], 2, 5, 2)],
)
def test_the_largest_relative_jump(heights: list[float], k_min: int, k_max: int, k: int) -> None:
    assert largest_jump(np.array(heights, dtype=float), k_min, k_max) == k


@settings(deadline=None, max_examples=40)
@given(n=st.integers(2, 60), share=st.floats(0.1, 1), levels=st.integers(1, 30), seed=st.integers(0, 10_000))
def test_the_distance_of_distributions_is_scipys(n: int, share: float, levels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    column = rng.integers(levels, size=n).astype(float)
    sample = rng.choice(column, max(1, int(share * n)), replace=False)
    expected = ks_2samp(sample, column, method="asymp").statistic
    assert ks_distance(np.sort(column), sample) == pytest.approx(expected, abs=1e-12)


def test_samples_are_drawn_anew_until_one_fits() -> None:
    x = np.random.default_rng(0).exponential(size=(5_000, 4))
    ordered = np.sort(x, axis=0)
    options = {"limit": 0.02, "rng": np.random.default_rng(1)}
    _, once = representative_sample(x, ordered, 500, max_draws=1, **options)
    _, often = representative_sample(x, ordered, 500, max_draws=50, **options)
    assert often < 0.035 < once
    rows, distance = representative_sample(x, ordered, 500, limit=None, max_draws=50, rng=np.random.default_rng(1))
    assert distance <= 1.36 / np.sqrt(500)
    assert len(np.unique(rows)) == 500


@pytest.mark.parametrize("kind", KINDS)
def test_it_finds_the_centres_of_the_benchmarks(kind: str) -> None:
    for seed in range(3):
        mixture = draw_gaussian_mixture(kind, seed=seed)
        fitted = HierarchicalKMeans(len(mixture.centres), random_state=seed).fit(mixture.x)
        assert centroid_index(mixture.centres, fitted.cluster_centers_) == 0


@pytest.mark.parametrize("kind", ["S1", "A1", "six_segments"])
def test_the_merge_heights_tell_the_number(kind: str) -> None:
    mixture = draw_gaussian_mixture(kind, seed=0)
    x = mixture.x / mixture.x.std(axis=0)
    fitted = HierarchicalKMeans(random_state=0).fit(x)
    assert fitted.n_clusters_ == len(fitted.cluster_centers_) == len(mixture.centres)
    assert fitted.n_clusters_ == np.median(fitted.suggested_)
    assert fitted.merge_heights_.shape == (10, 999)
    assert len(fitted.merges_) == len(fitted.merge_costs_) > 0


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_fit_is_a_fixed_point_on_every_device(device: torch.device, dtype: type) -> None:
    x = draw_gaussian_mixture("S2", seed=1).x[:1500].astype(dtype)
    here = HierarchicalKMeans(8, n_samples=3, sample_size=300, device=device, random_state=2).fit(x)
    there = HierarchicalKMeans(8, n_samples=3, sample_size=300, device="cpu", random_state=2).fit(x)
    if device.type != "cuda":
        assert (here.cluster_centers_ == there.cluster_centers_).all()
        assert (here.history_ == there.history_).all()
    counts = np.bincount(here.labels_)
    np.testing.assert_allclose(counts @ here.cluster_centers_ / len(x), x.mean(axis=0, dtype=float), atol=1e-6)
    assert here.inertia_ == pytest.approx(within_sse(x, here.labels_), rel=1e-6)
    assert (here.predict(x) == here.labels_).all()
    assert (np.diff(here.history_) <= 1e-6).all()
    assert here.history_[-1] == here.total_error_


def test_float32_far_from_the_origin_keeps_its_clusters() -> None:
    far = (100 * draw_gaussian_mixture("S1", seed=0).x[:2000] + 1e4).astype(np.float32)
    single, double = (HierarchicalKMeans(15, random_state=0).fit(x) for x in (far, far.astype(np.float64)))
    assert (single.labels_ == double.labels_).all()


def test_weights_move_the_centres_and_rows_of_no_weight_count_for_nothing() -> None:
    x = np.array([[0.0], [1.0], [10.0], [11.0], [1e6]])
    fitted = HierarchicalKMeans(2, random_state=0).fit(x, sample_weight=[3, 1, 1, 1, 0])
    np.testing.assert_allclose(np.sort(fitted.cluster_centers_[:, 0]), [0.25, 10.5])


def test_rare_rows_still_make_as_many_clusters_as_asked() -> None:
    x = np.repeat(np.arange(12.0), [4_000, *[1] * 11])[:, None]
    fitted = HierarchicalKMeans(12, n_samples=2, sample_size=100, random_state=0).fit(x)
    np.testing.assert_allclose(np.sort(fitted.cluster_centers_[:, 0]), np.arange(12.0), atol=1e-9)
    assert fitted.inertia_ == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_clusters": 0}, "n_clusters=0 is not possible"),
        ({"n_samples": 0}, "n_samples=0 is not possible"),
        ({"k_min": 1}, "k_min=1, k_max=50: 2 <= k_min <= k_max"),
        ({"k_min": 5, "k_max": 4}, "k_min=5, k_max=4"),
        ({"ks_limit": 0.0}, "ks_limit=0.0 is not possible"),
        ({"n_clusters": 4}, "only 3 distinct rows, but n_clusters=4"),
    ],
)
def test_arguments_that_cannot_be(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        HierarchicalKMeans(**settings).fit(np.eye(3))


@parametrize_with_checks(
    [HierarchicalKMeans(3, n_samples=2, random_state=0)],
    expected_failed_checks=lambda _: {
        name: "the weights do not reach the samples"
        for name in (
            "check_sample_weight_equivalence_on_dense_data",
            "check_sample_weight_equivalence_on_sparse_data",
        )
    },
)
def test_scikit_learns_checks(estimator: HierarchicalKMeans, check: object) -> None:
    check(estimator)


def test_the_configuration_builds_it() -> None:
    built = registry.build("cluster", {"name": "hierarchical", "n_samples": 4, "ks_limit": None})
    assert (built.n_clusters, built.n_samples, built.sample_size, built.k_max) == (None, 4, 1000, 50)
