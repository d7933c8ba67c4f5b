"""How many clusters: several criteria side by side, none hidden (paper B, III.B tries k = 2..8 and names no criterion)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score, silhouette_score

from marketnn.cluster.kmeans import KMeans
from marketnn.errors import InputError
from marketnn.seed import child_seed, numpy_generator, seed_from

SILHOUETTE_ROWS = 5_000
BETTER = {"silhouette": "idxmax", "calinski_harabasz": "idxmax", "davies_bouldin": "idxmin"}


def choose_n_clusters(
    X: np.ndarray,
    candidates: Iterable[int] = range(2, 9),
    *,
    n_init: int = 10,
    device: str | torch.device = "auto",
    random_state: int | None = None,
) -> pd.DataFrame:
    """Fit K-means for every candidate and compare the partitions.

    The silhouette costs n^2 and is taken on at most 5,000 rows, drawn once for all candidates. The SSE falls with every
    further cluster and so chooses nothing.

    Args:
        X: (n, d) numbers.
        candidates: values of k, each at least 2 and below the number of distinct rows.
        n_init: restarts per candidate.
        device, random_state: as in ``KMeans``.

    Returns:
        A row per k: ``inertia, silhouette, calinski_harabasz, davies_bouldin``. ``attrs["choices"]`` maps each criterion to
        its k; ``attrs["chosen"]`` is the k with the most votes, the smallest on a tie.

    Raises:
        InputError: no candidate, or one below 2 or above what the rows allow.
    """
    X = np.asarray(X)
    candidates = sorted(set(candidates))
    n_distinct = len(np.unique(X, axis=0))
    if not candidates or candidates[0] < 2 or candidates[-1] >= n_distinct:
        raise InputError(
            f"candidates={candidates} must lie from 2 to {n_distinct - 1}: there are {n_distinct} distinct rows."
        )
    seed = seed_from(random_state)
    drawn = numpy_generator(child_seed(seed, "silhouette")).permutation(len(X))[:SILHOUETTE_ROWS]
    rows = {}
    for k in candidates:
        fitted = KMeans(k, n_init=n_init, tol=0.0, device=device, random_state=child_seed(seed, f"k={k}")).fit(X)
        some = drawn if len(np.unique(fitted.labels_[drawn])) > 1 else np.arange(len(X))
        rows[k] = {
            "inertia": fitted.inertia_,
            "silhouette": silhouette_score(X[some], fitted.labels_[some]),
            "calinski_harabasz": calinski_harabasz_score(X, fitted.labels_),
            "davies_bouldin": davies_bouldin_score(X, fitted.labels_),
        }
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("k")
    choices = {name: int(getattr(table[name], better)()) for name, better in BETTER.items()}
    votes = Counter(choices.values())
    table.attrs["choices"] = choices
    table.attrs["chosen"] = min(votes, key=lambda k: (-votes[k], k))
    return table
