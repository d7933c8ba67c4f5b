"""The choice of k: scikit-learn's criteria, every vote shown, and blobs that leave no doubt."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score, silhouette_score

from marketnn.cluster import KMeans, choose_n_clusters
from marketnn.cluster.n_clusters import BETTER, PAIR_ROWS
from marketnn.data.gaussian_mixtures import draw_gaussian_mixture
from marketnn.errors import InputError
from marketnn.report.cluster_figures import criteria_figure


def blobs(k: int, n: int = 400, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = 10 * np.array([[np.cos(angle), np.sin(angle)] for angle in 2 * np.pi * np.arange(k) / k])
    return centres[rng.integers(k, size=n)] + rng.normal(size=(n, 2))


@pytest.mark.parametrize("k", [3, 4, 6])
def test_separate_blobs_are_counted(k: int) -> None:
    table = choose_n_clusters(blobs(k), random_state=0)
    assert table.index.tolist() == list(range(2, 9))
    assert table.attrs["chosen"] == k
    assert table.attrs["choices"].keys() == {*BETTER, "gap"}
    # A ring of six also falls into stable halves, and its gap has a first rise at three.
    assert list(table.attrs["choices"].values()).count(k) >= (5 if k == 6 else 7)
    assert table.attrs["silhouette_rows"] == 400
    assert (np.diff(table["inertia"]) < 0).all()


def test_criteria_equal_scikit_learns() -> None:
    X = blobs(3)
    table = choose_n_clusters(X, [3], n_init=20, random_state=0)
    labels = KMeans(3, n_init=20, tol=0, random_state=1).fit(X).labels_
    assert table.loc[3, "silhouette"] == pytest.approx(silhouette_score(X, labels))
    assert table.loc[3, "calinski_harabasz"] == pytest.approx(calinski_harabasz_score(X, labels))
    assert table.loc[3, "davies_bouldin"] == pytest.approx(davies_bouldin_score(X, labels))


def test_within_between_by_hand() -> None:
    X = np.array([[0.0], [2.0], [10.0], [12.0], [20.0], [22.0]])
    table = choose_n_clusters(X, [3], random_state=0)
    assert table.loc[3, "inertia"] == pytest.approx(6.0)
    assert table.loc[3, "within_between"] == pytest.approx(1 / 10**2)


@pytest.mark.parametrize(
    ("votes", "chosen"), [((3, 3, 2, 2, 4, 2, 3), 2), ((3, 3, 4, 2, 3, 4, 2), 3), ((4, 3, 2, 4, 4, 2, 3), 4)]
)
def test_the_majority_chooses_and_a_tie_goes_to_the_smaller_k(
    monkeypatch: pytest.MonkeyPatch, votes: tuple[int, ...], chosen: int
) -> None:
    voted = dict(zip([*BETTER, "gap"], votes, strict=True))

    def criteria(_X: np.ndarray, _centred: np.ndarray, fitted: KMeans, *_: object) -> dict[str, float]:
        return {
            name: float((fitted.n_clusters == voted[name]) == (better == "idxmax"))
            for name, better in BETTER.items()
            if name != "stability"
        }

    def stability(_x: np.ndarray, estimator: KMeans, **_: int) -> float:
        return float(estimator.n_clusters == voted["stability"])

    monkeypatch.setattr("marketnn.cluster.n_clusters._criteria", criteria)
    monkeypatch.setattr("marketnn.cluster.n_clusters.stability", stability)
    monkeypatch.setattr("marketnn.cluster.n_clusters.gap_choice", lambda *_: voted["gap"])
    table = choose_n_clusters(blobs(3), [4, 3, 2, 3], n_init=1, random_state=0)
    assert table.index.tolist() == [2, 3, 4]
    assert table.attrs["choices"] == voted
    assert table.attrs["chosen"] == chosen


def test_six_segments_of_customers_are_six() -> None:
    x = draw_gaussian_mixture("six_segments", seed=0).x[:900]
    table = choose_n_clusters(x / x.std(axis=0), n_init=5, random_state=0)
    assert table.attrs["chosen"] == 6
    assert list(table.attrs["choices"].values()).count(6) > len(table.attrs["choices"]) / 2
    assert set(table.attrs["choices"]) < set(table.columns)


def test_the_figure_shows_every_criterion() -> None:
    table = choose_n_clusters(blobs(3), [2, 3, 4], n_init=2, random_state=0)
    figure = criteria_figure(table, table.attrs["choices"], table.attrs["chosen"])
    assert [axes.get_title() for axes in figure.axes] == [
        name.replace("_", " ") for name in table.columns if name != "gap_error"
    ]


def test_large_tables_are_judged_on_some_rows() -> None:
    X = blobs(4, n=6000)
    table = choose_n_clusters(X, [3, 4, 5], n_init=2, random_state=0)
    assert table.attrs["chosen"] == 4
    assert table.attrs["silhouette_rows"] == PAIR_ROWS == 5000
    whole = silhouette_score(X, KMeans(4, n_init=5, random_state=0).fit(X).labels_)
    assert table.loc[4, "silhouette"] == pytest.approx(whole, abs=0.01)


@pytest.mark.parametrize(("candidates", "distinct"), [([], 400), ([1, 2], 400), ([2, 400], 400)])
def test_candidates_that_cannot_be(candidates: list[int], distinct: int) -> None:
    with pytest.raises(InputError, match=f"must lie from 2 to {distinct - 1}"):
        choose_n_clusters(blobs(3), candidates)


def test_a_draw_that_meets_one_cluster_has_no_silhouette(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("marketnn.cluster.n_clusters.PAIR_ROWS", 3)
    X = np.concatenate([blobs(1, n=200), [[1e4, 1e4]]])
    assert choose_n_clusters(X, [2], random_state=0).loc[2, "silhouette"] == 0.0


def test_the_same_seed_gives_the_same_table_on_every_device(device: torch.device) -> None:
    X = np.random.default_rng(0).normal(size=(150, 3))
    here = choose_n_clusters(X, [2, 3], n_init=2, device=device, random_state=1)
    there = choose_n_clusters(X, [2, 3], n_init=2, device="cpu", random_state=1)
    np.testing.assert_allclose(here, there, rtol=1e-6 if device.type == "cuda" else 0)


def test_tables_that_are_not_finite() -> None:
    with pytest.raises(InputError, match="NaN or infinite values in row 2"):
        choose_n_clusters(np.array([[1.0], [np.nan], [3.0], [4.0]]))
