"""K-medoids as a scikit-learn estimator: FasterPAM's swaps or alternating rounds."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor

from marketnn.cluster import pam, voronoi
from marketnn.cluster.centres import check_choice, check_whole
from marketnn.cluster.checks import check_distinct, check_rows
from marketnn.cluster.medoids import METRICS, MedoidClustering, between_rows
from marketnn.cluster.sampled_medoids import distinct_rows
from marketnn.errors import InputError
from marketnn.seed import seed_from, torch_generator

_MATRIX_BYTES = 4 * 2**30
_TILE = 128  # rows and columns of a matrix that is compared with its transpose: both sides fit in a core's cache


@dataclass(frozen=True)
class Config:
    """K-medoids; how many clusters is the pipeline's to say.

    Attributes:
        method: ``fasterpam`` (swaps until none lowers the loss) or ``alternate`` (Lloyd's rounds with medoids).
        init: ``build`` (greedy) or ``random``.
        metric: ``euclidean`` or ``manhattan``.
        max_iter: passes over all rows, or rounds, at most.
    """

    method: Literal["fasterpam", "alternate"] = "fasterpam"
    init: Literal["build", "random"] = "build"
    metric: Literal["euclidean", "manhattan"] = "euclidean"
    max_iter: int = 300


class KMedoids(MedoidClustering):
    """Rows of X as centres, so that the distances of all rows to the nearest of them sum to little.

    ``fasterpam`` (Schubert and Rousseeuw 2021) ends where no exchange of one medoid for another row lowers the loss; it holds
    all n^2 distances. ``alternate`` (Park and Jun 2009) ends higher, and from ``init="random"`` it needs no matrix.

    Args:
        n_clusters: k.
        method: ``fasterpam`` or ``alternate``.
        init: ``build`` (greedy; needs the matrix), ``random``, or the row numbers (k,) of the first medoids.
        metric: ``euclidean``, ``manhattan``, or ``precomputed``: X is then the symmetric matrix (n, n) of distances.
        max_iter: passes over all rows (``fasterpam``) or rounds (``alternate``) at most.
        device: ``auto`` takes CUDA when there is a card.
        random_state: an integer makes the result repeatable bit for bit.

    Attributes:
        medoid_indices_: (k,) row numbers of X.
        cluster_centers_: (k, d) those rows; ``None`` for precomputed distances.
        labels_: (n,) int32, the nearest medoid's place.
        loss_: the sum of distances to the nearest medoid, which the search lowers.
        inertia_: SSE, the sum of squared distances to it.
        total_error_: its square root (paper A, eq. 2.9).
        history_: loss of the start and after each swap (``fasterpam``) or round (``alternate``).
        path_: (entries of ``history_``, k) the medoids' row numbers at each of them.
        n_iter_: passes or rounds taken, the last of which changed nothing unless ``max_iter`` was reached.
        n_features_in_, feature_names_in_: the fitted columns.
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        method: str = "fasterpam",
        init: str | np.ndarray = "build",
        metric: str = "euclidean",
        max_iter: int = 300,
        device: str | torch.device = "auto",
        random_state: int | np.random.Generator | np.random.RandomState | None = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.method = method
        self.init = init
        self.metric = metric
        self.max_iter = max_iter
        self.device = device
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the medoids.

        Args:
            X: (n, d) numbers, or (n, n) distances; float32 stays float32, everything else becomes float64.
            y: ignored.

        Raises:
            InputError: an argument out of range, X no table of finite numbers, fewer distinct rows than clusters, distances
                that are not square, symmetric and non-negative, or more of them than fit in 4 GiB.
        """
        del y
        self._check_arguments()
        X = check_rows(X, estimator=self)
        greedy = isinstance(self.init, str) and self.init == "build"
        distances: voronoi.Distances
        if self.metric == "precomputed":
            check_distances(X, self.n_clusters)
            matrix_nn = self._tensor(X)
            distances = _looked_up(matrix_nn)
        else:
            check_distinct(X, self.n_clusters)
            x_nd = self._tensor(X)
            distances = between_rows(x_nd, self.metric)
            if self.method == "fasterpam" or greedy:
                matrix_nn = all_distances(x_nd, self.metric)
        start_k = pam.build(matrix_nn[None], self.n_clusters)[0] if greedy else self._tensor(self._first_rows(len(X)))
        if self.method == "fasterpam":
            swaps = pam.swap(matrix_nn[None], start_k[None], max_passes=self.max_iter)
            medoids_k, history, path, self.n_iter_ = (
                swaps.medoids_sk[0],
                swaps.history[0],
                swaps.path[0],
                swaps.n_passes,
            )
        else:
            rounds = voronoi.alternate(distances, len(X), start_k, max_rounds=self.max_iter)
            medoids_k, history, path, self.n_iter_ = rounds.medoids_k, rounds.history, rounds.path, rounds.n_rounds
        self.history_, self.path_ = np.array(history), np.array(path)
        self._keep(X, medoids_k, distances)
        return self

    def _first_rows(self, n: int) -> np.ndarray:
        """Return the row numbers (k,) of the first medoids, drawn or given."""
        if isinstance(self.init, str):
            generator = torch_generator(seed_from(self.random_state))
            return np.array(distinct_rows(n, self.n_clusters, [], generator))
        rows = np.asarray(self.init)
        usable = rows.shape == (self.n_clusters,) and np.issubdtype(rows.dtype, np.integer)
        if not usable or len(np.unique(rows)) < self.n_clusters or rows.min() < 0 or rows.max() >= n:
            raise InputError(
                f"init={self.init!r} is not possible; use 'build', 'random' or {self.n_clusters} different row numbers "
                f"from 0 to {n - 1}."
            )
        return rows.astype(np.int64)

    def _check_arguments(self) -> None:
        check_whole(self, "n_clusters", "max_iter")
        check_choice(self, "method", ("fasterpam", "alternate"))
        check_choice(self, "metric", (*METRICS, "precomputed"))
        if isinstance(self.init, str) and self.init not in ("build", "random"):
            raise InputError(f"init={self.init!r} is not possible; use 'build', 'random' or row numbers (k,).")


def build(config: Config) -> KMedoids:
    """Make the estimator; the pipeline sets ``n_clusters``, ``device`` and ``random_state``."""
    return KMedoids(method=config.method, init=config.init, metric=config.metric, max_iter=config.max_iter)


def all_distances(x_nd: Tensor, metric: str) -> Tensor:
    """Return the distances (n, n) between all rows.

    Raises:
        InputError: they would not fit in 4 GiB.
    """
    n = len(x_nd)
    if n * n * x_nd.element_size() > _MATRIX_BYTES:
        raise InputError(
            f"the distances between {n:,} rows take {n * n * x_nd.element_size() / 2**30:.1f} GiB; "
            f"use CLARA, or method='alternate' with init='random'."
        )
    return METRICS[metric](x_nd, x_nd)


def check_distances(X: np.ndarray, n_clusters: int) -> None:
    """Refuse what is no matrix of distances between at least k rows.

    Raises:
        InputError: not square, a negative value, a diagonal that is not 0, not symmetric, or fewer rows than clusters.
    """
    if X.shape[0] != X.shape[1]:
        raise InputError(
            f"precomputed distances have shape {X.shape}; they must be square, one row and column per customer."
        )
    if len(X) < n_clusters:
        raise InputError(f"n_samples={len(X)} rows, but n_clusters={n_clusters}; ask for {len(X)} or fewer.")
    slack = 1e-5 * X.max()
    row, column = np.unravel_index(X.argmin(), X.shape)
    if X[row, column] < 0:
        raise InputError(f"precomputed distances must not be negative: {_entry(X, row, column)}.")
    row = np.abs(X.diagonal()).argmax()
    if X[row, row] > slack:
        raise InputError(f"precomputed distances must be 0 on the diagonal: {_entry(X, row, row)}.")
    for top, left in combinations_with_replacement(range(0, len(X), _TILE), 2):
        gap = np.abs(X[top : top + _TILE, left : left + _TILE] - X[left : left + _TILE, top : top + _TILE].T)
        if gap.max() > slack:
            row, column = np.unravel_index(gap.argmax(), gap.shape)
            row, column = row + top, column + left
            raise InputError(
                f"precomputed distances must be symmetric: {_entry(X, row, column)}, {_entry(X, column, row)}."
            )


def _entry(X: np.ndarray, row: np.integer, column: np.integer) -> str:
    return f"row {row + 1}, column {column + 1} is {X[row, column]:g}"


def _looked_up(matrix_nn: Tensor) -> voronoi.Distances:
    return lambda row_m, column_b: matrix_nn[row_m][:, column_b]
