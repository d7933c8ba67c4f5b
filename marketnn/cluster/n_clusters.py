"""How many clusters: several criteria side by side, none hidden (paper B, III.B tries k = 2..8 and names no criterion)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.spatial.distance import pdist
from sklearn.base import clone
from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score, silhouette_score

from marketnn.cluster.checks import check_rows
from marketnn.cluster.kmeans import KMeans
from marketnn.errors import InputError
from marketnn.seed import child_seed, numpy_generator, seed_from

SILHOUETTE_ROWS = 5_000
BETTER = {"silhouette": "idxmax", "calinski_harabasz": "idxmax", "davies_bouldin": "idxmin", "within_between": "idxmin"}


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

    The criteria: ``silhouette`` (Rousseeuw 1987) and ``calinski_harabasz`` are best when high, ``davies_bouldin`` and
    ``within_between`` (Ray and Turi 1999: mean squared distance to the own centre over the smallest squared distance between
    two centres) when low. ``inertia`` falls with every further cluster and so chooses nothing.

    The silhouette costs n^2 and is taken on at most 5,000 rows, drawn once for all candidates; where the draw meets a single
    cluster it is 0, as Rousseeuw sets it for k = 1.

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
    drawn = numpy_generator(child_seed(seed, "silhouette")).permutation(len(X))[:SILHOUETTE_ROWS]
    centred = X - X.mean(axis=0, dtype=np.float64)
    rows = {}
    for k in candidates:
        one = clone(estimator).set_params(n_clusters=k, device=device, random_state=child_seed(seed, f"k={k}"))
        fitted = one.fit(X)
        rows[k] = {"inertia": fitted.inertia_, **_criteria(centred, fitted, drawn)}
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("k")
    choices = {name: int(getattr(table[name], better)()) for name, better in BETTER.items()}
    votes = Counter(choices.values())
    table.attrs["choices"] = choices
    table.attrs["chosen"] = min(votes, key=lambda k: (-votes[k], k))
    table.attrs["silhouette_rows"] = len(drawn)
    return table


def _criteria(X: np.ndarray, fitted: KMeans, drawn: np.ndarray) -> dict[str, float]:
    labels, some = fitted.labels_, fitted.labels_[drawn]
    return {
        "silhouette": silhouette_score(X[drawn], some) if np.ptp(some) > 0 else 0.0,
        "calinski_harabasz": calinski_harabasz_score(X, labels),
        "davies_bouldin": davies_bouldin_score(X, labels),
        "within_between": fitted.inertia_ / len(X) / pdist(fitted.cluster_centers_, "sqeuclidean").min(),
    }
