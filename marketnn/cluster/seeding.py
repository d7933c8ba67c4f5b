"""First centres for r starts at once: random rows, or k-means++ with several candidates per centre (greedy).

All random numbers are drawn on the CPU before anything else, so every device sees the same ones and the host never waits.

Shapes: n rows, d columns, k clusters, r starts, t candidates per centre.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_STARTS_ELEMENTS = 2**24  # of the (r, t, n) distances held at a time


def random_rows(x_nd: Tensor, weight_n: Tensor, k: int, n_starts: int, generator: torch.Generator) -> Tensor:
    """Return k different rows per start (r, k, d), drawn in proportion to their weights."""
    picked = []
    for _ in range(n_starts):
        # The k smallest of independent exponentials with rates w are a draw without replacement in proportion to w.
        wait_n = torch.rand(len(x_nd), generator=generator, dtype=torch.float64).to(x_nd.device).log().neg() / weight_n
        picked.append(torch.topk(wait_n, k, largest=False).indices)
    return x_nd[torch.stack(picked)]


def greedy_kmeans_plus_plus(
    x_nd: Tensor, weight_n: Tensor, k: int, n_starts: int, generator: torch.Generator
) -> Tensor:
    """Return r k-means++ seedings (r, k, d) (Arthur and Vassilvitskii 2007), each centre the best of ``2 + log k`` candidates.

    A candidate is drawn in proportion to its weighted squared distance to the nearest centre so far.
    """
    t = 2 + int(math.log(k))
    first_r = torch.rand(n_starts, generator=generator, dtype=torch.float64).to(x_nd.device)
    later_rkt = torch.rand(n_starts, k - 1, t, generator=generator, dtype=torch.float64).to(x_nd.device)
    size = max(1, _STARTS_ELEMENTS // (t * len(x_nd)))
    groups = zip(first_r.split(size), later_rkt.split(size), strict=True)
    return torch.cat([_seed_group(x_nd, weight_n, first, later) for first, later in groups])


def _seed_group(x_nd: Tensor, weight_n: Tensor, first_r: Tensor, later_rkt: Tensor) -> Tensor:
    squared_n = x_nd.square().sum(1)
    weight64_n = weight_n.double()
    first = _draw(weight64_n.expand(len(first_r), -1), first_r[:, None])
    centres = [x_nd[first[:, 0]]]
    nearest_rn = _squared(x_nd, squared_n, centres[0][:, None])[:, 0]
    for u_rt in later_rkt.unbind(1):
        candidate_rtd = x_nd[_draw(nearest_rn * weight64_n, u_rt)]
        distance_rtn = torch.minimum(_squared(x_nd, squared_n, candidate_rtd), nearest_rn[:, None])
        best_r1 = (distance_rtn * weight_n).sum(2, dtype=torch.float64).argmin(1, keepdim=True)
        nearest_rn = distance_rtn.gather(1, best_r1[..., None].expand(-1, -1, len(x_nd)))[:, 0]
        centres.append(candidate_rtd.gather(1, best_r1[..., None].expand(-1, -1, x_nd.shape[1]))[:, 0])
    return torch.stack(centres, dim=1)


def _draw(mass_rn: Tensor, u_rt: Tensor) -> Tensor:
    """Return rows (r, t) drawn in proportion to ``mass``, from uniform numbers."""
    cumulative_rn = mass_rn.double().cumsum(1)
    place = torch.searchsorted(cumulative_rn, u_rt * cumulative_rn[:, -1:], right=True)
    return place.clamp(max=mass_rn.shape[1] - 1)


def _squared(x_nd: Tensor, squared_n: Tensor, centre_rtd: Tensor) -> Tensor:
    """Return squared distances (r, t, n) of all rows to the centres."""
    r, t, d = centre_rtd.shape
    flat = centre_rtd.reshape(r * t, d)
    distance = torch.addmm(flat.square().sum(1, keepdim=True), flat, x_nd.T, alpha=-2) + squared_n
    return distance.clamp(min=0).view(r, t, -1)
