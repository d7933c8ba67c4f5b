"""Mini-batch K-means: its step against the running mean, its ends against K-means, seeds, devices, and what it refuses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pretend_device import PretendDevice
from sklearn.metrics import adjusted_rand_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from marketnn import registry
from marketnn.cluster import KMeans, MiniBatchKMeans
from marketnn.cluster.minibatch_kmeans import RunningMeans, minibatch_step
from marketnn.cluster.rows import HeldRows
from marketnn.errors import InputError


def blobs(n: int = 6000, d: int = 3, k: int = 5, seed: int = 0, spread: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    label = rng.integers(k, size=n)
    return rng.normal(scale=4, size=(k, d))[label] + rng.normal(scale=spread, size=(n, d)), label


@parametrize_with_checks(
    [MiniBatchKMeans(3, batch_size=10)],
    # Repeated rows are other rows to draw batches from; scikit-learn expects its own to fail here, too.
    expected_failed_checks=lambda _: {"check_sample_weight_equivalence_on_dense_data": "the batches differ"},
)
def test_it_is_a_scikit_learn_estimator(estimator: MiniBatchKMeans, check: object) -> None:
    check(estimator)


@settings(deadline=None, max_examples=20)
@given(d=st.integers(1, 4), k=st.integers(1, 6), steps=st.integers(1, 5), seed=st.integers(0, 10_000))
def test_steps_are_sculleys_row_by_row(d: int, k: int, steps: int, seed: int) -> None:
    """With its batch's labels held, a centre takes each row in turn at the rate weight / weight so far."""
    rng = np.random.default_rng(seed)
    centres, mass = rng.normal(size=(k, d)), np.zeros(k)
    means = RunningMeans.of(torch.tensor(centres))
    for _ in range(steps):
        x, weight = rng.normal(size=(12, d)), rng.uniform(0.1, 2, size=12)
        before = centres.copy()
        label = ((x[:, None] - before) ** 2).sum(2).argmin(1)
        for row, w, j in zip(x, weight, label, strict=True):
            mass[j] += w
            centres[j] += w / mass[j] * (row - centres[j])
        means, sse = minibatch_step(HeldRows(torch.as_tensor(x), torch.as_tensor(weight)), means)
        np.testing.assert_allclose(means.centres_kd, centres, atol=1e-10)
        np.testing.assert_allclose(means.mass_k, mass, atol=1e-10)
        assert float(sse) == pytest.approx(weight @ ((x - before[label]) ** 2).sum(1), rel=1e-9)


def test_a_step_never_waits_for_the_device() -> None:
    x, centres = torch.randn(40, 3, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64)
    here, sse = minibatch_step(HeldRows(x), RunningMeans.of(centres))
    with PretendDevice():
        batch, means = HeldRows(x.to("pretend")), RunningMeans.of(centres.to("pretend"))
        with PretendDevice(host_sync="error"):
            there, sse_there = minibatch_step(batch, means)
        assert torch.equal(there.centres_kd.cpu(), here.centres_kd)
        assert torch.equal(sse_there.cpu(), sse)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("spread", [0.5, 1.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_it_ends_near_k_means(seed: int, spread: float, dtype: type) -> None:
    X = blobs(spread=spread)[0].astype(dtype)
    full = KMeans(5, n_init=10, random_state=seed).fit(X)
    mini = MiniBatchKMeans(5, n_init=5, random_state=seed).fit(X)
    assert mini.inertia_ < 1.03 * full.inertia_
    assert mini.cluster_centers_.dtype == dtype
    assert mini.total_error_ == mini.history_[-1] == np.sqrt(mini.inertia_)
    assert len(mini.history_) == mini.n_steps_ + 1
    assert mini.history_[-2] == pytest.approx(mini.total_error_, rel=0.05)
    assert mini.counts_.sum() == 1024 * mini.n_steps_
    assert (mini.predict(X) == mini.labels_).all()
    assert mini.score(X) == pytest.approx(-mini.inertia_, rel=1e-6)


@pytest.mark.parametrize("init", ["k-means++", "random"])
def test_plain_blobs_are_found(init: str) -> None:
    X, label = blobs(spread=0.2)
    fitted = MiniBatchKMeans(5, init=init, n_init=10, random_state=0).fit(X)
    assert adjusted_rand_score(fitted.labels_, label) > 0.99


def test_batches_one_by_one_reach_what_a_fit_reaches() -> None:
    X, _ = blobs(seed=3)
    fitted = MiniBatchKMeans(5, n_init=5, random_state=1)
    for batch in np.split(X, 12):
        fitted.partial_fit(batch)
    assert fitted.n_steps_ == 12
    assert fitted.counts_.sum() == len(X)
    assert len(fitted.labels_) == 500
    assert -fitted.score(X) < 1.03 * KMeans(5, n_init=10, random_state=0).fit(X).inertia_
    fitted.partial_fit(X[:7])
    assert (fitted.n_steps_, len(fitted.labels_)) == (13, 7)


def test_batches_after_a_fit_go_on_from_it() -> None:
    X, _ = blobs()
    fitted = MiniBatchKMeans(5, random_state=0).fit(X)
    centres, counts, steps = fitted.cluster_centers_, fitted.counts_, fitted.n_steps_
    fitted.partial_fit(X[:100])
    assert fitted.n_steps_ == steps + 1
    assert (fitted.counts_ - counts).sum() == 100
    assert 0 < np.abs(fitted.cluster_centers_ - centres).max() < 0.05


def test_one_batch_of_all_rows_is_a_round_of_k_means() -> None:
    X, _ = blobs(400)
    weight = np.random.default_rng(0).uniform(size=400)
    mini = MiniBatchKMeans(5, init=X[:5]).partial_fit(X, sample_weight=weight)
    label = KMeans(5, init=X[:5], max_iter=1).fit(X, sample_weight=weight)
    np.testing.assert_allclose(mini.cluster_centers_, label.cluster_centers_, atol=1e-10)
    assert mini.inertia_ == pytest.approx(label.inertia_, rel=1e-10)


def test_rows_of_no_weight_pull_nothing() -> None:
    X, _ = blobs(2000)
    far = np.concatenate([X, X + 1000])
    weight = np.repeat([1.0, 0.0], len(X))
    fitted = MiniBatchKMeans(5, random_state=0).fit(far, sample_weight=weight)
    assert np.abs(fitted.cluster_centers_).max() < np.abs(X).max()


def test_float32_far_from_the_origin_keeps_its_clusters() -> None:
    X, label = blobs(spread=0.2)
    fitted = MiniBatchKMeans(5, n_init=10, random_state=0).fit((X + 1e4).astype(np.float32))
    assert adjusted_rand_score(fitted.labels_, label) > 0.99


def test_the_stops() -> None:
    X, _ = blobs(3000)
    assert MiniBatchKMeans(5, max_iter=2, batch_size=100, max_no_improvement=None).fit(X).n_steps_ == 60
    assert MiniBatchKMeans(5, max_iter=1, batch_size=5000, max_no_improvement=None).fit(X).n_steps_ == 1
    assert MiniBatchKMeans(5, tol=1e9).fit(X).n_steps_ == 1
    patient, hasty = (MiniBatchKMeans(5, max_no_improvement=m, random_state=0).fit(X).n_steps_ for m in (20, 2))
    assert hasty < patient < 100 * 3


def test_the_same_seed_gives_the_same_bits() -> None:
    X, _ = blobs(spread=2.0)
    torch_before = torch.get_rng_state()
    one, two, other = (MiniBatchKMeans(5, random_state=seed).fit(X) for seed in (3, 3, 4))
    assert (one.cluster_centers_ == two.cluster_centers_).all()
    assert (one.history_ == two.history_).all()
    assert one.history_[0] != other.history_[0]
    assert torch.equal(torch.get_rng_state(), torch_before)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_every_device_gives_the_same_numbers(device: torch.device, dtype: type) -> None:
    X = blobs(1500, spread=2.0)[0].astype(dtype)
    here, there = (MiniBatchKMeans(5, batch_size=200, random_state=1, device=one).fit(X) for one in (device, "cpu"))
    rtol = 1e-3 if device.type == "cuda" else 0
    np.testing.assert_allclose(here.history_, there.history_, rtol=rtol)
    np.testing.assert_allclose(here.cluster_centers_, there.cluster_centers_, rtol=rtol)
    for fitted in (here, there):
        fitted.partial_fit(X[:50])
    np.testing.assert_allclose(here.cluster_centers_, there.cluster_centers_, rtol=rtol)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"init": "k-mean"}, "init='k-mean' is not possible"),
        ({"init": np.zeros((3, 2))}, r"init has shape \(3, 2\); \(2, 3\) centres are needed"),
        ({"n_init": 0}, "n_init=0 is not possible"),
        ({"n_clusters": 0}, "n_clusters=0 is not possible"),
        ({"n_clusters": 4}, "only 3 distinct rows, but n_clusters=4"),
        ({"batch_size": 2.5}, "batch_size=2.5 is not possible"),
        ({"max_iter": 0}, "max_iter=0 is not possible"),
        ({"max_no_improvement": 0}, "max_no_improvement=0 is not possible"),
        ({"tol": -1}, "tol=-1 is not possible"),
    ],
)
def test_arguments_that_cannot_be(settings: dict[str, object], message: str) -> None:
    for fit in (MiniBatchKMeans.fit, MiniBatchKMeans.partial_fit):
        with pytest.raises(InputError, match=message):
            fit(MiniBatchKMeans(**{"n_clusters": 2, **settings}), np.eye(3))


def test_batches_have_the_first_ones_columns() -> None:
    X = pd.DataFrame(blobs(40, 2)[0], columns=["a", "b"])
    fitted = MiniBatchKMeans(2, random_state=0).partial_fit(X)
    assert fitted.feature_names_in_.tolist() == ["a", "b"]
    with pytest.raises(InputError, match="feature names should match"):
        fitted.partial_fit(X.rename(columns={"a": "c"}))
    with pytest.raises(InputError, match="NaN or infinite values in row 2"):
        fitted.partial_fit(X.assign(b=np.where(X.index == 1, np.nan, X["b"])))


def test_the_configuration_builds_it() -> None:
    built = registry.build("cluster", {"name": "minibatch_kmeans", "batch_size": 64, "max_no_improvement": None})
    assert (built.init, built.n_init, built.batch_size, built.max_no_improvement) == ("k-means++", 3, 64, None)
