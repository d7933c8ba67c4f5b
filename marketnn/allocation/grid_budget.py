"""Budgets for curves of any shape: dynamic programming on a grid, then the exact division among the channels it opens.

The grid decides which channels are worth having, which no local method can. ``polish`` then forgets the grid: the
channels beyond their inflections are concave there, so that one price divides what they spend exactly.

Shapes: N problems, K channels, L levels.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from marketnn.allocation.concave_budget import Curves, PricedSpend, net_value, price_directed
from marketnn.allocation.max_plus import allocate_levels

_ROUNDING = 1e-9  # of a step of the grid


def grid_spend(
    curves: Curves,
    budget_n: Tensor,
    lower_nk: Tensor,
    upper_nk: Tensor,
    fixed_cost_k: Tensor,
    *,
    levels: int,
    spend_all: bool = False,
) -> tuple[Tensor, Tensor]:
    """Return the best spends (N, K) among multiples of a step beyond the lower bounds, and their values (N,).

    The step is what the lower bounds leave of a budget, in ``levels - 1`` parts. Where no multiples keep all bounds the
    value is ``-inf``.
    """
    step_n = (budget_n - lower_nk.sum(-1)) / (levels - 1)
    units_l = torch.arange(levels, dtype=budget_n.dtype, device=budget_n.device)
    spend_lnk = lower_nk + units_l[:, None, None] * step_n[:, None]
    allowed_lnk = spend_lnk <= upper_nk + _ROUNDING * step_n[:, None]
    value_lnk = net_value(curves, fixed_cost_k, spend_lnk)
    reward_lnk = torch.where(allowed_lnk, value_lnk, -math.inf)
    value_n, units_nk = allocate_levels(reward_lnk.permute(1, 2, 0), spend_all=spend_all)
    return torch.minimum(lower_nk + units_nk * step_n[:, None], upper_nk), value_n


def polish(
    curves: Curves,
    budget_n: Tensor,
    lower_nk: Tensor,
    upper_nk: Tensor,
    fixed_cost_k: Tensor,
    spend_nk: Tensor,
    *,
    spend_all: bool = False,
    near_n: Tensor | None = None,
) -> PricedSpend:
    """Return the best spends near given ones: exact among the channels beyond their inflections.

    Channels below their inflections stay as they are, or fall to their lower bounds; at most one of them can be worth
    its spend, since two such would do better to shift money between them. The bounds returned are those of the narrower
    problem.
    """
    inflection_nk = curves.inflection.expand_as(spend_nk)
    concave_nk = spend_nk > inflection_nk
    narrow_lower_nk = torch.where(concave_nk, torch.maximum(lower_nk, inflection_nk), spend_nk)
    dropped_lower_nk = torch.where(concave_nk, narrow_lower_nk, lower_nk)
    ways = [
        price_directed(
            curves,
            budget_n,
            way_lower_nk,
            torch.where(concave_nk, upper_nk, way_lower_nk),
            fixed_cost_k,
            spend_all=spend_all,
            near_n=near_n,
        )
        for way_lower_nk in (narrow_lower_nk, dropped_lower_nk)
    ]
    first, second = ways
    better_n = first.value_n >= second.value_n
    return PricedSpend(
        spend_nk=torch.where(better_n[:, None], first.spend_nk, second.spend_nk),
        value_n=torch.where(better_n, first.value_n, second.value_n),
        bound_n=torch.where(better_n, first.bound_n, second.bound_n),
        price_n=torch.where(better_n, first.price_n, second.price_n),
        loss_nk=torch.where(better_n[:, None], first.loss_nk, second.loss_nk),
    )
