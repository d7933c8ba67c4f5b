"""What the estimators whose clusters are the rows nearest to a centre share: prediction, and the attributes a fit leaves."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from marketnn.cluster.assignment import nearest_centre
from marketnn.cluster.checks import check_rows, check_weight
from marketnn.cluster.rows import SUMMED_ROWS, HeldRows, squared_length
from marketnn.device import resolve
from marketnn.errors import InputError
from marketnn.processes import ALONE, Processes


class CentreClustering(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, BaseEstimator):
    """Base of the estimators that minimise the sum of squared distances to centres.

    A row belongs to the nearest centre, the first one on a tie. All distances are taken about the mean of the fitted rows:
    float32 far from the origin would lose the clusters in the size of the numbers.
    """

    device: str | torch.device

    def predict(self, X: Any) -> np.ndarray:
        """Return the nearest centre's index (n,) of every row, int32.

        Raises:
            InputError: X has other columns than were fitted, or values that are not finite.
        """
        x_nd, centres_kd = self._placed(self._fitted_rows(X))
        return to_numpy(nearest_centre(x_nd, centres_kd)).astype(np.int32)

    def transform(self, X: Any) -> np.ndarray:
        """Return the distances (n, k) of every row to the centres.

        Raises:
            InputError: as ``predict``.
        """
        x_nd, centres_kd = self._placed(self._fitted_rows(X))
        return to_numpy(torch.cdist(x_nd, centres_kd, compute_mode="donot_use_mm_for_euclid_dist"))

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return minus the weighted SSE of X about the nearest centres.

        Raises:
            InputError: as ``predict``, or weights that do not fit.
        """
        del y
        X = self._fitted_rows(X)
        rows, centres_kd = self._held(X, check_weight(sample_weight, X)), self._shown_centres()
        return -sum_of_squares(rows, centres_kd, nearest_centre(rows.x_nd, centres_kd))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _centred(self, X: np.ndarray) -> Tensor:
        """Move X about the fitted mean and onto the device, in X's dtype."""
        return torch.as_tensor((X - self._offset).astype(X.dtype, copy=False), device=resolve(self.device))

    def _held(self, X: np.ndarray, weight: np.ndarray) -> HeldRows:
        """Return rows and weights for the rounds, about the fitted mean."""
        x_nd = self._centred(X)
        return HeldRows(x_nd, torch.as_tensor(weight, device=x_nd.device))

    def _uncentred(self, centres_kd: Tensor) -> np.ndarray:
        """Return centres (k, d) in X's units, float64."""
        return to_numpy(centres_kd).astype(np.float64) + self._offset

    def _fitted_rows(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        return check_rows(X, estimator=self, reset=False)

    def _placed(self, X: np.ndarray) -> tuple[Tensor, Tensor]:
        """Return the rows (n, d) and the centres (k, d), both about the fitted mean and in X's dtype."""
        return self._centred(X), self._shown_centres()

    def _shown_centres(self) -> Tensor:
        """Return ``cluster_centers_`` (k, d) about the fitted mean."""
        return self._centred(self.cluster_centers_)

    def _keep(self, rows: HeldRows, centres_kd: Tensor, errors: Sequence[float]) -> None:
        """Set the attributes of a fit.

        Args:
            rows: the fitted ones.
            centres_kd: final centres, centred.
            errors: SSE in the course of the search; the last one is replaced by the SSE of the centres that are shown.
        """
        self.cluster_centers_ = self._uncentred(centres_kd).astype(to_numpy(rows.x_nd[0]).dtype)
        # Rounding to X's dtype moves the centres a little; labels and SSE are those of the centres that are shown.
        centres_kd = self._shown_centres()
        label_n = nearest_centre(rows.x_nd, centres_kd)
        inertia = sum_of_squares(rows, centres_kd, label_n)
        self._keep_labels(to_numpy(label_n).astype(np.int32), inertia, errors)

    def _keep_labels(
        self, labels: np.ndarray, inertia: float, errors: Sequence[float], processes: Processes = ALONE
    ) -> None:
        """Set the attributes that follow from this process's labels (n,) and the SSE about ``cluster_centers_``."""
        self.labels_ = labels
        self.inertia_ = inertia
        self.total_error_ = math.sqrt(inertia)
        self.history_ = np.array([*(math.sqrt(sse) for sse in errors[:-1]), self.total_error_])
        self._n_features_out = n_clusters = len(self.cluster_centers_)
        # Part by part: NumPy counts in a copy of 8 bytes a row.
        counts = [np.bincount(part, minlength=n_clusters) for part in np.array_split(labels, len(labels) // 2**20 + 1)]
        count_k = torch.from_numpy(np.sum(counts, axis=0))
        processes.add_up(count_k)
        n_used = int(count_k.count_nonzero())
        if n_used < n_clusters:
            warnings.warn(
                f"Number of distinct clusters ({n_used}) found smaller than n_clusters ({n_clusters}); "
                f"more rounds or another start may separate them.",
                ConvergenceWarning,
                stacklevel=4,
            )


def sum_of_squares(rows: HeldRows, centres_kd: Tensor, label_n: Tensor) -> float:
    """Return the weighted sum of squared distances of rows to their centres, from differences.

    The sum is in X's dtype within a few thousand rows and in float64 beyond.
    """
    parts = []
    for x_bd, weight_b, label_b in zip(
        *(of.split(SUMMED_ROWS) for of in (rows.x_nd, rows.weight_n, label_n)), strict=True
    ):
        away_bd = centres_kd.index_select(0, label_b).sub_(x_bd)
        parts.append(squared_length(away_bd, None if rows.unweighted else weight_b))
    return float(torch.stack(parts).sum(dtype=torch.float64))


def mean_row(X: np.ndarray) -> np.ndarray:
    """Return the rows' mean (d,), float64, summed in X's dtype within a few thousand rows."""
    ones = np.ones(SUMMED_ROWS, X.dtype)
    parts = [ones[: len(part)] @ part for part in (X[at : at + SUMMED_ROWS] for at in range(0, len(X), SUMMED_ROWS))]
    return np.asarray(np.sum(parts, axis=0, dtype=np.float64)) / len(X)


def check_whole(estimator: BaseEstimator, *names: str) -> None:
    """Refuse parameters that are no whole numbers above 0.

    Raises:
        InputError: the message names the parameter and its value.
    """
    for name in names:
        value = getattr(estimator, name)
        if isinstance(value, bool) or not (isinstance(value, (int, np.integer)) and value >= 1):
            raise InputError(f"{name}={value!r} is not possible; use a whole number above 0.")


def check_choice(estimator: BaseEstimator, name: str, possible: Sequence[str]) -> None:
    """Refuse a parameter that is none of some words.

    Raises:
        InputError: the message names the parameter, its value and the words.
    """
    if getattr(estimator, name) not in possible:
        raise InputError(f"{name}={getattr(estimator, name)!r} is not possible; use {', '.join(possible)}.")


def to_numpy(tensor: Tensor) -> np.ndarray:
    """Return a tensor's numbers on the host."""
    return tensor.cpu().numpy()
