"""CLARA: judged by brute force, equal to PAM on a sample of everything, better with the final competition."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pretend_device import PretendDevice
from scipy.spatial.distance import cdist
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from marketnn import registry
from marketnn.cluster.clara import CLARA
from marketnn.cluster.kmedoids import KMedoids
from marketnn.cluster.sampled_medoids import distinct_rows, sampled_medoids, sums_of_distances
from marketnn.errors import InputError
from marketnn.seed import torch_generator


def blobs(n: int = 2000, d: int = 3, k: int = 4, seed: int = 0, spread: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    return make_blobs(n, d, centers=k, cluster_std=spread, random_state=seed)


@parametrize_with_checks([CLARA(3)])
def test_it_is_a_scikit_learn_estimator(estimator: CLARA, check: object) -> None:
    check(estimator)


@settings(deadline=None, max_examples=25)
@given(
    n=st.integers(8, 300),
    k=st.integers(1, 6),
    n_samples=st.integers(1, 6),
    rounds=st.integers(1, 6),
    seed=st.integers(0, 10_000),
)
def test_the_attributes_follow_from_the_medoids(n: int, k: int, n_samples: int, rounds: int, seed: int) -> None:
    X = np.random.default_rng(seed).normal(size=(n, 3))
    fitted = CLARA(k, n_samples=n_samples, rounds=min(rounds, n_samples), random_state=seed).fit(X)
    D = cdist(X, X[fitted.medoid_indices_])
    assert len(set(fitted.medoid_indices_)) == k
    np.testing.assert_array_equal(fitted.cluster_centers_, X[fitted.medoid_indices_])
    np.testing.assert_array_equal(fitted.labels_, D.argmin(axis=1))
    assert fitted.loss_ == pytest.approx(D.min(axis=1).sum(), rel=1e-12)
    assert fitted.history_[-1] == pytest.approx(fitted.loss_, rel=1e-6)
    assert (np.diff(fitted.history_) <= 0).all()
    assert fitted.n_iter_ == len(fitted.history_) == len(fitted.path_)
    assert set(fitted.path_[-1]) == set(fitted.medoid_indices_)
    for loss, medoids in zip(fitted.history_, fitted.path_, strict=True):
        assert cdist(X, X[medoids]).min(1).sum() == pytest.approx(loss, rel=1e-6)
    assert fitted.inertia_ == pytest.approx((D.min(axis=1) ** 2).sum(), rel=1e-12)
    assert fitted.total_error_ == np.sqrt(fitted.inertia_)
    np.testing.assert_array_equal(fitted.predict(X), fitted.labels_)


@pytest.mark.parametrize("seed", range(10))
def test_a_sample_of_all_rows_is_pam(seed: int) -> None:
    X, _ = blobs(150, 2, 5, seed=seed, spread=2.5)
    sampled, swapped = CLARA(5, sample_size=10**6, random_state=seed).fit(X), KMedoids(5).fit(X)
    np.testing.assert_array_equal(sampled.medoid_indices_, swapped.medoid_indices_)
    assert sampled.loss_ == swapped.loss_


def test_separate_clusters_are_found() -> None:
    X, label = blobs(spread=0.3)
    for seed in range(10):
        fitted = CLARA(4, random_state=seed).fit(X)
        assert adjusted_rand_score(fitted.labels_, label) == 1.0


def test_it_ends_a_little_above_pam_and_more_work_brings_it_nearer() -> None:
    X, _ = blobs(1500, 4, 6, spread=3.0)
    best = KMedoids(6).fit(X).loss_
    few, many = (
        np.mean([CLARA(6, random_state=seed, **work).fit(X).loss_ for seed in range(10)]) / best
        for work in ({"n_samples": 1}, {"n_samples": 20, "sample_size": 200, "rounds": 2})
    )
    assert 1 < many < few < 1.2
    assert many < 1.01


def test_judging_is_brute_force_in_any_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    X = np.random.default_rng(0).normal(size=(500, 3))
    centres = X[:20].reshape(4, 5, 3)
    expected = [cdist(X, chosen).min(axis=1).sum() for chosen in centres]
    for elements in (2**19, 100):
        monkeypatch.setattr("marketnn.cluster.sampled_medoids._BLOCK_ELEMENTS", elements)
        found = sums_of_distances(torch.as_tensor(X), torch.as_tensor(centres))
        np.testing.assert_allclose(found, expected, rtol=1e-6)


@settings(deadline=None, max_examples=40)
@given(n=st.integers(1, 60), seed=st.integers(0, 10_000), data=st.data())
def test_drawn_rows_differ_and_contain_the_given_ones(n: int, seed: int, data: st.DataObject) -> None:
    m = data.draw(st.integers(1, n))
    given_rows = np.random.default_rng(seed).permutation(n)[: data.draw(st.integers(0, m))].tolist()
    rows = distinct_rows(n, m, given_rows, torch_generator(seed))
    assert rows == sorted(set(rows))
    assert len(rows) == m
    assert set(given_rows) <= set(rows) <= set(range(n))


def test_rows_are_drawn_alike() -> None:
    generator = torch_generator(0)
    counts = np.bincount([row for _ in range(4000) for row in distinct_rows(10, 4, [], generator)], minlength=10)
    assert np.abs(counts - 1600).max() < 5 * np.sqrt(4000 * 0.4 * 0.6)


def test_later_rounds_carry_the_best_medoids() -> None:
    x_nd = torch.as_tensor(blobs(3000, 4, 6, spread=3.0)[0])
    for seed in range(5):
        found = sampled_medoids(x_nd, 6, n_samples=8, sample_size=52, rounds=4, generator=torch_generator(seed))
        assert len(found.history) == 5
        assert (np.diff(found.history) <= 0).all()


def test_the_last_competition_is_judged_with_the_last_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    x_nd = torch.as_tensor(blobs(3000, 4, 6, spread=3.0)[0])
    judged: list[tuple[int, list[float]]] = []

    def judge(x_nd: torch.Tensor, centres_skd: torch.Tensor) -> torch.Tensor:
        sums = sums_of_distances(x_nd, centres_skd)
        judged.append((len(centres_skd), sums.tolist()))
        return sums

    monkeypatch.setattr("marketnn.cluster.sampled_medoids.sums_of_distances", judge)
    found = sampled_medoids(x_nd, 6, n_samples=5, sample_size=52, rounds=2, generator=torch_generator(0))
    (first, first_sums), (last, last_sums) = judged
    assert (first, last) == (3, 2 + 1)
    assert found.history == [min(first_sums), min(first_sums + last_sums[:2]), min(first_sums + last_sums)]
    expected = cdist(x_nd, x_nd[found.medoids_k]).min(axis=1).sum()
    assert found.history[-1] == pytest.approx(expected, rel=1e-6)


def test_repeated_rows_in_a_sample_do_no_harm() -> None:
    X = np.repeat([[0.0, 0.0], [1.0, 0.0], [5.0, 5.0]], [4000, 3000, 500], axis=0)
    for seed in range(10):
        fitted = CLARA(3, random_state=seed).fit(X)
        assert fitted.loss_ == 0
        assert len(set(fitted.labels_)) == 3


def test_single_precision_far_from_the_origin_keeps_its_clusters() -> None:
    far = (blobs(3000, 4, 5, seed=1, spread=0.5)[0] + 1e4).astype(np.float32)
    single, double = (CLARA(5, random_state=0).fit(X) for X in (far, far.astype(np.float64)))
    assert single.cluster_centers_.dtype == single.transform(far).dtype == np.float32
    np.testing.assert_array_equal(single.medoid_indices_, double.medoid_indices_)
    np.testing.assert_array_equal(single.labels_, double.labels_)
    np.testing.assert_array_equal(single.predict(far), single.labels_)


def test_the_same_seed_gives_the_same_bits_and_leaves_global_state_alone() -> None:
    X, _ = blobs(spread=3.0)
    before = torch.get_rng_state()
    one, two = (CLARA(5, n_samples=6, rounds=3, random_state=3).fit(X) for _ in range(2))
    np.testing.assert_array_equal(one.medoid_indices_, two.medoid_indices_)
    np.testing.assert_array_equal(one.history_, two.history_)
    assert torch.equal(torch.get_rng_state(), before)
    assert CLARA(5, n_samples=6, rounds=3, random_state=4).fit(X).history_[0] != one.history_[0]


def test_every_device_gives_the_same_numbers(device: torch.device) -> None:
    X = blobs(800, spread=3.0)[0].astype(np.float32)
    here = CLARA(5, n_samples=4, rounds=2, random_state=1, device=device).fit(X)
    there = CLARA(5, n_samples=4, rounds=2, random_state=1, device="cpu").fit(X)
    np.testing.assert_allclose(here.history_, there.history_, rtol=1e-4 if device.type == "cuda" else 0)
    if device.type != "cuda":
        np.testing.assert_array_equal(here.medoid_indices_, there.medoid_indices_)
        np.testing.assert_array_equal(here.labels_, there.labels_)
    x_nd = torch.as_tensor(X).to(device)
    with PretendDevice(host_sync="error") if device.type == "pretend" else nullcontext():
        sum_s = sums_of_distances(x_nd, x_nd[:12].view(3, 4, -1))
    expected = sums_of_distances(torch.as_tensor(X), torch.as_tensor(X[:12].reshape(3, 4, -1)))
    torch.testing.assert_close(sum_s.cpu(), expected, rtol=1e-4 if device.type == "cuda" else 0, atol=0)


def test_pandas_in_and_out() -> None:
    X = pd.DataFrame(blobs(80, 2, 2)[0], columns=["a", "b"])
    fitted = CLARA(2, random_state=0).set_output(transform="pandas").fit(X)
    assert fitted.transform(X).columns.tolist() == ["clara0", "clara1"]
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
        CLARA(3).fit(X)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_clusters": 0}, "n_clusters=0 is not possible"),
        ({"n_samples": 0}, "n_samples=0 is not possible"),
        ({"n_samples": True}, "n_samples=True is not possible"),
        ({"sample_size": 0}, "sample_size=0 is not possible"),
        ({"sample_size": 1}, "sample_size=1 holds no 2 medoids"),
        ({"rounds": 6}, "rounds=6 need as many samples, not n_samples=5"),
    ],
)
def test_arguments_that_cannot_be(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        CLARA(**{"n_clusters": 2, **arguments}).fit(np.eye(3))


def test_the_configuration_builds_it() -> None:
    built = registry.build("cluster", {"name": "clara", "n_samples": 9})
    assert (built.n_samples, built.sample_size, built.rounds) == (9, None, 1)
