"""Hierarchical K-means: Ward's trees of samples give the first centres, K-means cells of all rows are merged (paper B, II.B).

The paper's steps: (1) draw samples distributed as the table; (2) agglomerative clustering of them; (3) K-means of all rows from
the centres found; (4) merge near clusters until R are left. Read literally, steps 2 and 3 give R clusters and step 4 has nothing
to merge; here the centres of all samples are pooled, so that there are more cells than clusters (as in Bradley and Fayyad 1998).
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any, Self

import numpy as np
import torch

from marketnn.cluster.assignment import nearest_centre
from marketnn.cluster.centres import CentreClustering, check_whole
from marketnn.cluster.checks import check_distinct, check_rows, check_weight
from marketnn.cluster.lloyd import LloydResult, lloyd
from marketnn.cluster.representative import representative_sample
from marketnn.cluster.rows import HeldRows
from marketnn.cluster.seeding import greedy_kmeans_plus_plus
from marketnn.cluster.ward import cut_centres, largest_jump, merge_nearest, ward_tree
from marketnn.errors import InputError
from marketnn.seed import child_seed, numpy_generator, seed_from, torch_generator

# Cells are about to be merged: their last rounds move rows between cells of one cluster and change nothing.
CELL_ROUNDS = 20


@dataclass(frozen=True)
class Config:
    """Hierarchical K-means; a pipeline may fix the number of clusters.

    Attributes:
        n_samples: T, samples that are clustered hierarchically.
        sample_size: rows per sample; all rows where there are fewer.
        k_min, k_max: between these the merge heights choose where the number of clusters is free.
        ks_limit: a sample is drawn anew when a column's distribution differs by more; ``None`` is ``1.36 / sqrt(sample_size)``.
        max_draws: draws per sample at most; then the nearest is taken.
        max_iter: rounds of the final K-means at most.
    """

    n_samples: int = 10
    sample_size: int = 1_000
    k_min: int = 2
    k_max: int = 50
    ks_limit: float | None = None
    max_draws: int = 10
    max_iter: int = 300


class HierarchicalKMeans(CentreClustering):
    """Ward's trees of samples, K-means of all rows from their pooled centres, merging by Ward's cost, K-means again.

    Args:
        n_clusters: R; ``None`` takes the median over the samples of the number of clusters with the largest relative jump of the
            merge heights.
        n_samples: T; one suffices where a sample is the whole table.
        sample_size: rows per sample at most.
        k_min, k_max: the range of the number of clusters where ``n_clusters`` is ``None``.
        ks_limit: a sample is accepted when no column's Kolmogorov-Smirnov distance to the table exceeds it; ``None`` is
            ``1.36 / sqrt(sample_size)``.
        max_draws: draws per sample at most; then the nearest is taken.
        max_iter: rounds of the final K-means at most; the cells before it take 20 at most.
        device: ``auto`` takes CUDA when there is a card.
        random_state: an integer makes the result repeatable bit for bit.

    Attributes:
        n_clusters_: R.
        cluster_centers_: (R, d), in X's dtype.
        labels_: (n,) int32.
        inertia_: SSE, the weighted sum of squared distances to the nearest centre.
        total_error_: its square root (paper A, eq. 2.9).
        history_: total error after each round of the final K-means.
        n_iter_: its rounds.
        merge_heights_: (T, size - 1) heights of each sample's tree.
        suggested_: (T,) the number of clusters that each tree suggests.
        merges_: (K - R, 2) the cells joined in each step.
        merge_costs_: (K - R,) what each step added to the SSE.
        n_features_in_, feature_names_in_: the fitted columns.
    """

    def __init__(
        self,
        n_clusters: int | None = None,
        *,
        n_samples: int = 10,
        sample_size: int = 1_000,
        k_min: int = 2,
        k_max: int = 50,
        ks_limit: float | None = None,
        max_draws: int = 10,
        max_iter: int = 300,
        device: str | torch.device = "auto",
        random_state: int | np.random.Generator | np.random.RandomState | None = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.n_samples = n_samples
        self.sample_size = sample_size
        self.k_min = k_min
        self.k_max = k_max
        self.ks_limit = ks_limit
        self.max_draws = max_draws
        self.max_iter = max_iter
        self.device = device
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Find the centres.

        Args:
            X: (n, d) numbers; float32 stays float32, everything else becomes float64.
            y: ignored.
            sample_weight: (n,) weights in K-means and in the cost of merging, 1 by default; of the rows with a weight above 0
                the samples take each alike.

        Raises:
            InputError: an argument out of range, X no table of finite numbers, or fewer distinct rows than clusters.
        """
        del y
        self._check_arguments()
        X = check_rows(X, estimator=self)
        weight = check_weight(sample_weight, X)
        check_distinct(X[weight > 0], self.n_clusters or self.k_min)
        self._offset = X.mean(axis=0, dtype=np.float64)
        rows = self._held(X, weight)
        x_nd, weight_n = rows.x_nd, rows.weight_n
        seed = seed_from(self.random_state)

        pooled = self._sampled_centres(X[weight > 0] - self._offset, seed)
        start_kd = torch.as_tensor(pooled.astype(X.dtype), device=x_nd.device)
        if len(pooled) < self.n_clusters_:
            generator = torch_generator(child_seed(seed, "more centres"))
            more = greedy_kmeans_plus_plus(x_nd, weight_n, self.n_clusters_, 1, generator)[0]
            start_kd = torch.cat([start_kd, more])
        cells_kd = self._lloyd(rows, start_kd, min(CELL_ROUNDS, self.max_iter)).centres_rkd[0]
        cells, mass = _cells(x_nd, weight_n, cells_kd)
        merged = merge_nearest(cells, mass, self.n_clusters_)
        self.merges_, self.merge_costs_ = merged.pairs_m2, merged.costs_m
        start_kd = torch.as_tensor(merged.centres_kd.astype(X.dtype), device=x_nd.device)
        final = self._lloyd(rows, start_kd, self.max_iter)
        self.n_iter_ = final.n_rounds[0]
        self._keep(rows, final.centres_rkd[0], final.history[0])
        return self

    def _sampled_centres(self, x: np.ndarray, seed: int) -> np.ndarray:
        """Return the different centres (K, d) of all samples' trees; sets R and what the trees tell."""
        size = min(self.sample_size, len(x))
        rng = numpy_generator(child_seed(seed, "samples"))
        ordered = np.sort(x, axis=0)
        samples = []
        for _ in range(self.n_samples if size < len(x) else 1):
            rows, _ = representative_sample(x, ordered, size, limit=self.ks_limit, max_draws=self.max_draws, rng=rng)
            samples.append(x[rows])
        trees = [ward_tree(sample) for sample in samples]
        self.merge_heights_ = np.stack([tree[:, 2] for tree in trees])
        self.suggested_ = np.array([largest_jump(heights, self.k_min, self.k_max) for heights in self.merge_heights_])
        fixed = self.n_clusters
        self.n_clusters_ = int(np.median(self.suggested_)) if fixed is None else int(fixed)
        counts = self.suggested_ if fixed is None else np.full(len(samples), fixed)
        cuts = zip(samples, trees, counts, strict=True)
        return np.unique(np.concatenate([cut_centres(sample, tree, k) for sample, tree, k in cuts]), axis=0)

    @staticmethod
    def _lloyd(rows: HeldRows, start_kd: torch.Tensor, max_rounds: int) -> LloydResult:
        return lloyd(rows, start_kd[None], max_rounds=max_rounds, tolerance=0.0)

    def _check_arguments(self) -> None:
        names = ["n_samples", "sample_size", "k_min", "k_max", "max_draws", "max_iter"]
        check_whole(self, *names, *(["n_clusters"] if self.n_clusters is not None else []))
        if not 2 <= self.k_min <= self.k_max:
            raise InputError(f"k_min={self.k_min}, k_max={self.k_max}: 2 <= k_min <= k_max is needed.")
        if self.ks_limit is not None and not (isinstance(self.ks_limit, Real) and 0 < self.ks_limit <= 1):
            raise InputError(f"ks_limit={self.ks_limit!r} is not possible; use a number above 0 up to 1, or None.")


def build(config: Config) -> HierarchicalKMeans:
    """Make the estimator; the pipeline sets ``n_clusters``, ``device`` and ``random_state``."""
    return HierarchicalKMeans(
        n_samples=config.n_samples,
        sample_size=config.sample_size,
        k_min=config.k_min,
        k_max=config.k_max,
        ks_limit=config.ks_limit,
        max_draws=config.max_draws,
        max_iter=config.max_iter,
    )


def _cells(x_nd: torch.Tensor, weight_n: torch.Tensor, centres_kd: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return the means (K, d) and weights (K,) of the rows nearest to each centre, the empty ones dropped, float64."""
    label_n = nearest_centre(x_nd, centres_kd).cpu().numpy()
    x, weight, k = x_nd.cpu().numpy().astype(np.float64), weight_n.cpu().numpy().astype(np.float64), len(centres_kd)
    mass = np.bincount(label_n, weights=weight, minlength=k)
    sums = np.stack([np.bincount(label_n, weights=weight * column, minlength=k) for column in x.T], axis=1)
    return sums[mass > 0] / mass[mass > 0, None], mass[mass > 0]
