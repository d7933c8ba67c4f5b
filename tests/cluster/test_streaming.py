"""K-means of Parquet files against the same rows in memory: ties, empty clusters, several files, starts on a sample."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning

from marketnn.cluster import KMeans, rows, streaming
from marketnn.cluster.streaming import survey
from marketnn.data import parquet
from marketnn.errors import InputError
from marketnn.seed import torch_generator


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many blocks, ragged ones too, from few rows."""
    monkeypatch.setattr(parquet, "_BLOCK_ROWS", 70)
    monkeypatch.setattr(rows, "_BLOCK_ROWS", (32, 32))


def blobs(n: int = 500, d: int = 3, k: int = 4, seed: int = 0, spread: float = 1.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(scale=4, size=(k, d))[rng.integers(k, size=n)] + rng.normal(scale=spread, size=(n, d)) + 50


def write(path: Path, X: np.ndarray, group: int = 100) -> Path:
    pd.DataFrame(X, columns=[f"x{j}" for j in range(X.shape[1])]).to_parquet(path, row_group_size=group)
    return path


def assert_same(streamed: KMeans, held: KMeans, rtol: float = 1e-10) -> None:
    assert (streamed.labels_ == held.labels_).all()
    assert streamed.labels_.dtype == np.int32
    assert streamed.n_iter_ == held.n_iter_
    assert streamed.inertia_ == pytest.approx(held.inertia_, rel=rtol)
    np.testing.assert_allclose(streamed.cluster_centers_, held.cluster_centers_, rtol=rtol)
    np.testing.assert_allclose(streamed.history_, held.history_, rtol=rtol)


@pytest.mark.parametrize("group", [7, 100, 1000])
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-10), (np.float32, 1e-5)])
@pytest.mark.parametrize("k", [1, 4, 40])
def test_the_same_start_ends_as_in_memory(tmp_path: Path, group: int, dtype: type, rtol: float, k: int) -> None:
    X = blobs().astype(dtype)
    path = write(tmp_path / "rows.parquet", X, group)
    settings = {"init": X[:k].copy(), "tol": 0, "max_iter": 8}
    held, streamed = KMeans(k, **settings).fit(X), KMeans(k, **settings).fit_parquet(path)
    assert_same(streamed, held, rtol)
    assert streamed.cluster_centers_.dtype == dtype
    assert streamed.feature_names_in_.tolist() == ["x0", "x1", "x2"]
    frame = pd.read_parquet(path)
    assert (streamed.predict(frame) == streamed.labels_).all()
    assert -streamed.score(frame) == pytest.approx(streamed.inertia_, rel=1e-6)


def test_ties_end_as_in_memory(tmp_path: Path) -> None:
    for seed in range(10):
        X = np.random.default_rng(seed).integers(0, 3, size=(200, 2)).astype(float)
        X = np.concatenate([X, -X])  # about a mean that is exactly 0, so that ties stay ties
        init = np.unique(X, axis=0)[seed : seed + 5]
        path = write(tmp_path / "rows.parquet", X)
        assert_same(KMeans(5, init=init, tol=0).fit_parquet(path), KMeans(5, init=init, tol=0).fit(X))


def test_empty_clusters_take_the_farthest_rows_as_in_memory(tmp_path: Path) -> None:
    for seed in range(10):
        X = blobs(150, 2, seed=seed)
        init = np.concatenate([X[:3], np.full((2, 2), 900.0)])
        path = write(tmp_path / "rows.parquet", X)
        streamed = KMeans(5, init=init, tol=0).fit_parquet(path)
        assert_same(streamed, KMeans(5, init=init, tol=0).fit(X))
        assert len(np.unique(streamed.labels_)) == 5


def test_several_files_are_one_table(tmp_path: Path) -> None:
    X = blobs()
    parts = np.split(X, [13, 300])
    paths = [write(tmp_path / f"{number}.parquet", part) for number, part in enumerate(parts)]
    streamed = KMeans(4, init=X[:4], tol=0).fit_parquet(paths)
    assert_same(streamed, KMeans(4, init=X[:4], tol=0).fit(X))


def test_columns_are_read_in_the_order_they_are_named_in(tmp_path: Path) -> None:
    X = blobs()
    frame = pd.DataFrame(X, columns=["a", "b", "c"]).assign(name="text")
    frame.to_parquet(tmp_path / "rows.parquet")
    streamed = KMeans(4, init=X[:4, [2, 0]], tol=0).fit_parquet(tmp_path / "rows.parquet", columns=["c", "a"])
    assert_same(streamed, KMeans(4, init=X[:4, [2, 0]], tol=0).fit(X[:, [2, 0]]))
    assert streamed.feature_names_in_.tolist() == ["c", "a"]


@pytest.mark.parametrize("tol", [1e-1, 1e-3])
def test_the_tolerance_is_the_same(tmp_path: Path, tol: float) -> None:
    X = blobs(spread=4.0)
    path = write(tmp_path / "rows.parquet", X)
    assert_same(KMeans(4, init=X[:4], tol=tol).fit_parquet(path), KMeans(4, init=X[:4], tol=tol).fit(X))


@pytest.mark.parametrize("settings", [{"init": "random", "n_init": 12}, {"n_init": 25}, {"refine": "swap"}])
def test_starts_on_a_sample_end_as_low(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, object]
) -> None:
    monkeypatch.setattr(streaming, "_SAMPLE_NUMBERS", 0)
    monkeypatch.setattr(streaming, "_SAMPLE_ROWS", 300)
    X = blobs(2000, spread=0.3)
    path = write(tmp_path / "rows.parquet", X, 500)
    best = KMeans(4, n_init=30, tol=0, random_state=0).fit(X)
    one, two = (KMeans(4, tol=0, random_state=5, **settings).fit_parquet(path) for _ in range(2))
    assert one.inertia_ == pytest.approx(best.inertia_, rel=1e-9)
    assert (one.cluster_centers_ == two.cluster_centers_).all()
    assert (one.history_ == two.history_).all()


def test_a_table_no_larger_than_the_sample_starts_as_in_memory(tmp_path: Path) -> None:
    X = blobs(spread=4.0)
    held = KMeans(4, random_state=2, tol=0).fit(X)
    streamed = KMeans(4, random_state=2, tol=0).fit_parquet(write(tmp_path / "rows.parquet", X))
    assert (streamed.labels_ == held.labels_).all()
    assert streamed.inertia_ == pytest.approx(held.inertia_, rel=1e-12)


class Generated:
    """Rows that are nowhere."""

    columns = ("a", "b")
    dtype = np.dtype(np.float32)
    n_rows = 10_000

    def blocks(self, *, finite: bool = False) -> Iterator[np.ndarray]:
        for start in range(0, self.n_rows, 999):
            number = np.arange(start, min(start + 999, self.n_rows))
            yield np.stack([number + 1e6, np.full(len(number), 0.1)]).astype(np.float32)


def test_the_survey_is_what_numpy_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "_SAMPLE_NUMBERS", 1000)
    X = np.concatenate([block.T for block in Generated().blocks()])
    found = survey(Generated(), 5, torch_generator(0))
    np.testing.assert_allclose(found.offset_d, X.mean(axis=0, dtype=np.float64), rtol=1e-7)
    assert found.offset_d.dtype == np.float32
    about = X.astype(np.float64) - found.offset_d
    assert found.total == pytest.approx((about**2).sum(), rel=1e-12)
    assert found.sample_md.shape == (4096, 2)
    row = found.sample_md[:, 0] - 1e6
    assert (found.sample_md == X[row.astype(int)]).all()
    assert (np.diff(row) >= 0).all()
    # Uniform: the mean of 4,096 draws lies within four standard errors of the middle.
    assert abs(row.mean() - 5000) < 4 * 10_000 / np.sqrt(12 * 4096)


def test_every_device_gives_the_same_numbers(tmp_path: Path, device: torch.device) -> None:
    path = write(tmp_path / "rows.parquet", blobs(spread=3.0))
    here, there = (KMeans(4, random_state=0, max_iter=5, device=one).fit_parquet(path) for one in (device, "cpu"))
    assert_same(here, there, rtol=1e-6 if device.type == "cuda" else 1e-14)


def test_it_refuses_what_a_fit_refuses(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.parquet", np.repeat([[1.0], [2.0]], 150, axis=0))
    with pytest.raises(InputError, match="n_samples=300 with only 2 distinct rows, but n_clusters=3"):
        KMeans(3).fit_parquet(path)
    assert KMeans(2).fit_parquet(path).inertia_ == 0
    with pytest.raises(InputError, match="init='k-mean' is not possible"):
        KMeans(2, init="k-mean").fit_parquet(path)
    with pytest.raises(InputError, match=r"init has shape \(2, 2\); \(2, 1\) centres are needed"):
        KMeans(2, init=np.ones((2, 2))).fit_parquet(path)
    path = write(tmp_path / "rows.parquet", np.r_[np.arange(149.0), np.nan][:, None])
    with pytest.raises(InputError, match=r"rows.parquet: column 'x0' is (missing|NaN or infinite) in row 150"):
        KMeans(2).fit_parquet(path)


def test_it_warns_of_clusters_without_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.parquet", np.array([[0.0], [0.0], [0.0], [3.0], [5.0], [5.0]]))
    with pytest.warns(ConvergenceWarning, match=r"distinct clusters \(2\) found smaller than n_clusters \(3\)"):
        KMeans(3, init=np.zeros((3, 1)), max_iter=1).fit_parquet(path)
