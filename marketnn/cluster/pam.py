"""Partitioning around medoids: choose k candidates so that the columns' distances to the nearest of them sum to the least.

BUILD (Kaufman and Rousseeuw 1990, ch. 2) takes the candidates one after the other, each the one that lowers the loss most.
The swaps are FasterPAM's (Schubert and Rousseeuw 2021, doi:10.1016/j.is.2021.101804), made eager by blocks: for a block of
candidates the change of the loss by every swap of one of them with one of the k medoids is found at once, the best is made
if it lowers the loss, and the next block follows, until a whole pass finds no swap. With d1 and d2 the distances to the
nearest and second nearest medoid, taking candidate c for medoid m changes the loss by

    sum_j [min(D_cj, d1_j) - d1_j]  +  sum_{j nearest to m} [clamp(D_cj, d1_j, d2_j) - d1_j]:

two elementwise passes over the block and one product with the k x n mask of nearest medoids. S problems of one size run
side by side.

Shapes: s problems, c candidates, n columns, k medoids, b candidates of a block. PAM proper has c = n.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

_BLOCK_ELEMENTS = 2**18  # of the (s, b, n) distances: what fits in a core's cache
_BLOCK_ROWS = 16  # at least


@dataclass(frozen=True)
class Nearest:
    """What the swaps need to know about s sets of medoids.

    Attributes:
        first_sn: distance to the nearest medoid.
        second_sn: distance to the second nearest, infinite for k = 1.
        mask_skn: 1 where the medoid is the nearest; a column between two has both, and no swap's change counts it then.
        held_sk: sum of ``first_sn`` over all columns and once more over those of each medoid.
    """

    first_sn: Tensor
    second_sn: Tensor
    mask_skn: Tensor
    held_sk: Tensor

    @staticmethod
    def of(distance_scn: Tensor, medoids_sk: Tensor) -> Nearest:
        """Find each column's nearest medoids."""
        s, c, n = distance_scn.shape
        problem_s1 = torch.arange(s, device=distance_scn.device)[:, None]
        rows_skn = (
            distance_scn.reshape(s * c, n).index_select(0, (problem_s1 * c + medoids_sk).flatten()).view(s, -1, n)
        )
        first_sn = rows_skn.amin(1)
        is_nearest_skn = rows_skn == first_sn[:, None]
        beyond_sn = rows_skn.masked_fill(is_nearest_skn, math.inf).amin(1)
        second_sn = torch.where(is_nearest_skn.sum(1) > 1, first_sn, beyond_sn)
        mask_skn = is_nearest_skn.to(rows_skn.dtype)
        held_sk = (mask_skn @ first_sn[:, :, None])[:, :, 0] + first_sn.sum(1, keepdim=True)
        return Nearest(first_sn, second_sn, mask_skn, held_sk)


@dataclass(frozen=True)
class Swaps:
    """Where the swaps of s problems ended.

    Attributes:
        medoids_sk: the candidates chosen.
        n_passes: passes over the candidates, the last of which found no swap unless ``max_passes`` was reached.
        history: per problem, the loss of the start and after each of its swaps.
        path: per problem, the medoids at each entry of its history.
    """

    medoids_sk: Tensor
    n_passes: int
    history: list[list[float]]
    path: list[list[list[int]]]


def build(distance_scn: Tensor, k: int) -> Tensor:
    """Return BUILD's medoids (s, k); nothing here makes the host wait.

    Args:
        distance_scn: distances from the candidates to the columns.
        k: medoids, at most c.
    """
    s, c, n = distance_scn.shape
    medoids: list[Tensor] = []
    taken_sc = torch.zeros(s, c, dtype=torch.bool, device=distance_scn.device)
    problem_s = torch.arange(s, device=distance_scn.device)
    nearest_sn = distance_scn.amax(1)
    for _ in range(k):
        blocks = distance_scn.split(_block_rows(s, n), dim=1)
        loss_sc = torch.cat([torch.minimum(block, nearest_sn[:, None]).sum(2) for block in blocks], dim=1)
        chosen_s = loss_sc.masked_fill(taken_sc, math.inf).argmin(1)
        taken_sc = taken_sc.scatter(1, chosen_s[:, None], True)
        nearest_sn = torch.minimum(nearest_sn, distance_scn[problem_s, chosen_s])
        medoids.append(chosen_s)
    return torch.stack(medoids, dim=1)


def swap(distance_scn: Tensor, medoids_sk: Tensor, *, max_passes: int = 300) -> Swaps:
    """Swap medoids for better candidates until no single swap lowers the loss; the host waits once per block.

    A swap must lower the loss by more than a sum of n terms is rounded, so the swaps come to an end.

    Args:
        distance_scn: distances from the candidates to the columns.
        medoids_sk: the candidates to start from.
        max_passes: passes over the candidates at most.
    """
    s, _, n = distance_scn.shape
    tolerance = math.sqrt(n) * torch.finfo(distance_scn.dtype).eps
    blocks = distance_scn.split(_block_rows(s, n), dim=1)
    medoids = medoids_sk.tolist()
    nearest = Nearest.of(distance_scn, medoids_sk)
    history = [[loss] for loss in _losses(nearest)]
    path = [[list(chosen)] for chosen in medoids]
    n_seen = n_idle = 0
    while n_idle < len(blocks) and n_seen < max_passes * len(blocks):
        turn = n_seen % len(blocks)
        best = swap_changes(blocks[turn], nearest).flatten(1).min(1)
        changes, places = best.values.tolist(), best.indices.tolist()
        improved = [p for p in range(s) if changes[p] < -tolerance * history[p][-1]]
        for problem in improved:
            medoid, candidate = divmod(places[problem], blocks[turn].shape[1])
            medoids[problem][medoid] = turn * blocks[0].shape[1] + candidate
        if improved:
            nearest = Nearest.of(distance_scn, torch.tensor(medoids, device=distance_scn.device))
            losses = _losses(nearest)
            for problem in improved:
                history[problem].append(losses[problem])
                path[problem].append(list(medoids[problem]))
        n_idle = 0 if improved else n_idle + 1
        n_seen += 1
    return Swaps(torch.tensor(medoids, device=distance_scn.device), math.ceil(n_seen / len(blocks)), history, path)


def swap_changes(block_sbn: Tensor, nearest: Nearest) -> Tensor:
    """Return the change of the loss (s, k, b) by every swap of a medoid with a candidate; the host does not wait.

    Args:
        block_sbn: distances from the candidates to the columns.
        nearest: what the medoids are to the columns.
    """
    first_s1n, second_s1n = nearest.first_sn[:, None], nearest.second_sn[:, None]
    lowered_sb = torch.minimum(block_sbn, first_s1n).sum(2)
    clamped_sbn = torch.clamp(block_sbn, first_s1n, second_s1n)
    return torch.baddbmm(lowered_sb[:, None] - nearest.held_sk[:, :, None], nearest.mask_skn, clamped_sbn.mT)


def _losses(nearest: Nearest) -> list[float]:
    return nearest.first_sn.sum(1, dtype=torch.float64).tolist()


def _block_rows(s: int, n: int) -> int:
    return max(_BLOCK_ELEMENTS // (s * n), _BLOCK_ROWS)
