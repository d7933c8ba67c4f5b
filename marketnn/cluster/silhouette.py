"""How much nearer rows lie to their own cluster than to the next one (Rousseeuw 1987), from all pairs or from centres.

``s = (b - a) / max(a, b)`` with ``a`` the mean distance to the other rows of the own cluster and ``b`` the least mean distance to
another cluster; 0 for a row that is alone in its cluster.

Shapes: n rows, d columns, k clusters.
"""

from __future__ import annotations

import torch
from torch import Tensor

from marketnn.cluster.assignment import squared_distances
from marketnn.cluster.pair_tiles import by_cluster, pair_tiles
from marketnn.errors import InputError


def silhouette(x_nd: Tensor, label_n: Tensor) -> float:
    """Return the mean silhouette of all rows; arguments and errors as ``silhouette_samples``."""
    return float(silhouette_samples(x_nd, label_n).mean())


def silhouette_samples(x_nd: Tensor, label_n: Tensor) -> Tensor:
    """Return the silhouette (n,) of every row, float64, from all pairs but without holding them: memory grows with n.

    Args:
        x_nd: floating-point rows; in float32, rows closer than about 1/3000 of their cluster's radius seem that far apart.
        label_n: whole numbers.

    Raises:
        InputError: fewer than 2 clusters, or as many clusters as rows.
    """
    order_n, sizes = by_cluster(label_n)
    k, n = len(sizes), len(x_nd)
    if not 2 <= k < n:
        raise InputError(f"{k} clusters of {n} rows have no silhouette; 2 to {n - 1} clusters are needed.")
    own_n = torch.zeros(n, dtype=torch.float64, device=x_nd.device)
    other_n = torch.full_like(own_n, torch.inf)
    sum_n = torch.zeros_like(own_n)
    for tile in pair_tiles(x_nd[order_n], sizes):
        sum_n += tile.distance_rn.sum(0)
        if tile.last:
            start, end = tile.cluster.start, tile.cluster.stop
            own_n[start:end] = sum_n[start:end] / max(end - start - 1, 1)
            sum_n[start:end] = torch.inf
            torch.minimum(other_n, sum_n / (end - start), out=other_n)
            sum_n.zero_()
    alone_n = torch.tensor(sizes, device=x_nd.device).repeat_interleave(torch.tensor(sizes, device=x_nd.device)) == 1
    value_n = _compare(own_n, other_n).masked_fill(alone_n, 0.0)
    return torch.empty_like(value_n).index_copy_(0, order_n, value_n)


def simplified_silhouette(x_nd: Tensor, label_n: Tensor, centres_kd: Tensor) -> float:
    """Return the mean silhouette with distances to centres in place of mean distances to rows (Hruschka et al. 2004).

    Args:
        x_nd: rows.
        label_n: the place in ``centres_kd`` of each row's own centre.
        centres_kd: at least 2.
    """
    squared_nk = _squared_to_all(x_nd, centres_kd)
    own_n1 = squared_nk.gather(1, label_n[:, None].long())
    other_n = squared_nk.scatter(1, label_n[:, None].long(), torch.inf).amin(1)
    return float(_compare(own_n1[:, 0].sqrt(), other_n.sqrt()).mean())


def medoid_silhouette(x_nd: Tensor, medoids_kd: Tensor) -> float:
    """Return the mean of ``1 - d1 / d2``, distances to the nearest and the second medoid (Lenssen and Schubert 2022).

    Args:
        x_nd: rows.
        medoids_kd: at least 2; where two of them are the row itself, it counts 0.
    """
    nearest_n2 = _squared_to_all(x_nd, medoids_kd).topk(2, dim=1, largest=False).values.sqrt()
    return float(_compare(nearest_n2[:, 0], nearest_n2[:, 1]).mean())


def _compare(own_n: Tensor, other_n: Tensor) -> Tensor:
    """Return ``(b - a) / max(a, b)``, 0 where both are 0."""
    larger_n = torch.maximum(own_n, other_n)
    return (other_n - own_n) / torch.where(larger_n > 0, larger_n, 1.0)


def _squared_to_all(x_nd: Tensor, centres_kd: Tensor) -> Tensor:
    """Return squared distances (n, k) from differences, float64."""
    one_n = torch.zeros(len(x_nd), dtype=torch.int64, device=x_nd.device)
    return torch.stack([squared_distances(x_nd, centre_d[None], one_n) for centre_d in centres_kd], dim=1)
