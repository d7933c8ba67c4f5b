"""CK clustering: CLARA's medoids as the first centres of K-means (paper A, section II.B, eq. 2.8 and 2.9)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor

from marketnn.cluster.assignment import nearest_centre
from marketnn.cluster.centres import CentreClustering, check_choice, check_whole, sum_of_squares, to_numpy
from marketnn.cluster.checks import check_distinct, check_rows, check_weight
from marketnn.cluster.lloyd import lloyd
from marketnn.cluster.random_swap import random_swap
from marketnn.cluster.sampled_medoids import sampled_medoids
from marketnn.device import resolve
from marketnn.preprocess.minmax import MinMaxScaler
from marketnn.seed import child_seed, seed_from, torch_generator


@dataclass(frozen=True)
class PreRun:
    """How CLARA samples.

    Attributes:
        n_samples: samples in all.
        base_size, size_per_cluster: a sample has ``base_size + size_per_cluster k`` rows.
        rounds: the best medoids are carried into the samples of the second round and later.
    """

    n_samples: int
    base_size: int
    size_per_cluster: int
    rounds: int


PRESETS = {"paper": PreRun(5, 40, 2, 1), "strong": PreRun(20, 200, 20, 2)}
REFINEMENTS = ("lloyd", "none", "swap")


@dataclass(frozen=True)
class Config:
    """CK; how many clusters is the pipeline's to say.

    Attributes:
        preset: ``paper`` (5 samples of 40 + 2 k rows) or ``strong`` (20 samples of 200 + 20 k rows in two rounds).
        refine: ``lloyd``, ``none`` (the medoids stay) or ``swap`` (on to the lowest SSE that random swaps reach).
        scale: min-max scale the columns first (eq. 2.8).
        max_iter: Lloyd's rounds at most.
    """

    preset: Literal["paper", "strong"] = "paper"
    refine: Literal["lloyd", "none", "swap"] = "lloyd"
    scale: bool = True
    max_iter: int = 300


class CK(CentreClustering):
    """Min-max scaling, CLARA for the first centres, then K-means.

    The paper calls the medoids the clustering centres and yet counts rounds after them: ``refine="lloyd"`` moves them by
    Lloyd's rounds, ``refine="none"`` keeps them. Either way the SSE is never above that of CLARA's medoids.

    Args:
        n_clusters: k.
        preset: of the pre-run: ``paper`` (5 samples of 40 + 2 k rows) or ``strong`` (20 of 200 + 20 k rows, two rounds).
        refine: ``lloyd``, ``none``, or ``swap``, which goes on from Lloyd's end by random swaps of centres.
        scale: min-max scale the columns (eq. 2.8), a constant one to 0.
        max_iter: Lloyd's rounds at most.
        device: ``auto`` takes CUDA when there is a card.
        random_state: an integer makes the result repeatable bit for bit.

    Attributes:
        cluster_centers_: (k, d) in X's units and dtype.
        labels_: (n,) int32.
        medoid_indices_: (k,) row numbers of CLARA's medoids.
        inertia_: SSE, the weighted sum of squared distances to the nearest centre, in scaled units.
        total_error_: its square root (eq. 2.9).
        history_: total error of the medoids, after each of Lloyd's rounds, and after each swap of centres.
        n_iter_: Lloyd's rounds from the medoids on.
        n_features_in_, feature_names_in_: the fitted columns.
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        preset: str = "paper",
        refine: str = "lloyd",
        scale: bool = True,
        max_iter: int = 300,
        device: str | torch.device = "auto",
        random_state: int | np.random.Generator | np.random.RandomState | None = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.preset = preset
        self.refine = refine
        self.scale = scale
        self.max_iter = max_iter
        self.device = device
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Find the centres.

        Args:
            X: (n, d) numbers; float32 stays float32, everything else becomes float64.
            y: ignored.
            sample_weight: (n,) weights in the SSE, 1 by default; the pre-run samples every row alike.

        Raises:
            InputError: an argument out of range, X no table of finite numbers, or fewer distinct rows than clusters.
        """
        del y
        self._check_arguments()
        X = check_rows(X, estimator=self)
        weight = check_weight(sample_weight, X)
        check_distinct(X[weight > 0], self.n_clusters)
        self._scaler = MinMaxScaler().fit(X.astype(np.float64)) if self.scale else None
        self._offset = self._scaled(X).mean(axis=0)
        rows = self._held(X, weight)
        x_nd = rows.x_nd
        seed = seed_from(self.random_state)
        plan = PRESETS[self.preset]
        medoids_k = sampled_medoids(
            x_nd,
            self.n_clusters,
            n_samples=plan.n_samples,
            sample_size=min(plan.base_size + plan.size_per_cluster * self.n_clusters, len(X)),
            rounds=plan.rounds,
            generator=torch_generator(child_seed(seed, "clara")),
        ).medoids_k
        self.medoid_indices_ = to_numpy(medoids_k)
        centres_kd = x_nd[medoids_k]
        errors = [sum_of_squares(rows, centres_kd, nearest_centre(x_nd, centres_kd))]
        self.n_iter_ = 0
        if self.refine != "none":
            result = lloyd(rows, centres_kd[None], max_rounds=self.max_iter, tolerance=0.0)
            self.n_iter_ = result.n_rounds[0]
            if self.refine == "swap":
                swaps = torch_generator(child_seed(seed, "swap"))
                result = random_swap(rows, result, swaps, max_rounds=self.max_iter)
            centres_kd = result.centres_rkd[0]
            errors += result.history[0]
        self._keep(rows, centres_kd, errors)
        if self.refine == "none":
            self.cluster_centers_ = X[self.medoid_indices_]
        return self

    def _scaled(self, X: np.ndarray) -> np.ndarray:
        """Return X in the units of the search, float64."""
        X = X.astype(np.float64)
        return X if self._scaler is None else self._scaler.transform(X)

    def _centred(self, X: np.ndarray) -> Tensor:
        return torch.as_tensor((self._scaled(X) - self._offset).astype(X.dtype), device=resolve(self.device))

    def _uncentred(self, centres_kd: Tensor) -> np.ndarray:
        centres = super()._uncentred(centres_kd)
        return centres if self._scaler is None else self._scaler.inverse_transform(centres)

    def _check_arguments(self) -> None:
        check_whole(self, "n_clusters", "max_iter")
        check_choice(self, "preset", tuple(PRESETS))
        check_choice(self, "refine", REFINEMENTS)


def build(config: Config) -> CK:
    """Make the estimator; the pipeline sets ``n_clusters``, ``device`` and ``random_state``."""
    return CK(preset=config.preset, refine=config.refine, scale=config.scale, max_iter=config.max_iter)
