"""CLARA as a scikit-learn estimator: k-medoids of samples, for tables too large for all pairs of distances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch

from marketnn.cluster.centres import check_whole
from marketnn.cluster.checks import check_distinct, check_rows
from marketnn.cluster.medoids import MedoidClustering, between_rows
from marketnn.cluster.sampled_medoids import sampled_medoids
from marketnn.errors import InputError
from marketnn.seed import seed_from, torch_generator


@dataclass(frozen=True)
class Config:
    """CLARA; how many clusters is the pipeline's to say.

    Attributes:
        n_samples: samples in all.
        sample_size: rows per sample; ``None`` is 40 + 2 k.
        rounds: each round but the first samples around the best medoids of the rounds before.
    """

    n_samples: int = 5
    sample_size: int | None = None
    rounds: int = 1


class CLARA(MedoidClustering):
    """Medoids found on samples and judged on all rows (Kaufman and Rousseeuw 1990; paper A, section II.B).

    All samples of a round are solved side by side by BUILD and swaps. At the end the medoids of all samples compete in one more
    search by swaps on 512 rows; its outcome counts if it is better on all rows. A sample of all rows gives PAM's medoids.

    Args:
        n_clusters: k.
        n_samples: samples in all, spread evenly over the rounds.
        sample_size: rows per sample, at least k; ``None`` is 40 + 2 k, and no more than n are drawn.
        rounds: from the second on, the samples contain the best medoids so far; at most ``n_samples``.
        device: ``auto`` takes CUDA when there is a card.
        random_state: an integer makes the result repeatable bit for bit.

    Attributes:
        medoid_indices_: (k,) row numbers of X.
        cluster_centers_: (k, d) those rows.
        labels_: (n,) int32, the nearest medoid's place.
        loss_: the sum of distances to the nearest medoid, which the search lowers.
        inertia_: SSE, the sum of squared distances to it.
        total_error_: its square root (paper A, eq. 2.9).
        history_: lowest loss over all rows so far, after each round and after the last competition.
        path_: (entries of ``history_``, k) the medoids' row numbers at each of them.
        n_iter_: entries of ``history_``.
        n_features_in_, feature_names_in_: the fitted columns.
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        n_samples: int = 5,
        sample_size: int | None = None,
        rounds: int = 1,
        device: str | torch.device = "auto",
        random_state: int | np.random.Generator | np.random.RandomState | None = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.n_samples = n_samples
        self.sample_size = sample_size
        self.rounds = rounds
        self.device = device
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the medoids.

        Args:
            X: (n, d) numbers; float32 stays float32, everything else becomes float64.
            y: ignored.

        Raises:
            InputError: an argument out of range, X no table of finite numbers, or fewer distinct rows than clusters.
        """
        del y
        self._check_arguments()
        X = check_rows(X, estimator=self)
        check_distinct(X, self.n_clusters)
        x_nd = self._tensor(X)
        found = sampled_medoids(
            x_nd,
            self.n_clusters,
            n_samples=self.n_samples,
            sample_size=min(self.sample_size or 40 + 2 * self.n_clusters, len(X)),
            rounds=self.rounds,
            generator=torch_generator(seed_from(self.random_state)),
        )
        self.history_, self.path_ = np.array(found.history), np.array(found.path)
        self.n_iter_ = len(self.history_)
        self._keep(X, found.medoids_k, between_rows(x_nd))
        return self

    def _check_arguments(self) -> None:
        check_whole(self, "n_clusters", "n_samples", "rounds")
        if self.sample_size is not None:
            check_whole(self, "sample_size")
            if self.sample_size < self.n_clusters:
                raise InputError(
                    f"sample_size={self.sample_size} holds no {self.n_clusters} medoids; use {self.n_clusters} or more."
                )
        if self.rounds > self.n_samples:
            raise InputError(
                f"rounds={self.rounds} need as many samples, not n_samples={self.n_samples}; raise it or lower rounds."
            )


def build(config: Config) -> CLARA:
    """Make the estimator; the pipeline sets ``n_clusters``, ``device`` and ``random_state``."""
    return CLARA(n_samples=config.n_samples, sample_size=config.sample_size, rounds=config.rounds)
