"""How many clusters: several criteria side by side, none hidden (paper B, III.B tries k = 2..8 and names no criterion)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.base import clone
from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score

from marketnn.cluster.checks import check_rows
from marketnn.cluster.dispersion import dunn_index, gap_choice, gap_statistic, within_between, within_sse
from marketnn.cluster.kmeans import KMeans
from marketnn.cluster.silhouette import silhouette, simplified_silhouette
from marketnn.cluster.stability import stability
from marketnn.device import resolve
from marketnn.errors import InputError
from marketnn.seed import child_seed, numpy_generator, seed_from

PAIR_ROWS = 5_000
GAP_ROWS = 1_000
GAP_REFERENCES = 10
RESAMPLES = 5
LIGHT_STARTS = 3
# Which value of a column is best; the gap has its own rule.
BETTER = {
    "silhouette": "idxmax",
    "calinski_harabasz": "idxmax",
    "davies_bouldin": "idxmin",
    "dunn": "idxmax",
    "within_between": "idxmin",
    "stability": "idxmax",
}


def choose_n_clusters(
    X: Any,
    candidates: Iterable[int] = range(2, 9),
    *,
    n_init: int = 10,
    estimator: Any = None,
    device: str | torch.device = "auto",
    random_state: int | np.random.Generator | np.random.RandomState | None = None,
) -> pd.DataFrame:
    """Cluster for every candidate and compare the partitions.

    Best when high: ``silhouette`` (Rousseeuw 1987), ``calinski_harabasz``, ``dunn`` (least distance between clusters over the
    largest within one), ``stability`` (mean adjusted Rand index between fits to five draws of four fifths of the rows). Best when
    low: ``davies_bouldin``, ``within_between`` (Ray and Turi 1999: mean squared distance to the own centre over the smallest
    squared distance between two centres). ``gap`` (Tibshirani, Walther and Hastie 2001, ten uniform tables) takes the smallest k
    whose gap is within ``gap_error`` of the next candidate's. ``inertia`` falls with every further cluster and so chooses
    nothing, and ``simplified_silhouette`` is the silhouette by distances to centres, shown but not counted twice.

    The silhouette and Dunn's index cost n^2 and are taken on at most 5,000 rows, drawn once for all candidates, as is the
    stability; where the draw meets a single cluster the first two are 0, as Rousseeuw sets it for k = 1. The gap is taken on
    the first 1,000 of them. For both, an estimator with ``n_init`` gets three starts.

    Args:
        X: (n, d) numbers.
        candidates: values of k, each at least 2 and below the number of distinct rows.
        n_init: starts per candidate of ``KMeans``.
        estimator: another clustering estimator to compare candidates with; only its ``n_clusters``, ``device`` and
            ``random_state`` are set.
        device: as in ``KMeans``.
        random_state: as in ``KMeans``.

    Returns:
        A row per k, a column per criterion. ``attrs["choices"]`` maps each criterion to its k (the smallest on a tie),
        ``attrs["chosen"]`` is the k with the most votes (the smallest on a tie), ``attrs["silhouette_rows"]`` the number of
        rows that the silhouette saw.

    Raises:
        InputError: X is no table of finite numbers, or a candidate is out of range.
    """
    X = check_rows(X)
    candidates = sorted(set(candidates))
    n_distinct = len(np.unique(X, axis=0))
    if not candidates or candidates[0] < 2 or candidates[-1] >= n_distinct:
        raise InputError(
            f"candidates={candidates} must lie from 2 to {n_distinct - 1}: there are {n_distinct} distinct rows."
        )
    seed = seed_from(random_state)
    estimator = KMeans(n_init=n_init, tol=0.0) if estimator is None else estimator
    drawn = numpy_generator(child_seed(seed, "silhouette")).permutation(len(X))[:PAIR_ROWS]
    centred = (X - X.mean(axis=0, dtype=np.float64)).astype(X.dtype)
    where = resolve(device)

    def of(k: int) -> Any:
        return clone(estimator).set_params(n_clusters=k, device=device, random_state=child_seed(seed, f"k={k}"))

    rows = {}
    for k in candidates:
        fitted = of(k).fit(X)
        rows[k] = {
            "inertia": fitted.inertia_,
            **_criteria(X, centred, fitted, drawn, where),
            "stability": stability(
                centred[drawn], _light(of(k)), n_resamples=RESAMPLES, seed=child_seed(seed, "stability")
            ),
        }
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("k")
    table["gap"], table["gap_error"] = _gap(centred[drawn[:GAP_ROWS]], candidates, of, child_seed(seed, "gap"))
    choices = {name: int(getattr(table[name], better)()) for name, better in BETTER.items()}
    choices["gap"] = gap_choice(candidates, table["gap"].to_numpy(), table["gap_error"].to_numpy())
    votes = Counter(choices.values())
    table.attrs["choices"] = choices
    table.attrs["chosen"] = min(votes, key=lambda k: (-votes[k], k))
    table.attrs["silhouette_rows"] = len(drawn)
    return table


def _criteria(
    X: np.ndarray, centred: np.ndarray, fitted: Any, drawn: np.ndarray, device: torch.device
) -> dict[str, float]:
    """Judge one partition of all rows; what needs all pairs is taken on the drawn rows."""
    labels, some = fitted.labels_, fitted.labels_[drawn]
    x_nd, label_n = torch.as_tensor(centred[drawn], device=device), torch.as_tensor(some, device=device)
    centres = fitted.cluster_centers_.astype(np.float64)
    offset = X.mean(axis=0, dtype=np.float64)
    several = 2 <= len(np.unique(some)) < len(some)
    return {
        "silhouette": silhouette(x_nd, label_n) if several else 0.0,
        "simplified_silhouette": simplified_silhouette(
            x_nd, label_n, torch.as_tensor((centres - offset).astype(X.dtype), device=device)
        ),
        "calinski_harabasz": calinski_harabasz_score(centred, labels),
        "davies_bouldin": davies_bouldin_score(centred, labels),
        "dunn": dunn_index(x_nd, label_n) if several else 0.0,
        "within_between": within_between(fitted.inertia_, len(X), centres),
    }


def _light(estimator: Any) -> Any:
    """Return the estimator with few starts: the gap and the stability need many fits and no record."""
    return estimator.set_params(n_init=LIGHT_STARTS) if "n_init" in estimator.get_params() else estimator


def _gap(
    x: np.ndarray, candidates: list[int], estimator_of: Callable[[int], Any], seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the gap of every candidate and its standard error; with k or fewer distinct rows nothing is left within."""

    def within(table: np.ndarray, k: int) -> float:
        if len(np.unique(table, axis=0)) <= k:
            return 0.0
        return within_sse(table, _light(estimator_of(k)).fit(table).labels_)

    found = gap_statistic(x, candidates, within, n_references=GAP_REFERENCES, seed=seed)
    return found.gap, found.standard_error
