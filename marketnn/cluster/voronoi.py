"""The alternating k-medoids: give every row to its nearest medoid, make each cluster's most central row its medoid, repeat.

It is Lloyd's round with medoids in place of means (Park and Jun 2009, doi:10.1016/j.eswa.2008.01.039); cheaper per round than
swaps and it ends higher. Only distances within clusters are needed, block by block, so the n x n matrix need not exist.

Shapes: n rows, k medoids, b rows of a block.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Distances = Callable[[Tensor, Tensor | slice], Tensor]
"""Row numbers (m,), and column numbers (b,) or a slice of all rows, to their distances (m, b)."""

_BLOCK_ELEMENTS = 2**17  # of the distances held at a time: what fits in a core's cache


@dataclass(frozen=True)
class Alternation:
    """Where the rounds ended.

    Attributes:
        medoids_k: row numbers.
        n_rounds: rounds taken, the last of which lowered nothing unless ``max_rounds`` was reached.
        history: sum of distances to the nearest medoid, of the start and after every round that lowered it.
        path: the medoids at each entry of the history.
    """

    medoids_k: Tensor
    n_rounds: int
    history: list[float]
    path: list[list[int]]


def alternate(distances: Distances, n: int, medoids_k: Tensor, *, max_rounds: int = 300) -> Alternation:
    """Assign and move until a round no longer lowers the sum of distances.

    Args:
        distances: looks up or computes blocks of distances.
        n: number of rows.
        medoids_k: the rows to start from.
        max_rounds: rounds at most.
    """
    label_n, distance_n = nearest_medoid(distances, n, medoids_k)
    history = [float(distance_n.sum(dtype=torch.float64))]
    path = [medoids_k.tolist()]
    n_rounds = 0
    while n_rounds < max_rounds:
        n_rounds += 1
        moved_k = central_rows(distances, label_n, medoids_k)
        label_n, distance_n = nearest_medoid(distances, n, moved_k)
        loss = float(distance_n.sum(dtype=torch.float64))
        if loss >= history[-1]:
            break
        medoids_k = moved_k
        history.append(loss)
        path.append(medoids_k.tolist())
    return Alternation(medoids_k, n_rounds, history, path)


def nearest_medoid(distances: Distances, n: int, medoids_k: Tensor) -> tuple[Tensor, Tensor]:
    """Return each row's nearest medoid's place (n,), int32, the first on a tie, and its distance (n,).

    The host does not wait.
    """
    k = len(medoids_k)
    b = _block_rows(k)
    # Minima down the columns of (k, b) run over whole vectors; the place among short rows of (b, k) is found one by one.
    rank_k1 = torch.arange(k, 0, -1, dtype=torch.int32, device=medoids_k.device)[:, None]
    labels, nearest = [], []
    for start in range(0, n, b):
        distance_kb = distances(medoids_k, slice(start, start + b))
        nearest_b = distance_kb.amin(0)
        labels.append(k - ((distance_kb == nearest_b) * rank_k1).amax(0))
        nearest.append(nearest_b)
    return torch.cat(labels), torch.cat(nearest)


def central_rows(distances: Distances, label_n: Tensor, medoids_k: Tensor) -> Tensor:
    """Return the row (k,) of each cluster with the least sum of distances to the cluster; an empty one keeps its medoid."""
    k = len(medoids_k)
    sizes = torch.bincount(label_n, minlength=k).tolist()
    members = torch.argsort(label_n, stable=True).split(sizes)
    central = []
    for member_m, medoid in zip(members, medoids_k, strict=True):
        blocks = member_m.split(_block_rows(len(member_m)))
        sums = [distances(row_b, member_m).sum(1, dtype=torch.float64) for row_b in blocks]
        central.append(member_m[torch.cat(sums).argmin()] if len(member_m) else medoid)
    return torch.stack(central)


def _block_rows(columns: int) -> int:
    return max(_BLOCK_ELEMENTS // max(columns, 1), 1)
