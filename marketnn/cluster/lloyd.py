"""Lloyd's rounds for many starts at once: assign every row to its nearest centre, move every centre to its rows' mean.

A round has no argmin. With a row of ones below X^T, one product gives ``||c||^2 - 2 c x`` for all centres of all starts; the
columns' minima, compared with the product in place, give a mask of zeros and ones; the mask times ``[w x, w, 1]`` gives each
centre's weighted sum, weight and number of rows in one more product. Above ``MASK_LIMIT`` centres adding rows to their centres
one by one is cheaper than that second product.

Shapes: n rows, d columns, k clusters, r starts, b rows of a block.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

MASK_LIMIT = 32
_BLOCK_ELEMENTS = 2**16  # of the (r k, b) product: what fits in a core's cache
_BLOCK_ROWS = (256, 16_384)


@dataclass(frozen=True)
class Rows:
    """The data as a round needs them.

    Attributes:
        x_nd: centred rows.
        weight_n: their weights.
        total: weighted sum of squared lengths of the rows, float64.
        columns: per block, X^T over a row of ones, (d+1, b).
        weighted: per block, ``[w x, w, 1]``, (b, d+2).
        weights: per block, (b,).
    """

    x_nd: Tensor
    weight_n: Tensor
    total: Tensor
    columns: Sequence[Tensor]
    weighted: Sequence[Tensor]
    weights: Sequence[Tensor]

    @staticmethod
    def of(x_nd: Tensor, weight_n: Tensor, n_centres: int) -> Rows:
        """Lay out rows for rounds with ``n_centres`` centres, all starts counted."""
        low, high = _BLOCK_ROWS
        size = min(max(_BLOCK_ELEMENTS // n_centres, low), high)
        one_n1 = torch.ones_like(x_nd[:, :1])
        columns = [torch.cat([x, one], dim=1).T.contiguous() for x, one in _blocks(size, x_nd, one_n1)]
        weighted = torch.cat([x_nd * weight_n[:, None], weight_n[:, None], one_n1], dim=1).split(size)
        total = torch.stack(
            [(w * x.square().sum(1)).sum(dtype=torch.float64) for x, w in _blocks(size, x_nd, weight_n)]
        ).sum()
        return Rows(x_nd, weight_n, total, columns, weighted, weight_n.split(size))


@dataclass(frozen=True)
class Round:
    """The outcome of one round of r starts.

    Attributes:
        centres_rkd: the new centres; where a cluster is empty, the old one.
        mass_rk: the weight of each cluster, float64.
        sse_r: weighted sum of squared distances of all rows to the new centre of their cluster, float64.
        shift_r: summed squared moves of the centres.
        hits_r: rows assigned; more than n where a row is equally near to several centres and was counted in each.
    """

    centres_rkd: Tensor
    mass_rk: Tensor
    sse_r: Tensor
    shift_r: Tensor
    hits_r: Tensor


@dataclass(frozen=True)
class LloydResult:
    """Where r starts ended.

    Attributes:
        centres_rkd: final centres.
        n_rounds: (r,) rounds taken.
        history: (rounds, r) SSE after each round; rounds a start no longer took repeat its last value.
        converged: (r,) whether the centres stopped moving before ``max_rounds``.
    """

    centres_rkd: Tensor
    n_rounds: list[int]
    history: list[list[float]]
    converged: list[bool]


def lloyd(rows: Rows, start_rkd: Tensor, *, max_rounds: int, tolerance: float) -> LloydResult:
    """Iterate every start until its centres move by no more than ``tolerance``; the host waits once per round.

    Args:
        rows: the data.
        start_rkd: first centres.
        max_rounds: rounds at most.
        tolerance: bound on the summed squared moves of a start's centres.
    """
    n_starts, n_rows = len(start_rkd), len(rows.x_nd)
    final: list[Tensor] = list(start_rkd.unbind())
    n_rounds, converged = [0] * n_starts, [False] * n_starts
    history: list[list[float]] = []
    active, centres_rkd = list(range(n_starts)), start_rkd
    while active and len(history) < max_rounds:
        result = lloyd_round(rows, centres_rkd)
        sse, shift, mass, hits = _on_host(result)
        tied, empty = max(hits) > n_rows, min(mass) <= 0
        if tied:
            result = lloyd_round(rows, centres_rkd, break_ties=True)
        if tied or empty:
            result = _relocate_empty(rows, centres_rkd, result)
            sse, shift, _, _ = _on_host(result)
        errors = list(history[-1]) if history else [0.0] * n_starts
        for place, start in enumerate(active):
            errors[start] = max(sse[place], 0.0)
            n_rounds[start] += 1
            converged[start] = shift[place] <= tolerance
            final[start] = result.centres_rkd[place]
        history.append(errors)
        still = [place for place, start in enumerate(active) if not converged[start]]
        centres_rkd = result.centres_rkd
        if len(still) < len(active):
            active = [active[place] for place in still]
            centres_rkd = centres_rkd.index_select(0, torch.tensor(still, dtype=torch.int64, device=centres_rkd.device))
    return LloydResult(torch.stack(final), n_rounds, history, converged)


def lloyd_round(rows: Rows, centres_rkd: Tensor, *, break_ties: bool = False) -> Round:
    """Assign and move once; nothing here makes the host wait.

    Args:
        rows: the data.
        centres_rkd: centres of r starts.
        break_ties: give a row that is equally near to several centres to the first of them, instead of to each.
    """
    r, k, d = centres_rkd.shape
    lines = torch.cat([-2 * centres_rkd, centres_rkd.square().sum(2, keepdim=True)], dim=2).reshape(r * k, d + 1)
    moments = torch.zeros(r * k, d + 2, dtype=torch.float64, device=lines.device)
    sse_r = rows.total.expand(r).clone()
    assign = _assign_by_mask if k <= MASK_LIMIT else _assign_by_index
    scratch = torch.empty(r * k * rows.columns[0].shape[1], dtype=lines.dtype, device=lines.device)
    for columns, weighted, weight_b in zip(rows.columns, rows.weighted, rows.weights, strict=True):
        b = len(weighted)
        distance_rkb = torch.mm(lines, columns, out=scratch[: r * k * b].view(r * k, b)).view(r, k, b)
        block_moments, nearest_rb = assign(distance_rkb, weighted, break_ties)
        moments += block_moments
        sse_r += nearest_rb @ weight_b
    moments = moments.view(r, k, d + 2)
    mass_rk = moments[..., d]
    mean_rkd = moments[..., :d] / torch.where(mass_rk > 0, mass_rk, 1.0)[..., None]
    moved_rkd = torch.where(mass_rk[..., None] > 0, mean_rkd.to(centres_rkd.dtype), centres_rkd)
    shift_rk = (moved_rkd - centres_rkd).square().sum(2, dtype=torch.float64)
    # Steiner: the sum of squares about the old centre exceeds that about the mean by mass x squared move.
    sse_r = sse_r - (mass_rk * shift_rk).sum(1)
    return Round(moved_rkd, mass_rk, sse_r, shift_rk.sum(1), moments[..., d + 1].sum(1))


def nearest_centre(x_nd: Tensor, centres_kd: Tensor, block_rows: int = 16_384) -> Tensor:
    """Return the index (n,) of each row's nearest centre, the first one on a tie."""
    squared_k = centres_kd.square().sum(1)
    return torch.cat([torch.addmm(squared_k, x, centres_kd.T, alpha=-2).argmin(1) for x in x_nd.split(block_rows)])


def squared_distances(x_nd: Tensor, centres_kd: Tensor, labels_n: Tensor, block_rows: int = 16_384) -> Tensor:
    """Return each row's squared distance (n,) to its centre in float64, from differences and not from expanded squares."""
    return torch.cat(
        [(x.double() - centres_kd[label].double()).square().sum(1) for x, label in _blocks(block_rows, x_nd, labels_n)]
    )


def _on_host(result: Round) -> list[list[float]]:
    """Bring a round's SSE, shift, least mass and hits to the host in one transfer; a list of r each."""
    return torch.stack([result.sse_r, result.shift_r, result.mass_rk.amin(1), result.hits_r]).tolist()


def _blocks(size: int, *tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    return zip(*(tensor.split(size) for tensor in tensors), strict=True)


def _assign_by_mask(distance_rkb: Tensor, weighted: Tensor, break_ties: bool) -> tuple[Tensor, Tensor]:
    """Return the block's moments (r k, d+2) and least distances (r, b); the distances are overwritten."""
    r, k, b = distance_rkb.shape
    nearest_r1b = distance_rkb.amin(1, keepdim=True)
    mask_rkb = torch.eq(distance_rkb, nearest_r1b, out=distance_rkb)
    if break_ties:
        mask_rkb = mask_rkb * (mask_rkb.cumsum(1) == 1)
    return mask_rkb.view(r * k, b) @ weighted, nearest_r1b[:, 0]


def _assign_by_index(distance_rkb: Tensor, weighted: Tensor, break_ties: bool) -> tuple[Tensor, Tensor]:
    """Do the same by labels; an argmin gives every row one, so there are no ties to break."""
    del break_ties
    r, k, _ = distance_rkb.shape
    nearest_rb, label_rb = distance_rkb.min(1)
    place = (label_rb + k * torch.arange(r, device=label_rb.device)[:, None]).flatten()
    moments = torch.zeros(r * k, weighted.shape[1], dtype=torch.float64, device=weighted.device)
    return moments.index_add_(0, place, weighted.double().repeat(r, 1)), nearest_rb


def _relocate_empty(rows: Rows, before_rkd: Tensor, result: Round) -> Round:
    """Give every empty cluster the row that lies farthest from its centre, as scikit-learn does.

    That row leaves its own cluster, whose mean is corrected. Rare, so it works start by start.
    """
    centres_rkd, mass_rk, sse_r = result.centres_rkd.clone(), result.mass_rk.clone(), result.sse_r.clone()
    for start in range(len(centres_rkd)):
        empty = torch.nonzero(mass_rk[start] <= 0)[:, 0]
        if len(empty) == 0:
            continue
        label_n = nearest_centre(rows.x_nd, before_rkd[start])
        distance_n = squared_distances(rows.x_nd, before_rkd[start], label_n) * (rows.weight_n > 0)
        farthest = torch.topk(distance_n, min(len(empty), len(distance_n))).indices
        for cluster, row in zip(empty.tolist(), farthest.tolist(), strict=False):
            donor, weight = int(label_n[row]), rows.weight_n[row].double()
            left = mass_rk[start, donor] - weight
            if float(left) <= 0:
                continue
            total = centres_rkd[start, donor].double() * mass_rk[start, donor] - rows.x_nd[row].double() * weight
            centres_rkd[start, donor] = (total / left).to(centres_rkd.dtype)
            centres_rkd[start, cluster] = rows.x_nd[row]
            mass_rk[start, donor], mass_rk[start, cluster] = left, weight
            label_n[row] = cluster
        sse_r[start] = squared_distances(rows.x_nd, centres_rkd[start], label_n) @ rows.weight_n.double()
    shift_r = (centres_rkd - before_rkd).square().sum((1, 2), dtype=torch.float64)
    return replace(result, centres_rkd=centres_rkd, mass_rk=mass_rk, sse_r=sse_r, shift_r=shift_r)
