"""What the medoid estimators share: distances to the fitted medoids, and the attributes a fit leaves."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from marketnn.cluster.centres import to_numpy
from marketnn.cluster.checks import check_rows
from marketnn.cluster.voronoi import Distances, nearest_medoid
from marketnn.device import resolve

METRICS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    # From differences: the expanded square loses the small distances in the size of the numbers.
    "euclidean": lambda x, y: torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist"),
    "manhattan": lambda x, y: torch.cdist(x, y, p=1.0),
}


class MedoidClustering(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, BaseEstimator):
    """Base of the estimators whose centres are rows of X."""

    metric: str = "euclidean"
    device: str | torch.device

    def predict(self, X: Any) -> np.ndarray:
        """Return the nearest medoid's place (n,) of every row, int32, the first one on a tie.

        Args:
            X: (n, d) rows; with ``metric="precomputed"`` their distances (n, n_fitted) to the fitted rows.

        Raises:
            InputError: X has other columns than were fitted, or values that are not finite.
        """
        return to_numpy(self._to_medoids(X).argmin(1)).astype(np.int32)

    def transform(self, X: Any) -> np.ndarray:
        """Return the distances (n, k) of every row to the medoids.

        Raises:
            InputError: as ``predict``.
        """
        return to_numpy(self._to_medoids(X))

    def score(self, X: Any, y: Any = None) -> float:
        """Return minus the sum of squared distances of X to the nearest medoids.

        Raises:
            InputError: as ``predict``.
        """
        del y
        return -float(self._to_medoids(X).amin(1).double().square().sum())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.pairwise = self.metric == "precomputed"
        return tags

    def _tensor(self, X: np.ndarray) -> Tensor:
        """Return X where the estimator computes; PyTorch shares memory with writable arrays only."""
        return torch.as_tensor(np.require(X, requirements="W"), device=resolve(self.device))

    def _to_medoids(self, X: Any) -> Tensor:
        check_is_fitted(self)
        X = check_rows(X, estimator=self, reset=False)
        if self.metric == "precomputed":
            return self._tensor(X[:, self.medoid_indices_])
        return METRICS[self.metric](self._tensor(X), self._tensor(np.asarray(self.cluster_centers_, dtype=X.dtype)))

    def _keep(self, X: np.ndarray, medoids_k: Tensor, distances: Distances) -> None:
        """Set the attributes that follow from the medoids."""
        label_n, distance_n = nearest_medoid(distances, len(X), medoids_k)
        self.medoid_indices_ = to_numpy(medoids_k)
        self.cluster_centers_ = None if self.metric == "precomputed" else X[self.medoid_indices_]
        self.labels_ = to_numpy(label_n)
        distance_n = distance_n.double()
        self.loss_ = float(distance_n.sum())
        self.inertia_ = float(distance_n @ distance_n)
        self.total_error_ = math.sqrt(self.inertia_)
        self._n_features_out = len(medoids_k)
        n_used = np.count_nonzero(np.bincount(self.labels_))
        if n_used < len(medoids_k):
            warnings.warn(
                f"Number of distinct clusters ({n_used}) found smaller than n_clusters ({len(medoids_k)}); "
                f"another start or larger samples may separate them.",
                ConvergenceWarning,
                stacklevel=3,
            )


def between_rows(x_nd: Tensor, metric: str = "euclidean") -> Distances:
    """Return the function that computes the distances (m, b) between the rows of two lists of row numbers."""
    return lambda row_m, column_b: METRICS[metric](x_nd[row_m], x_nd[column_b])
