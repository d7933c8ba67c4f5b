"""Random swaps (Fränti 2018, doi:10.1186/s40537-018-0122-y): the way on from where Lloyd's rounds rest.

A centre moves to a random row, a few of Lloyd's rounds follow, and what comes out better is kept. Lloyd's rounds alone never
carry a centre from a place where it is not needed to one where it is; a swap does, and enough of them find the lowest sum of
squares that anything is known to find.

Shapes: n rows, d columns, k clusters, r proposals.
"""

from __future__ import annotations

import torch

from marketnn.cluster.lloyd import LloydResult, lloyd
from marketnn.cluster.rows import HeldRows

_PROPOSALS = 32  # tried side by side
_ROUNDS = 3
_ROUNDING = 16  # units of it, of the rows' sum of squares: sums of squares that differ by less are the same end
_PATIENCE = 20  # batches without a better sum of squares, and as many for every four centres


def random_swap(rows: HeldRows, result: LloydResult, generator: torch.Generator, *, max_rounds: int) -> LloydResult:
    """Move centres until many batches of swaps in a row find nothing better.

    A batch moves a random centre of each of 32 copies to a random row, in proportion to the rows' weights; three rounds side by
    side tell which is best, and it goes on to its end if that is below the sum of squares so far.

    Args:
        rows: the data.
        result: of ``lloyd``; its best start is the one to improve.
        generator: of the proposals, which are drawn on the CPU.
        max_rounds: of each run to its end.

    Returns:
        One start: its centres, and the history of the start that was improved with the sum of squares of each better end.
    """
    best = result.best
    centres_kd, history, shifts = result.centres_rkd[best], list(result.history[best]), list(result.shifts[best])
    k = len(centres_kd)
    cumulative_n = rows.weight_n.cumsum(0, dtype=torch.float64)
    centre_k = torch.arange(k, device=centres_kd.device)
    rounding = _ROUNDING * torch.finfo(centres_kd.dtype).eps * float(rows.total)
    idle = 0
    while idle < _PATIENCE * (1 + k // 4):
        draw_2r = torch.rand(2, _PROPOSALS, generator=generator, dtype=torch.float64).to(centres_kd.device)
        row_r = torch.searchsorted(cumulative_n, draw_2r[0] * cumulative_n[-1], right=True).clamp(max=rows.n_rows - 1)
        moved_rk1 = (centre_k == (draw_2r[1] * k).long()[:, None])[..., None]
        proposals_rkd = torch.where(moved_rk1, rows.x_nd[row_r][:, None], centres_kd)
        tried = lloyd(rows, proposals_rkd, max_rounds=_ROUNDS, tolerance=0.0)
        idle += 1
        errors = [errors[-1] for errors in tried.history]
        if min(errors) >= history[-1] - rounding:
            continue
        # Proposals that come to the same end differ by rounding only: their order, not the precision, is to decide.
        first = next(place for place, sse in enumerate(errors) if sse <= min(errors) + rounding)
        ended = lloyd(rows, tried.centres_rkd[first][None], max_rounds=max_rounds, tolerance=0.0)
        # Sums of squares differ by rounding between a batch and a run alone: without this the search might go in circles.
        if ended.history[0][-1] < history[-1] - rounding:
            centres_kd, idle = ended.centres_rkd[0], 0
            history.append(ended.history[0][-1])
            shifts.append(ended.shifts[0][-1])
    return LloydResult(centres_kd[None], [result.n_rounds[best]], [history], [shifts], [True])
