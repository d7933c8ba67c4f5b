"""One algorithm's clusters of a table, measured as every other algorithm's are."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import pairwise_distances_argmin_min, silhouette_score

from marketnn import registry
from marketnn.device import resolve
from marketnn.seed import child_seed, numpy_generator

SILHOUETTE_ROWS = 5_000


@dataclass(frozen=True)
class Clustering:
    """A partition of n rows into k clusters, the largest first.

    Attributes:
        name: of the algorithm.
        labels: (n,) the cluster of each row.
        centres: (k, d) centres or medoids, in the units of the clustered rows.
        lowered: what the algorithm lowers: ``total error`` or ``sum of distances``.
        history: that, round by round, as the algorithm tells it.
        errors: the total error (paper A, eq. 2.9) at each entry of the history; a swap of medoids may raise it.
        n_rounds: rounds it took.
        seconds: time to fit.
        sse: sum of squared distances to the own centre.
        sum_distances: sum of the distances to the own centre, which k-medoids minimises.
        silhouette: mean over at most so many rows as were asked for; ``None`` where these meet one cluster only.
    """

    name: str
    labels: np.ndarray
    centres: np.ndarray
    lowered: str
    history: list[float]
    errors: list[float]
    n_rounds: int
    seconds: float
    sse: float
    sum_distances: float
    silhouette: float | None

    @property
    def total_error(self) -> float:
        """Square root of the SSE (paper A, eq. 2.9)."""
        return math.sqrt(self.sse)

    def as_metrics(self) -> dict[str, float]:
        """Return the measures as flat numbers, without clocks."""
        measures = {
            "sse": self.sse,
            "total_error": self.total_error,
            "sum_distances": self.sum_distances,
            "rounds": self.n_rounds,
        }
        return measures if self.silhouette is None else {**measures, "silhouette": self.silhouette}


def estimator(settings: Mapping[str, Any]) -> Any:
    """Build the algorithm that settings describe, for rows that are scaled already."""
    algorithm = registry.build("cluster", settings)
    if "scale" in algorithm.get_params():
        algorithm.set_params(scale=False)  # a second scaling would put its errors in units of its own
    return algorithm


def cluster(
    rows: np.ndarray,
    settings: Mapping[str, Any],
    n_clusters: int,
    *,
    device: str = "auto",
    seed: int = 0,
    silhouette_rows: int = SILHOUETTE_ROWS,
) -> Clustering:
    """Cluster scaled rows.

    Args:
        rows: (n, d) scaled.
        settings: a ``name`` and its numbers, as ``registry.build`` takes them.
        n_clusters: k.
        device: a device name.
        seed: of the algorithm, and of the rows that the silhouette is taken on.
        silhouette_rows: at most so many, since it costs their square; 0 leaves it out.

    Raises:
        InputError: the algorithm refuses the rows or its settings.
    """
    algorithm = estimator(settings).set_params(n_clusters=n_clusters, device=resolve(device), random_state=seed)
    start = time.perf_counter()
    algorithm.fit(rows)
    seconds = time.perf_counter() - start
    centres = np.asarray(algorithm.cluster_centers_)
    by_size = np.argsort(-np.bincount(algorithm.labels_, minlength=len(centres)), kind="stable")
    labels, centres = np.argsort(by_size)[algorithm.labels_], centres[by_size]
    squared = np.square(rows - centres[labels]).sum(axis=1)
    drawn = numpy_generator(child_seed(seed, "silhouette")).permutation(len(rows))[:silhouette_rows]
    history = [float(lowered) for lowered in algorithm.history_]
    medoids = hasattr(algorithm, "path_")
    several = 1 < len(np.unique(labels[drawn])) < len(drawn)
    return Clustering(
        name=settings["name"],
        labels=labels,
        centres=centres,
        lowered="sum of distances" if medoids else "total error",
        history=history,
        errors=[_total_error(rows, rows[chosen]) for chosen in algorithm.path_] if medoids else history,
        n_rounds=int(algorithm.n_iter_),
        seconds=seconds,
        sse=float(squared.sum()),
        sum_distances=float(np.sqrt(squared).sum()),
        silhouette=float(silhouette_score(rows[drawn], labels[drawn])) if several else None,
    )


def _total_error(rows: np.ndarray, centres: np.ndarray) -> float:
    """Return the square root of the sum of squared distances to the nearest centre."""
    return float(np.linalg.norm(pairwise_distances_argmin_min(rows, centres)[1]))
