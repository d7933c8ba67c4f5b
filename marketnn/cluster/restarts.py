"""Many starts of K-means: all of them on all rows, or, on large tables, all on a sample and the best few on all rows.

Shapes: n rows, d columns, k clusters, r starts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from marketnn.cluster.lloyd import LloydResult, lloyd
from marketnn.cluster.rows import HeldRows

Seeding = Callable[[Tensor, Tensor, int, int, torch.Generator], Tensor]

_SAMPLE = 4_096  # rows at least
_SAMPLE_PER_CENTRE = 64
_POLISHED = 5
_WORTHWHILE = 4  # a table this many times the sample, and this many times the polished starts


@dataclass(frozen=True)
class Starts:
    """How K-means begins.

    Attributes:
        seeding: draws first centres (r, k, d) of rows.
        n_starts: how many.
        max_rounds, tolerance: of ``lloyd``.
    """

    seeding: Seeding
    n_starts: int
    max_rounds: int
    tolerance: float


def best_of(rows: HeldRows, k: int, starts: Starts, generator: torch.Generator) -> LloydResult:
    """Run the starts; ``best`` of the result is the one to keep.

    On a table that is large against ``max(4,096, 64 k)`` rows, with at least 20 starts, every start runs on a sample of that
    size and the five best different ends go on on all rows: nearly always the same best sum of squares at a fraction of the
    work. Otherwise every start runs on all rows.
    """
    size = max(_SAMPLE, _SAMPLE_PER_CENTRE * k)
    if starts.n_starts < _WORTHWHILE * _POLISHED or rows.n_rows < _WORTHWHILE * size:
        start_rkd = starts.seeding(rows.x_nd, rows.weight_n, k, starts.n_starts, generator)
        return lloyd(rows, start_rkd, max_rounds=starts.max_rounds, tolerance=starts.tolerance)
    # Rows are drawn by weight, so the sample is of equal weights.
    drawn = torch.rand(size, generator=generator, dtype=torch.float64).to(rows.weight_n.device)
    cumulative_n = rows.weight_n.cumsum(0, dtype=torch.float64)
    row = torch.searchsorted(cumulative_n, drawn * cumulative_n[-1], right=True).clamp(max=rows.n_rows - 1)
    sample = HeldRows(rows.x_nd[row])
    start_rkd = starts.seeding(sample.x_nd, sample.weight_n, k, starts.n_starts, generator)
    ends = lloyd(sample, start_rkd, max_rounds=starts.max_rounds, tolerance=starts.tolerance)
    return lloyd(rows, _best_different(ends), max_rounds=starts.max_rounds, tolerance=starts.tolerance)


def _best_different(ends: LloydResult) -> Tensor:
    """Return the centres of the best few ends of different sums of squares: equal sums are the same end, found again."""
    chosen: list[int] = []
    for start in sorted(range(len(ends.history)), key=lambda start: ends.history[start][-1]):
        sse = ends.history[start][-1]
        if not chosen or sse > ends.history[chosen[-1]][-1] * (1 + 1e-6):
            chosen.append(start)
        if len(chosen) == _POLISHED:
            break
    return ends.centres_rkd[torch.tensor(chosen, device=ends.centres_rkd.device)]
