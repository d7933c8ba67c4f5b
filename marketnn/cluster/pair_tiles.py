"""Distances between all pairs of rows, in tiles that fit a cache: some rows of one cluster against all rows.

Shapes: n rows sorted by cluster, d columns, r rows of a tile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch
from torch import Tensor

_TILE_ELEMENTS = 2**19


@dataclass(frozen=True)
class Tile:
    """Distances of some rows of one cluster to all rows.

    Attributes:
        cluster: the place of the rows of the whole cluster.
        last: whether the cluster has no rows after these.
        distance_rn: Euclidean; its memory is used again for the next tile.
    """

    cluster: slice
    last: bool
    distance_rn: Tensor


def by_cluster(label_n: Tensor) -> tuple[Tensor, list[int]]:
    """Return the rows' order (n,) that puts clusters side by side, and the clusters' sizes; the host waits once."""
    order_n = torch.argsort(label_n, stable=True)
    _, sizes = torch.unique_consecutive(label_n[order_n], return_counts=True)
    return order_n, sizes.tolist()


def pair_tiles(x_nd: Tensor, sizes: Sequence[int]) -> Iterator[Tile]:
    """Go through the clusters and each one's rows.

    For its turn a cluster's mean is the origin, so that the expanded squares ``|x|^2 - 2 x y + |y|^2`` keep small distances
    within it also in float32. A row is at distance 0 from itself.

    Args:
        x_nd: rows, those of a cluster side by side.
        sizes: rows of each cluster.
    """
    n = len(x_nd)
    height = max(1, _TILE_ELEMENTS // n)
    scratch = torch.empty(height, n, dtype=x_nd.dtype, device=x_nd.device)
    for start, end in pairwise([0, *accumulate(sizes)]):
        moved_nd = x_nd - x_nd[start:end].mean(0)
        squared_n1 = moved_nd.square().sum(1, keepdim=True)
        one_n1 = torch.ones_like(squared_n1)
        left = torch.cat([-2 * moved_nd[start:end], squared_n1[start:end], one_n1[start:end]], dim=1)
        right = torch.cat([moved_nd, one_n1, squared_n1], dim=1).T.contiguous()
        for first in range(start, end, height):
            stop = min(first + height, end)
            distance_rn = torch.mm(left[first - start : stop - start], right, out=scratch[: stop - first])
            distance_rn.clamp_(min=0).sqrt_().diagonal(first).zero_()
            yield Tile(slice(start, end), stop == end, distance_rn)
