"""Mini-batch K-means (Sculley 2010, doi:10.1145/1772690.1772862): each step moves the centres by a few random rows.

A centre is the running mean of the rows that were ever assigned to it, so a batch moves it less the more rows it has seen. The
assignment is Lloyd's round, on the batch.

Shapes: n rows, d columns, k clusters, r starts, b rows of a batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor

from marketnn.cluster.assignment import lloyd_round, nearest_centre
from marketnn.cluster.centres import CentreClustering, check_whole, sum_of_squares, to_numpy
from marketnn.cluster.checks import check_distinct, check_rows, check_weight
from marketnn.cluster.kmeans import SEEDINGS
from marketnn.cluster.rows import HeldRows
from marketnn.errors import InputError
from marketnn.seed import seed_from, torch_generator

_SEEDING_BATCHES = 3  # rows that the first centres are drawn from, in batches
_AUTO_STARTS = {"k-means++": 1, "random": 3}


@dataclass(frozen=True)
class Config:
    """Mini-batch K-means; how many clusters is the pipeline's to say.

    Attributes:
        init: ``k-means++`` or ``random``.
        n_init: starts, of which the best on a few batches goes on.
        max_iter: passes over the rows at most.
        batch_size: rows of a step.
        tol: ends when a step's summed squared moves of the centres fall to ``tol`` times the columns' mean variance; 0: never.
        max_no_improvement: ends after this many steps without a lower smoothed SSE; ``None``: never.
    """

    init: Literal["k-means++", "random"] = "k-means++"
    n_init: int = 3
    max_iter: int = 100
    batch_size: int = 1024
    tol: float = 0.0
    max_no_improvement: int | None = 10


@dataclass(frozen=True)
class RunningMeans:
    """Centres as the means of all rows that were assigned to them.

    Attributes:
        centres_kd: float64.
        mass_k: weight of those rows, float64.
    """

    centres_kd: Tensor
    mass_k: Tensor

    @staticmethod
    def of(centres_kd: Tensor) -> RunningMeans:
        """Begin with centres that have no rows yet."""
        centres_kd = centres_kd.double()
        return RunningMeans(centres_kd, torch.zeros_like(centres_kd[:, 0]))


def minibatch_step(batch: HeldRows, means: RunningMeans) -> tuple[RunningMeans, Tensor]:
    """Assign a batch and move the centres; nothing here makes the host wait.

    Args:
        batch: some rows.
        means: the centres so far.

    Returns:
        The new centres, and the weighted SSE () of the batch about the old ones, float64.
    """
    outcome = lloyd_round(batch, means.centres_kd.to(batch.x_nd.dtype)[None], break_ties=True)
    sum_kd, mass_k = outcome.sum_rkd[0], outcome.mass_rk[0]
    sse = batch.total - 2 * (means.centres_kd * sum_kd).sum() + mass_k @ means.centres_kd.square().sum(1)
    seen_k = means.mass_k + mass_k
    # Added to the mean so far, not computed anew from the sums: a centre without rows stays where it is.
    move_kd = (sum_kd - mass_k[:, None] * means.centres_kd) / torch.where(seen_k > 0, seen_k, 1.0)[:, None]
    return RunningMeans(means.centres_kd + move_kd, seen_k), sse.clamp(min=0)


class MiniBatchKMeans(CentreClustering):
    """K-means by steps on small random batches: near Lloyd's result after a few passes, and by ``partial_fit`` on a stream.

    Args:
        n_clusters: k.
        init: ``k-means++``, ``random``, or the first centres (k, d).
        max_iter: passes over the rows at most.
        batch_size: rows of a step, drawn with replacement.
        tol: ends when a step's summed squared moves of the centres fall to ``tol`` times the columns' mean variance; 0: never.
        max_no_improvement: ends after this many steps without a lower smoothed SSE; ``None``: never.
        n_init: starts, drawn from three batches, of which the best there goes on; ``auto`` is 1 for k-means++ and 3 for random.
        device: ``auto`` takes CUDA when there is a card.
        random_state: an integer makes the result repeatable bit for bit.

    Attributes:
        cluster_centers_: (k, d), in X's dtype.
        labels_: (n,) int32, of the rows last fitted.
        inertia_: their SSE, the weighted sum of squared distances to the nearest centre.
        total_error_: its square root (paper A, eq. 2.9).
        history_: after ``fit``, total error of all rows as each step's batches let it guess, smoothed; the last one is exact.
        counts_: (k,) weight of the rows that each centre is the mean of.
        n_steps_: steps, ``partial_fit``'s too.
        n_iter_: passes over the rows of the last ``fit``, the last one perhaps in part.
        n_features_in_, feature_names_in_: the fitted columns.
    """

    _means: RunningMeans

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        init: str | np.ndarray = "k-means++",
        max_iter: int = 100,
        batch_size: int = 1024,
        tol: float = 0.0,
        max_no_improvement: int | None = 10,
        n_init: int | str = "auto",
        device: str | torch.device = "auto",
        random_state: int | np.random.Generator | np.random.RandomState | None = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.init = init
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.tol = tol
        self.max_no_improvement = max_no_improvement
        self.n_init = n_init
        self.device = device
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Find the centres, whatever was fitted before.

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
        rows, generator = self._begin(X, weight)
        tolerance = self.tol * float(X.var(axis=0, dtype=np.float64).mean()) if self.tol else -1.0
        batch_size = min(self.batch_size, len(X))
        n_steps = math.ceil(self.max_iter * len(X) / batch_size)
        smoothing = min(1.0, 2 * batch_size / (len(X) + 1))
        errors: list[float] = []
        lowest, idle = math.inf, 0
        while len(errors) < n_steps and idle != self.max_no_improvement:
            row_b = torch.randint(len(X), (batch_size,), generator=generator).to(rows.x_nd.device)
            batch = HeldRows(rows.x_nd[row_b], rows.weight_n[row_b])
            means, sse = minibatch_step(batch, self._means)
            shift = (means.centres_kd - self._means.centres_kd).square().sum()
            sse, shift = torch.stack([sse, shift]).tolist()
            self._means = means
            guess = sse * len(X) / batch_size
            errors.append(guess if not errors else errors[-1] + smoothing * (guess - errors[-1]))
            if shift <= tolerance:
                break
            idle = 0 if errors[-1] < lowest else idle + 1
            lowest = min(lowest, errors[-1])
        self.n_steps_ = len(errors)
        self.n_iter_ = math.ceil(len(errors) * batch_size / len(X))
        self.counts_ = to_numpy(self._means.mass_k)
        self._keep(rows, self._means.centres_kd, [*errors, errors[-1]])
        return self

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Move the centres by one batch; the first batch also gives the first centres, unless there was a fit.

        Args:
            X: (b, d) numbers, as for ``fit``.
            y: ignored.
            sample_weight: (b,) weights, 1 by default.

        Raises:
            InputError: as ``fit``; only the first batch needs as many distinct rows as clusters.
        """
        del y
        self._check_arguments()
        first = not hasattr(self, "cluster_centers_")
        X = check_rows(X, estimator=self, reset=first)
        weight = check_weight(sample_weight, X)
        if first:
            rows, _ = self._begin(X, weight)
            self.n_steps_ = 0
        else:
            rows = self._held(X, weight)
        self._means, _ = minibatch_step(rows, self._means)
        self.n_steps_ += 1
        self.counts_ = to_numpy(self._means.mass_k)
        self.cluster_centers_ = self._uncentred(self._means.centres_kd).astype(X.dtype)
        centres_kd = self._shown_centres()
        label_n = nearest_centre(rows.x_nd, centres_kd)
        self.labels_ = to_numpy(label_n).astype(np.int32)
        self.inertia_ = sum_of_squares(rows, centres_kd, label_n)
        self.total_error_ = math.sqrt(self.inertia_)
        self._n_features_out = self.n_clusters
        return self

    def _begin(self, X: np.ndarray, weight: np.ndarray) -> tuple[HeldRows, torch.Generator]:
        """Choose first centres; return the rows about their mean and the generator of what else is drawn."""
        check_distinct(X[weight > 0], self.n_clusters)
        self._offset = X.mean(axis=0, dtype=np.float64)
        rows = self._held(X, weight)
        generator = torch_generator(seed_from(self.random_state))
        self._means = RunningMeans.of(self._first_centres(rows, generator))
        return rows, generator

    def _first_centres(self, rows: HeldRows, generator: torch.Generator) -> Tensor:
        if not isinstance(self.init, str):
            init = check_rows(self.init)
            if init.shape != (self.n_clusters, rows.n_columns):
                raise InputError(
                    f"init has shape {init.shape}; {(self.n_clusters, rows.n_columns)} centres are needed."
                )
            return self._centred(init.astype(np.float64))
        sample = _sample(rows, max(_SEEDING_BATCHES * self.batch_size, 3 * self.n_clusters), generator)
        n_starts = _AUTO_STARTS[self.init] if self.n_init == "auto" else int(self.n_init)
        start_rkd = SEEDINGS[self.init](sample.x_nd, sample.weight_n, self.n_clusters, n_starts, generator)
        return start_rkd[lloyd_round(sample, start_rkd, break_ties=True).sse_r.argmin()]

    def _check_arguments(self) -> None:
        if isinstance(self.init, str) and self.init not in SEEDINGS:
            raise InputError(f"init='{self.init}' is not possible; use 'k-means++', 'random' or centres (k, d).")
        whole = ["n_clusters", "max_iter", "batch_size"]
        whole += ["n_init"] * (self.n_init != "auto") + ["max_no_improvement"] * (self.max_no_improvement is not None)
        check_whole(self, *whole)
        if not (isinstance(self.tol, Real) and 0 <= self.tol < math.inf):
            raise InputError(f"tol={self.tol!r} is not possible; use a number from 0 on.")


def _sample(rows: HeldRows, m: int, generator: torch.Generator) -> HeldRows:
    """Return m different rows with their weights, those of weight 0 last; all rows if there are no more."""
    if rows.n_rows <= m:
        return rows
    key_n = torch.rand(rows.n_rows, generator=generator, dtype=torch.float64).to(rows.weight_n.device)
    row_m = torch.topk(torch.where(rows.weight_n > 0, key_n, -1.0), m).indices
    return HeldRows(rows.x_nd[row_m], rows.weight_n[row_m])


def build(config: Config) -> MiniBatchKMeans:
    """Make the estimator; the pipeline sets ``n_clusters``, ``device`` and ``random_state``."""
    return MiniBatchKMeans(
        init=config.init,
        n_init=config.n_init,
        max_iter=config.max_iter,
        batch_size=config.batch_size,
        tol=config.tol,
        max_no_improvement=config.max_no_improvement,
    )
