"""Empty clusters take the rows farthest from their centres, as scikit-learn's do.

Shapes: d columns, k clusters, r starts, b rows of a block, m rows taken.
"""

from __future__ import annotations

import torch
from torch import Tensor

from marketnn.cluster.assignment import Round, nearest_centre, squared_distances
from marketnn.cluster.rows import Rows


def relocate_empty(rows: Rows, before_rkd: Tensor, outcome: Round) -> Round:
    """Give every empty cluster the row that lies farthest from its centre; that row leaves its own cluster.

    Rare, so it works start by start and asks the device as often as it likes.

    Args:
        rows: the data.
        before_rkd: the centres that the rows were assigned to.
        outcome: of the round, ties broken.
    """
    sum_rkd, mass_rk = outcome.sum_rkd.clone(), outcome.mass_rk.clone()
    for start, mass_k in enumerate(mass_rk):
        empty = torch.nonzero(mass_k <= 0)[:, 0].tolist()
        if not empty:
            continue
        row_md, weight_m, label_m = _farthest(rows, before_rkd[start], len(empty))
        for cluster, row_d, weight, label in zip(empty, row_md, weight_m, label_m.tolist(), strict=False):
            if float(mass_k[label] - weight) <= 0:
                continue
            sum_rkd[start, label] -= weight * row_d
            sum_rkd[start, cluster] = weight * row_d
            mass_k[label] -= weight
            mass_k[cluster] = weight
    return Round.of(before_rkd, sum_rkd, mass_rk, outcome.hits_r, rows.total)


def _farthest(rows: Rows, centres_kd: Tensor, m: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the m rows (m, d) farthest from their nearest centres, farthest first, their weights and labels (m,), float64."""
    best: list[Tensor] = []
    for block in rows.blocks(len(centres_kd)):
        x_bd = block.x_db.T
        weight_b = torch.ones_like(x_bd[:, 0]) if block.weight_b is None else block.weight_b
        label_b = nearest_centre(x_bd, centres_kd)
        distance_b = squared_distances(x_bd, centres_kd, label_b) * (weight_b > 0)
        found = [distance_b, x_bd.double(), weight_b.double(), label_b]
        found = [torch.cat(pair) for pair in zip(best, found, strict=True)] if best else found
        best = _first(found, m)
    best = _first([rows.processes.gather(part) for part in best], m)
    return best[1], best[2], best[3]


def _first(found: list[Tensor], m: int) -> list[Tensor]:
    """Return the m rows of largest distance, which is the first part of each."""
    place_m = torch.topk(found[0], min(m, len(found[0]))).indices
    return [part[place_m] for part in found]
