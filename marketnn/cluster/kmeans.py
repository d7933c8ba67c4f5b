"""K-means as a scikit-learn estimator over torch kernels (paper A, eq. 2.9 and section 3.2; paper B, section II.A)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch

from marketnn.cluster.centres import CentreClustering, check_choice, check_whole, mean_row
from marketnn.cluster.checks import check_distinct, check_rows, check_weight
from marketnn.cluster.lloyd import LloydResult, lloyd
from marketnn.cluster.random_swap import random_swap
from marketnn.cluster.restarts import Starts, best_of
from marketnn.cluster.rows import HeldRows
from marketnn.cluster.seeding import greedy_kmeans_plus_plus, random_rows
from marketnn.cluster.streaming import HeldTable, Source, StreamedRows, survey
from marketnn.data.parquet import ParquetNumbers
from marketnn.errors import InputError
from marketnn.processes import Processes
from marketnn.seed import child_seed, seed_from, torch_generator

SEEDINGS = {"k-means++": greedy_kmeans_plus_plus, "random": random_rows}
REFINEMENTS = ("lloyd", "swap")
_AUTO_STARTS = {"k-means++": 1, "random": 10}


@dataclass(frozen=True)
class Config:
    """K-means; how many clusters is the pipeline's to say.

    Attributes:
        init: ``k-means++`` or ``random``.
        n_init: starts, of which the best is kept.
        max_iter: rounds per start at most.
        tol: a start ends when the summed squared moves of its centres fall to ``tol`` times the columns' mean variance.
        refine: ``lloyd``, or ``swap``: on to the lowest SSE that random swaps reach.
    """

    init: Literal["k-means++", "random"] = "k-means++"
    n_init: int = 20
    max_iter: int = 300
    tol: float = 0.0
    refine: Literal["lloyd", "swap"] = "lloyd"


class KMeans(CentreClustering):
    """Lloyd's K-means with all starts computed side by side.

    Labels are the nearest centre's, the first one on a tie. An empty cluster takes the row farthest from its centre. On tables
    large against ``max(4,096, 64 k)`` rows, 20 starts or more run on a sample of that size and the five best go on on all rows.

    Args:
        n_clusters: k.
        init: ``k-means++``, ``random``, or the first centres (k, d), which are a single start.
        n_init: starts, of which the one with the lowest SSE is kept; ``auto`` is 1 for k-means++ and 10 for random.
        max_iter: rounds per start at most.
        tol: a start ends when the summed squared moves of its centres fall to ``tol`` times the columns' mean variance.
        refine: ``lloyd``, or ``swap``, which goes on from Lloyd's end by random swaps of centres to the lowest SSE they find.
        device: ``auto`` takes CUDA when there is a card.
        random_state: an integer makes the result repeatable bit for bit.

    Attributes:
        cluster_centers_: (k, d), in X's dtype.
        labels_: (n,) int32.
        inertia_: SSE, the weighted sum of squared distances to the nearest centre.
        total_error_: its square root (paper A, eq. 2.9).
        history_: total error after each round, and after each swap that lowered it.
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
        refine: str = "lloyd",
        device: str | torch.device = "auto",
        random_state: int | np.random.Generator | np.random.RandomState | None = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.refine = refine
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
        check_distinct(X if sample_weight is None else X[weight > 0], self.n_clusters)
        # Rounded to X's dtype, so that X about it is one subtraction without conversions.
        self._offset = mean_row(X).astype(X.dtype)
        rows = self._held(X, weight)
        variance = float(rows.x_nd.square().mean(dtype=torch.float64)) if self.tol > 0 else 0.0
        result = self._search(rows, self.tol * variance)
        self.n_iter_ = result.n_rounds[result.best]
        self._keep(rows, result.centres_rkd[result.best], result.history[result.best])
        return self

    def fit_parquet(
        self,
        path: str | Path | Sequence[str | Path],
        columns: Sequence[str] | None = None,
        *,
        process_group: Any = None,
    ) -> Self:
        """Find the centres of rows that need not fit into memory: every round reads them anew.

        Starts, swaps too, run on a uniform sample of some 2 million numbers; Lloyd's rounds go on from the best end on all
        rows, and ``n_iter_`` and ``history_`` are theirs. First centres that are given go on all rows at once. Memory holds the
        sample, a few blocks, and ``labels_``, 4 bytes a row.

        Args:
            path: a Parquet file, or several with the same columns.
            columns: which columns, numbers all; ``None`` is every one.
            process_group: a ``torch.distributed`` group whose processes name other files of one table each, which then is
                that of the files in order of rank. All find the same centres; ``labels_`` are those of a process's own rows.

        Raises:
            InputError: as ``fit``; a file that is not Parquet; a column that is not there, holds no numbers, or has a value
                that is missing or not finite; shares of other columns.
        """
        self._check_arguments()
        source = ParquetNumbers(path, columns)
        self.n_features_in_, self.feature_names_in_ = len(source.columns), np.array(source.columns, dtype=object)
        return self._fit_source(source, Processes(process_group))

    def fit_shard(self, X: Any, y: Any = None, *, process_group: Any) -> Self:
        """Find the centres of the rows of all processes of a group, as ``fit_parquet`` does for files.

        Args:
            X: (n, d) this process's rows, numbers; float32 stays float32, everything else becomes float64.
            y: ignored.
            process_group: a ``torch.distributed`` group; pass all its processes the same settings.

        Raises:
            InputError: as ``fit``; shares of other columns.
        """
        del y
        self._check_arguments()
        return self._fit_source(HeldTable(check_rows(X, estimator=self)), Processes(process_group))

    def _fit_source(self, source: Source, processes: Processes) -> Self:
        """Find the centres of a table that is read anew in every round."""
        own_seed = torch.tensor([child_seed(seed_from(self.random_state), "sample")])
        generator = torch_generator(int(processes.gather(own_seed)[0]))
        found = survey(source, self.n_clusters, generator, processes)
        self._offset = found.offset_d
        tolerance = self.tol * found.total / (found.n_rows * self.n_features_in_)
        sample = HeldRows(self._centred(found.sample_md))
        if isinstance(self.init, str) or self.refine == "swap":
            begun = self._search(sample, tolerance)
            start_1kd = begun.centres_rkd[begun.best][None]
        else:
            start_1kd = self._given_centres(sample)
        # All go on from the first one's start: others may have rounded, or without a seed drawn, differently.
        start_1kd = processes.gather(start_1kd)[:1]
        rows = StreamedRows(source, found, start_1kd.device, processes)
        self._keep_streamed(rows, lloyd(rows, start_1kd, max_rounds=self.max_iter, tolerance=tolerance), source.dtype)
        return self

    def _keep_streamed(self, rows: StreamedRows, result: LloydResult, dtype: np.dtype) -> None:
        """Set the attributes of a fit."""
        self.n_iter_ = result.n_rounds[0]
        self.cluster_centers_ = self._uncentred(result.centres_rkd[0]).astype(dtype)
        labels, inertia = rows.labelled(self._centred(self.cluster_centers_))
        self._keep_labels(labels, inertia, result.history[0], rows.processes)

    def _search(self, rows: HeldRows, tolerance: float) -> LloydResult:
        """Run all starts, and the swaps on the best of them if they are wanted."""
        seed = seed_from(self.random_state)
        if isinstance(self.init, str):
            n_starts = _AUTO_STARTS[self.init] if self.n_init == "auto" else int(self.n_init)
            starts = Starts(SEEDINGS[self.init], n_starts, self.max_iter, tolerance)
            result = best_of(rows, self.n_clusters, starts, torch_generator(seed))
        else:
            result = lloyd(rows, self._given_centres(rows), max_rounds=self.max_iter, tolerance=tolerance)
        if self.refine == "swap":
            return random_swap(rows, result, torch_generator(child_seed(seed, "swap")), max_rounds=self.max_iter)
        return result

    def _given_centres(self, rows: HeldRows) -> torch.Tensor:
        """Return the centres (1, k, d) to begin with, centred."""
        init = check_rows(self.init)
        if init.shape != (self.n_clusters, rows.n_columns):
            raise InputError(f"init has shape {init.shape}; {(self.n_clusters, rows.n_columns)} centres are needed.")
        return self._centred(init.astype(np.float64))[None].to(rows.x_nd.dtype)

    def _check_arguments(self) -> None:
        if isinstance(self.init, str) and self.init not in SEEDINGS:
            raise InputError(f"init='{self.init}' is not possible; use 'k-means++', 'random' or centres (k, d).")
        if self.n_init != "auto" and not (isinstance(self.n_init, (int, np.integer)) and self.n_init >= 1):
            raise InputError(f"n_init={self.n_init!r} is not possible; use 'auto' or a whole number above 0.")
        check_whole(self, "n_clusters", "max_iter")
        check_choice(self, "refine", REFINEMENTS)
        if not (isinstance(self.tol, Real) and 0 <= self.tol < math.inf):
            raise InputError(f"tol={self.tol!r} is not possible; use a number from 0 on.")


def build(config: Config) -> KMeans:
    """Make the estimator; the pipeline sets ``n_clusters``, ``device`` and ``random_state``."""
    return KMeans(
        init=config.init, n_init=config.n_init, max_iter=config.max_iter, tol=config.tol, refine=config.refine
    )
