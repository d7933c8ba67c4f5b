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
    # Products of a few candidates read columns twice as fast; of few columns this copy takes half the time of contiguous().
    x_dn = torch.stack(x_nd.unbind(1))
    squared_n = x_dn.square().sum(0)
    r, _, t = later_rkt.shape
    chosen_r = _draw(weight_n.expand(r, -1), first_r[:, None])[:, 0]
    chosen = [chosen_r]
    nearest_rn = _squared(x_dn, squared_n, x_nd[chosen_r])
    start_r = t * torch.arange(r, device=x_nd.device)
    for u_rt in later_rkt.unbind(1):
        candidate_rt = _draw(nearest_rn * weight_n, u_rt)
        distance_rtn = _squared(x_dn, squared_n, x_nd[candidate_rt.flatten()]).view(r, t, -1)
        torch.minimum(distance_rtn, nearest_rn[:, None], out=distance_rtn)
        # The sums are only compared with each other, for which X's dtype is exact enough.
        best_r = start_r + (distance_rtn @ weight_n).argmin(1)
        nearest_rn = distance_rtn.view(r * t, -1).index_select(0, best_r)
        chosen.append(candidate_rt.flatten().index_select(0, best_r))
    return x_nd[torch.stack(chosen, dim=1)]


def _draw(mass_rn: Tensor, u_rt: Tensor) -> Tensor:
    """Return rows (r, t) drawn in proportion to ``mass``, from uniform numbers."""
    cumulative_rn = mass_rn.cumsum(1, dtype=torch.float64)
    place = torch.searchsorted(cumulative_rn, u_rt * cumulative_rn[:, -1:], right=True)
    return place.clamp(max=mass_rn.shape[1] - 1)


def _squared(x_dn: Tensor, squared_n: Tensor, centre_cd: Tensor) -> Tensor:
    """Return squared distances (c, n) of all rows to centres."""
    distance = torch.addmm(squared_n, centre_cd, x_dn, alpha=-2)
    return distance.add_(centre_cd.square().sum(1, keepdim=True)).clamp_(min=0)
