"""One round of Lloyd's for many starts at once: every row to its nearest centre, every centre to its rows' mean.

A round has no argmin. One product gives ``||c||^2 - 2 c x`` for all centres of all starts; the columns' minima, compared with
the product in place, give a mask of zeros and ones; the mask times the weighted rows gives each centre's sum in one more
product. The sum of squares follows from the sums, since the rows' sum of squared lengths is known: nothing else of n numbers is
written.

Shapes: n rows, d columns, k clusters, r starts, b rows of a block.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from marketnn.cluster.rows import Rows

_BLOCK_ROWS = 16_384  # of a pass that is not a round


@dataclass(frozen=True)
class Round:
    """The outcome of one round of r starts.

    Attributes:
        centres_rkd: the new centres; where a cluster is empty, the old one.
        sum_rkd: the weighted sum of each cluster's rows, float64.
        mass_rk: the weight of each cluster, float64.
        sse_r: weighted sum of squared distances of all rows to the new centre of their cluster, float64.
        shift_r: summed squared moves of the centres.
        hits_r: rows assigned; more than n where a row is equally near to several centres and was counted in each.
    """

    centres_rkd: Tensor
    sum_rkd: Tensor
    mass_rk: Tensor
    sse_r: Tensor
    shift_r: Tensor
    hits_r: Tensor

    @staticmethod
    def of(before_rkd: Tensor, sum_rkd: Tensor, mass_rk: Tensor, hits_r: Tensor, total: Tensor) -> Round:
        """Move the centres to the means.

        Args:
            before_rkd: the centres that the rows were assigned to.
            sum_rkd: weighted sums of the clusters' rows, float64.
            mass_rk: weights of the clusters, float64.
            hits_r: rows assigned.
            total: weighted sum of squared lengths of all rows, float64.
        """
        filled_rk1 = (mass_rk > 0)[..., None]
        mean_rkd = sum_rkd / torch.where(mass_rk > 0, mass_rk, 1.0)[..., None]
        centres_rkd = torch.where(filled_rk1, mean_rkd.to(before_rkd.dtype), before_rkd)
        shift_r = (centres_rkd - before_rkd).square().sum((1, 2), dtype=torch.float64)
        # Steiner: the sum of squares about the means is that about the origin less mass times squared mean.
        sse_r = total - (mean_rkd * sum_rkd).sum((1, 2))
        return Round(centres_rkd, sum_rkd, mass_rk, sse_r, shift_r, hits_r)


def lloyd_round(rows: Rows, centres_rkd: Tensor, *, break_ties: bool = False) -> Round:
    """Assign and move once; nothing here makes the host wait.

    Args:
        rows: the data.
        centres_rkd: centres of r starts.
        break_ties: give a row that is equally near to several centres to the first of them, instead of to each.
    """
    r, k, d = centres_rkd.shape
    relative = RelativeDistances(centres_rkd.view(r * k, d))
    sum_rkd = torch.zeros(r, k, d, dtype=torch.float64, device=centres_rkd.device)
    mass_rk, count_rk = sum_rkd.new_zeros(r, k), sum_rkd.new_zeros(r, k)
    for block in rows.blocks(r * k):
        distance_rkb = relative.to(block.x_db).view(r, k, -1)
        mask_rkb = torch.eq(distance_rkb, distance_rkb.amin(1, keepdim=True), out=distance_rkb)
        if break_ties:
            mask_rkb = mask_rkb * (mask_rkb.cumsum(1) == 1)
        sum_rkd += (mask_rkb.view(r * k, -1) @ block.weighted_db.T).view(r, k, d)
        hits_rk = mask_rkb.sum(2)
        count_rk += hits_rk
        mass_rk += hits_rk if block.weight_b is None else mask_rkb @ block.weight_b
    rows.processes.add_up(sum_rkd, mass_rk, count_rk)
    return Round.of(centres_rkd, sum_rkd, mass_rk, count_rk.sum(1), rows.total)


class RelativeDistances:
    """Squared distances to centres less the rows' own squared lengths, in memory that is used again for the next rows.

    Args:
        centres_kd: the centres, of all starts.
    """

    def __init__(self, centres_kd: Tensor) -> None:
        self._lines_kd = -2 * centres_kd
        self._squared_k1 = centres_kd.square().sum(1, keepdim=True)
        self._memory = centres_kd.new_empty(0)

    def to(self, x_db: Tensor) -> Tensor:
        """Return ``||c||^2 - 2 c x`` (k, b)."""
        k, b = len(self._lines_kd), x_db.shape[1]
        if self._memory.numel() < k * b:
            self._memory = x_db.new_empty(k * b)
        return torch.addmm(self._squared_k1, self._lines_kd, x_db, out=self._memory[: k * b].view(k, b))


def nearest_centre(x_nd: Tensor, centres_kd: Tensor) -> Tensor:
    """Return the index (n,) of each row's nearest centre, the first one on a tie."""
    k = len(centres_kd)
    relative = RelativeDistances(centres_kd)
    # The largest rank among the nearest centres is the first one's; several times faster than argmin.
    rank_k1 = torch.arange(k - 1, -1, -1, dtype=x_nd.dtype, device=x_nd.device)[:, None]
    label = []
    for x_bd in x_nd.split(_BLOCK_ROWS):
        distance_kb = relative.to(x_bd.T)
        mask_kb = torch.eq(distance_kb, distance_kb.amin(0), out=distance_kb)
        label.append(k - 1 - mask_kb.mul_(rank_k1).amax(0).long())
    return torch.cat(label)


def squared_distances(x_nd: Tensor, centres_kd: Tensor, labels_n: Tensor) -> Tensor:
    """Return each row's squared distance (n,) to its centre in float64, from differences and not from expanded squares."""
    pairs, centres_kd = zip(x_nd.split(_BLOCK_ROWS), labels_n.split(_BLOCK_ROWS), strict=True), centres_kd.double()
    return torch.cat([centres_kd.index_select(0, label).sub_(x).square_().sum(1) for x, label in pairs])
