"""How tight clusters are and how far apart: Dunn's index, the within-between ratio, and the gap to clusterless data.

Shapes: n rows, d columns, k clusters, b reference tables.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial.distance import pdist
from torch import Tensor

from marketnn.cluster.pair_tiles import by_cluster, pair_tiles
from marketnn.errors import InputError
from marketnn.seed import numpy_generator


@dataclass(frozen=True)
class Gap:
    """The gap statistic of some numbers of clusters.

    Attributes:
        gap: ``mean(log W of the references) - log W`` per candidate.
        standard_error: ``std(log W of the references) sqrt(1 + 1/b)`` per candidate.
    """

    gap: np.ndarray
    standard_error: np.ndarray


def dunn_index(x_nd: Tensor, label_n: Tensor) -> float:
    """Return the least distance between rows of two clusters over the largest within one (Dunn 1974), from all pairs.

    Computed in float64. The index is infinite where the rows of every cluster are equal.

    Raises:
        InputError: fewer than 2 clusters.
    """
    order_n, sizes = by_cluster(label_n)
    if len(sizes) < 2:
        raise InputError("Dunn's index compares clusters; 2 or more are needed.")
    diameters, separations = [], []
    for tile in pair_tiles(x_nd[order_n].double(), sizes):
        distance_rn = tile.distance_rn
        diameters.append(distance_rn[:, tile.cluster].amax())
        distance_rn[:, tile.cluster] = torch.inf
        separations.append(distance_rn.amin())
    return float(torch.stack(separations).amin() / torch.stack(diameters).amax())


def within_between(sse: float, n: int, centres_kd: np.ndarray) -> float:
    """Return the mean squared distance to the own centre over the least squared distance of two centres (Ray and Turi 1999)."""
    return sse / n / float(pdist(centres_kd, "sqeuclidean").min())


def within_sse(x_nd: np.ndarray, label_n: np.ndarray) -> float:
    """Return the sum of squared distances of the rows to the mean of their cluster, float64."""
    _, place_n, size_k = np.unique(label_n, return_inverse=True, return_counts=True)
    return float(
        sum(
            ((column - (np.bincount(place_n, weights=column) / size_k)[place_n]) ** 2).sum()
            for column in x_nd.T.astype(np.float64)
        )
    )


def gap_statistic(
    x_nd: np.ndarray,
    candidates: Sequence[int],
    within: Callable[[np.ndarray, int], float],
    *,
    n_references: int,
    seed: int,
) -> Gap:
    """Compare log W with that of tables drawn evenly over the columns' ranges (Tibshirani, Walther and Hastie 2001).

    Args:
        x_nd: the table.
        candidates: numbers of clusters.
        within: ``within(table, k)`` clusters a table and returns its W, such as ``within_sse``.
        n_references: b, at least 2.
        seed: of the references.
    """
    rng = numpy_generator(seed)
    low, high = x_nd.min(axis=0), x_nd.max(axis=0)
    references = [rng.uniform(low, high, size=x_nd.shape).astype(x_nd.dtype) for _ in range(n_references)]
    log_w = np.array([_log(within(x_nd, k)) for k in candidates])
    log_bk = np.array([[_log(within(table, k)) for k in candidates] for table in references])
    return Gap(log_bk.mean(axis=0) - log_w, log_bk.std(axis=0) * math.sqrt(1 + 1 / n_references))


def gap_choice(candidates: Sequence[int], gap: np.ndarray, standard_error: np.ndarray) -> int:
    """Return the smallest k whose gap is within one standard error of the next one's; the largest gap where there is none."""
    enough = np.flatnonzero(gap[:-1] >= gap[1:] - standard_error[1:])
    return candidates[int(enough[0] if len(enough) else gap.argmax())]


def _log(within: float) -> float:
    """Return log W; rows that coincide with their centres leave no less than the smallest number."""
    return math.log(max(within, np.finfo(np.float64).tiny))
