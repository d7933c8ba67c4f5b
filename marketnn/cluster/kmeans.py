"""K-means as a scikit-learn estimator over torch kernels (paper A, section 4.1; paper B, II.A)."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from marketnn.cluster.lloyd import Rows, lloyd, nearest_centre, squared_distances
from marketnn.cluster.seeding import greedy_kmeans_plus_plus, random_rows
from marketnn.device import resolve
from marketnn.errors import InputError
from marketnn.seed import seed_from, torch_generator

SEEDINGS = {"k-means++": greedy_kmeans_plus_plus, "random": random_rows}


@dataclass(frozen=True)
class Config:
    """K-means; how many clusters is the pipeline's to say.

    Attributes:
        init: ``k-means++`` or ``random``.
        n_init: starts, of which the best is kept.
        max_iter: rounds per start at most.
        tol: a start ends when the summed squared moves of its centres fall to ``tol`` times the columns' mean variance.
    """

    init: Literal["k-means++", "random"] = "k-means++"
    n_init: int = 20
    max_iter: int = 300
    tol: float = 0.0


class KMeans(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, BaseEstimator):
    """Lloyd's K-means with all restarts computed side by side.

    Args:
        n_clusters: k.
        init: ``k-means++``, ``random``, or the first centres (k, d).
        n_init: restarts, of which the one with the lowest SSE is kept; ``auto`` is 1 for k-means++ and given centres and 10
            for random ones.
        max_iter: rounds per restart at most.
        tol: a restart ends when the summed squared moves of its centres fall to ``tol`` times the columns' mean variance.
        device: ``auto`` takes CUDA when there is a card.
        random_state: an integer makes the result repeatable bit for bit.

    Attributes:
        cluster_centers_: (k, d), in X's dtype.
        labels_: (n,) int32.
        inertia_: SSE, the weighted sum of squared distances to the nearest centre.
        total_error_: its square root (paper A, eq. 2.9).
        history_: (n_iter_,) total error after each round.
        n_iter_: rounds of the restart that was kept.
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        init: str | np.ndarray = "k-means++",
        n_init: int | str = "auto",
        max_iter: int = 300,
        tol: float = 1e-4,
        device: str | torch.device = "auto",
        random_state: int | np.random.Generator | np.random.RandomState | None = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.device = device
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Find the centres.

        Args:
            X: (n, d) numbers; float32 stays float32, everything else becomes float64.
            y: ignored.
            sample_weight: (n,) weights, 1 by default.

        Raises:
            ValueError: X is not a table of finite numbers, or an argument is out of range.
            InputError: fewer distinct rows than clusters.
        """
        del y
        self._check_arguments()
        X = validate_data(self, X, dtype=[np.float64, np.float32], order="C", accept_large_sparse=False)
        weight = _check_sample_weight(sample_weight, X, dtype=X.dtype, ensure_non_negative=True)
        _check_distinct(X, self.n_clusters)
        self._offset = X.mean(axis=0, dtype=np.float64)
        x_nd = self._centred(X)
        weight_n = torch.as_tensor(weight, device=x_nd.device)
        start_rkd = self._start(x_nd, weight_n, X)
        rows = Rows.of(x_nd, weight_n, start_rkd.shape[0] * self.n_clusters)
        result = lloyd(rows, start_rkd, max_rounds=self.max_iter, tolerance=self.tol * float(X.var(axis=0).mean()))
        labels = [nearest_centre(x_nd, centres_kd) for centres_kd in result.centres_rkd]
        sse = torch.stack(
            [
                (squared_distances(x_nd, centres_kd, label_n) * weight_n).sum()
                for centres_kd, label_n in zip(result.centres_rkd, labels, strict=True)
            ]
        ).tolist()
        best = int(np.argmin(sse))
        self.cluster_centers_ = (_numpy(result.centres_rkd[best]).astype(np.float64) + self._offset).astype(X.dtype)
        self.labels_ = _numpy(labels[best]).astype(np.int32)
        self.inertia_ = sse[best]
        self.total_error_ = math.sqrt(self.inertia_)
        self.n_iter_ = result.n_rounds[best]
        errors = [math.sqrt(row[best]) for row in result.history[: self.n_iter_]]
        self.history_ = np.array([*errors[:-1], self.total_error_])
        self._n_features_out = self.n_clusters
        if not result.converged[best] and self.max_iter == self.n_iter_:
            warnings.warn(
                f"K-means stopped after max_iter={self.max_iter} rounds before its centres came to rest.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the nearest centre's index (n,) of every row."""
        x_nd, centres_kd = self._fitted(X)
        return _numpy(nearest_centre(x_nd, centres_kd)).astype(np.int32)

    def transform(self, X: Any) -> np.ndarray:
        """Return the distances (n, k) of every row to the centres."""
        x_nd, centres_kd = self._fitted(X)
        return _numpy(torch.cdist(x_nd, centres_kd, compute_mode="donot_use_mm_for_euclid_dist"))

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return minus the SSE of X about the centres."""
        del y
        x_nd, centres_kd = self._fitted(X)
        weight = _check_sample_weight(sample_weight, _numpy(x_nd), dtype=np.float64)
        distance_n = squared_distances(x_nd, centres_kd, nearest_centre(x_nd, centres_kd))
        return -float((distance_n * torch.as_tensor(weight, device=x_nd.device)).sum())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _centred(self, X: np.ndarray) -> torch.Tensor:
        """Move X about the fitted mean: uncentred float32 loses the clusters in the size of the numbers."""
        return torch.as_tensor((X - self._offset).astype(X.dtype), device=resolve(self.device))

    def _fitted(self, X: Any) -> tuple[torch.Tensor, torch.Tensor]:
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], order="C", reset=False)
        x_nd = self._centred(X)
        centres = self.cluster_centers_.astype(np.float64) - self._offset
        return x_nd, torch.as_tensor(centres, device=x_nd.device, dtype=x_nd.dtype)

    def _start(self, x_nd: torch.Tensor, weight_n: torch.Tensor, X: np.ndarray) -> torch.Tensor:
        if not isinstance(self.init, str):
            init = np.asarray(self.init, dtype=np.float64)
            if init.shape != (self.n_clusters, X.shape[1]):
                raise InputError(f"init has shape {init.shape}; {(self.n_clusters, X.shape[1])} centres are needed.")
            return torch.as_tensor(init - self._offset, device=x_nd.device, dtype=x_nd.dtype)[None]
        n_init = {"k-means++": 1, "random": 10}[self.init] if self.n_init == "auto" else int(self.n_init)
        generator = torch_generator(seed_from(self.random_state))
        return SEEDINGS[self.init](x_nd, weight_n, self.n_clusters, n_init, generator)

    def _check_arguments(self) -> None:
        if isinstance(self.init, str) and self.init not in SEEDINGS:
            raise InputError(f"init='{self.init}' is not possible; use 'k-means++', 'random' or centres (k, d).")
        if self.n_init != "auto" and (isinstance(self.n_init, str) or self.n_init < 1):
            raise InputError(f"n_init={self.n_init!r} is not possible; use 'auto' or a whole number above 0.")
        for name, least in (("n_clusters", 1), ("max_iter", 1), ("tol", 0)):
            if getattr(self, name) < least:
                raise InputError(f"{name}={getattr(self, name)} must be at least {least}.")


def build(config: Config) -> KMeans:
    """Make the estimator; the pipeline sets ``n_clusters``, ``device`` and ``random_state``."""
    return KMeans(init=config.init, n_init=config.n_init, max_iter=config.max_iter, tol=config.tol)


def _check_distinct(X: np.ndarray, n_clusters: int) -> None:
    """Refuse fewer distinct rows than clusters; a few rows usually settle it."""
    for some in (X[: 4 * n_clusters], X):
        n_distinct = len(np.unique(some, axis=0))
        if n_distinct >= n_clusters:
            return
    raise InputError(
        f"n_samples={len(X)} has only {n_distinct} distinct rows, but n_clusters={n_clusters}; ask for {n_distinct} or fewer."
    )


def _numpy(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()
