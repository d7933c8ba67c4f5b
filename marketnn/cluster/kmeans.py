"""K-means as a scikit-learn estimator over torch kernels (paper A, eq. 2.9 and section 3.2; paper B, section II.A)."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from marketnn.cluster.checks import check_distinct, check_rows, check_weight
from marketnn.cluster.lloyd import Rows, lloyd, nearest_centre, squared_distances
from marketnn.cluster.seeding import greedy_kmeans_plus_plus, random_rows
from marketnn.device import resolve
from marketnn.errors import InputError
from marketnn.seed import seed_from, torch_generator

SEEDINGS = {"k-means++": greedy_kmeans_plus_plus, "random": random_rows}
_AUTO_STARTS = {"k-means++": 1, "random": 10}


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
    """Lloyd's K-means with all starts computed side by side.

    Labels are the nearest centre's, the first one on a tie. An empty cluster takes the row farthest from its centre.

    Args:
        n_clusters: k.
        init: ``k-means++``, ``random``, or the first centres (k, d), which are a single start.
        n_init: starts, of which the one with the lowest SSE is kept; ``auto`` is 1 for k-means++ and 10 for random.
        max_iter: rounds per start at most.
        tol: a start ends when the summed squared moves of its centres fall to ``tol`` times the columns' mean variance.
        device: ``auto`` takes CUDA when there is a card.
        random_state: an integer makes the result repeatable bit for bit.

    Attributes:
        cluster_centers_: (k, d), in X's dtype.
        labels_: (n,) int32.
        inertia_: SSE, the weighted sum of squared distances to the nearest centre.
        total_error_: its square root (paper A, eq. 2.9).
        history_: (n_iter_,) total error after each round.
        n_iter_: rounds of the start that was kept.
        n_features_in_, feature_names_in_: the fitted columns.
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
            InputError: an argument out of range, X no table of finite numbers, or fewer distinct rows than clusters.
        """
        del y
        self._check_arguments()
        X = check_rows(X, estimator=self)
        weight = check_weight(sample_weight, X)
        check_distinct(X[weight > 0], self.n_clusters)
        self._offset = X.mean(axis=0, dtype=np.float64)
        x_nd = self._centred(X)
        weight_n = torch.as_tensor(weight, device=x_nd.device)
        start_rkd = self._first_centres(x_nd, weight_n)
        rows = Rows.of(x_nd, weight_n, start_rkd.shape[0] * self.n_clusters)
        tolerance = self.tol * float(X.var(axis=0, dtype=np.float64).mean())
        result = lloyd(rows, start_rkd, max_rounds=self.max_iter, tolerance=tolerance)
        sse_r = torch.stack([_sse(x_nd, weight_n, centres_kd) for centres_kd in result.centres_rkd])
        best = int(sse_r.argmin())

        centres = _numpy(result.centres_rkd[best]).astype(np.float64) + self._offset
        self.cluster_centers_ = centres.astype(X.dtype)
        # Rounding to X's dtype moves the centres a little; labels and SSE are those of the centres that are shown.
        _, centres_kd = self._placed(X)
        self.labels_ = _numpy(nearest_centre(x_nd, centres_kd)).astype(np.int32)
        self.inertia_ = float(_sse(x_nd, weight_n, centres_kd))
        self.total_error_ = math.sqrt(self.inertia_)
        self.n_iter_ = result.n_rounds[best]
        errors = [math.sqrt(sse[best]) for sse in result.history[: self.n_iter_]]
        self.history_ = np.array([*errors[:-1], self.total_error_])
        self._n_features_out = self.n_clusters
        self._warn_of_empty_clusters()
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the nearest centre's index (n,) of every row, int32.

        Raises:
            InputError: X has other columns than were fitted, or values that are not finite.
        """
        x_nd, centres_kd = self._placed(self._fitted_rows(X))
        return _numpy(nearest_centre(x_nd, centres_kd)).astype(np.int32)

    def transform(self, X: Any) -> np.ndarray:
        """Return the distances (n, k) of every row to the centres.

        Raises:
            InputError: as ``predict``.
        """
        x_nd, centres_kd = self._placed(self._fitted_rows(X))
        return _numpy(torch.cdist(x_nd, centres_kd, compute_mode="donot_use_mm_for_euclid_dist"))

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return minus the weighted SSE of X about the nearest centres.

        Raises:
            InputError: as ``predict``, or weights that do not fit.
        """
        del y
        X = self._fitted_rows(X)
        x_nd, centres_kd = self._placed(X)
        weight_n = torch.as_tensor(check_weight(sample_weight, X), device=x_nd.device)
        return -float(_sse(x_nd, weight_n, centres_kd))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _centred(self, X: np.ndarray) -> torch.Tensor:
        """Move X about the fitted mean: uncentred float32 loses the clusters in the size of the numbers."""
        return torch.as_tensor((X - self._offset).astype(X.dtype), device=resolve(self.device))

    def _fitted_rows(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        return check_rows(X, estimator=self, reset=False)

    def _placed(self, X: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the rows (n, d) and the centres (k, d), both about the fitted mean and in X's dtype."""
        x_nd = self._centred(X)
        return x_nd, self._centred(self.cluster_centers_).to(x_nd.dtype)

    def _first_centres(self, x_nd: torch.Tensor, weight_n: torch.Tensor) -> torch.Tensor:
        """Return the first centres (r, k, d) of all starts, centred."""
        if isinstance(self.init, str):
            n_starts = _AUTO_STARTS[self.init] if self.n_init == "auto" else int(self.n_init)
            generator = torch_generator(seed_from(self.random_state))
            return SEEDINGS[self.init](x_nd, weight_n, self.n_clusters, n_starts, generator)
        init = check_rows(self.init)
        if init.shape != (self.n_clusters, x_nd.shape[1]):
            raise InputError(f"init has shape {init.shape}; {(self.n_clusters, x_nd.shape[1])} centres are needed.")
        return self._centred(init.astype(np.float64))[None].to(x_nd.dtype)

    def _check_arguments(self) -> None:
        if isinstance(self.init, str) and self.init not in SEEDINGS:
            raise InputError(f"init='{self.init}' is not possible; use 'k-means++', 'random' or centres (k, d).")
        if self.n_init != "auto" and not (isinstance(self.n_init, (int, np.integer)) and self.n_init >= 1):
            raise InputError(f"n_init={self.n_init!r} is not possible; use 'auto' or a whole number above 0.")
        for name in ("n_clusters", "max_iter"):
            value = getattr(self, name)
            if not (isinstance(value, (int, np.integer)) and value >= 1):
                raise InputError(f"{name}={value!r} is not possible; use a whole number above 0.")
        if not (isinstance(self.tol, Real) and 0 <= self.tol < math.inf):
            raise InputError(f"tol={self.tol!r} is not possible; use a number from 0 on.")

    def _warn_of_empty_clusters(self) -> None:
        n_used = len(np.unique(self.labels_))
        if n_used < self.n_clusters:
            warnings.warn(
                f"Number of distinct clusters ({n_used}) found smaller than n_clusters ({self.n_clusters}); "
                f"more rounds or another start may separate them.",
                ConvergenceWarning,
                stacklevel=3,
            )


def build(config: Config) -> KMeans:
    """Make the estimator; the pipeline sets ``n_clusters``, ``device`` and ``random_state``."""
    return KMeans(init=config.init, n_init=config.n_init, max_iter=config.max_iter, tol=config.tol)


def _sse(x_nd: torch.Tensor, weight_n: torch.Tensor, centres_kd: torch.Tensor) -> torch.Tensor:
    """Return the weighted SSE () of the rows about their nearest centres, float64."""
    return squared_distances(x_nd, centres_kd, nearest_centre(x_nd, centres_kd)) @ weight_n.double()


def _numpy(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()
