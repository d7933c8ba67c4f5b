"""A proof for curves of any shape: branch and bound over boxes of spends, many boxes at a time.

The dual price of a box bounds all spends in it. Where it is not tight, a channel would jump over a convex stretch of
its curve; the box is cut at that channel's spend, and in each half the stretch is shorter. One budget couples the
channels, so that seldom more than one of them jumps and few boxes are needed.

Channels that are alike could swap their spends, and every box would have as many twins. Some optimum has their spends
in falling order, so that only such spends are searched: a bound on one channel bounds those before or after it.

Shapes: N boxes, K channels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from marketnn.allocation.concave_budget import Curves, price_directed
from marketnn.allocation.grid_budget import grid_spend, polish

_BOXES = 16  # cut at a time
_PROBES = 64  # spends at which channels are compared
_EDGE = 0.05  # of a box's side: a cut is no nearer to its ends


@dataclass(frozen=True)
class ProvedSpend:
    """The best spend found and what is proved of all others.

    Attributes:
        spend_k: within bounds and budget.
        value: what it brings, less fixed costs.
        bound: no spend brings more.
        proved: whether the bound came within the tolerance before the boxes ran out.
    """

    spend_k: Tensor
    value: float
    bound: float
    proved: bool


def branch_and_bound(
    curves: Curves,
    budget: float,
    lower_k: Tensor,
    upper_k: Tensor,
    fixed_cost_k: Tensor,
    *,
    levels: int,
    spend_all: bool = False,
    tolerance: float = 1e-6,
    max_boxes: int = 5_000,
) -> ProvedSpend:
    """Divide one budget among curves that are convex up to their inflections and concave beyond.

    Args:
        curves, budget, lower_k, upper_k, fixed_cost_k, spend_all: as for ``price_directed``.
        levels: of the grid that finds the first spend.
        tolerance: how far, relative to the value, the bound may stay above it.
        max_boxes: bounded before the search ends without proof.
    """
    budget_n = torch.full_like(lower_k[:1], budget)
    bounds = (lower_k[None], upper_k[None], fixed_cost_k)
    root = price_directed(curves, budget_n, *bounds, spend_all=spend_all)
    price_n = root.price_n.abs().clamp(min=torch.finfo(budget_n.dtype).tiny)
    gridded_nk, _ = grid_spend(curves, budget_n, *bounds, levels=levels, spend_all=spend_all)
    spend_k, value = _best_near(
        torch.cat([root.spend_nk, gridded_nk]), curves, budget_n, bounds, price_n, spend_all=spend_all
    )
    if float(root.value_n) > value:
        spend_k, value = root.spend_nk[0], float(root.value_n)

    groups = _alike(curves, budget, lower_k, upper_k, fixed_cost_k)
    open_boxes = _Boxes(*bounds[:2], root.spend_nk, root.loss_nk, root.bound_n)
    closed_bound, n_boxes = -math.inf, 1
    while True:
        closed_n = open_boxes.bound_n <= value + tolerance * abs(value)
        closed_bound = max([closed_bound, *open_boxes.bound_n[closed_n].tolist()])
        open_boxes = open_boxes.at(~closed_n)
        if not len(open_boxes.bound_n) or n_boxes >= max_boxes:
            break
        order_n = open_boxes.bound_n.argsort(descending=True)
        worst, others = open_boxes.at(order_n[:_BOXES]), open_boxes.at(order_n[_BOXES:])
        halves = _ordered(*_cut(worst), groups)
        n_halves = len(halves[0])
        found = price_directed(
            curves,
            budget_n.expand(n_halves),
            *halves,
            fixed_cost_k,
            spend_all=spend_all,
            near_n=price_n.expand(n_halves),
        )
        n_boxes += n_halves
        best_n = found.value_n.argmax(dim=0, keepdim=True)
        if float(found.value_n[best_n]) > value:
            spend_k, value = found.spend_nk[best_n][0], float(found.value_n[best_n])
            near_k, near_value = _best_near(spend_k[None], curves, budget_n, bounds, price_n, spend_all=spend_all)
            if near_value > value:
                spend_k, value = near_k, near_value
        # A half is bounded no worse than the whole.
        bound_n = torch.minimum(found.bound_n, worst.bound_n.repeat(2))
        open_boxes = others.joined(_Boxes(*halves, found.spend_nk, found.loss_nk, bound_n))
    bound = max([closed_bound, value, *open_boxes.bound_n.tolist()])
    return ProvedSpend(spend_k, value, bound, bound <= value + tolerance * abs(value))


def _best_near(
    spend_nk: Tensor,
    curves: Curves,
    budget_n: Tensor,
    bounds: tuple[Tensor, Tensor, Tensor],
    price_n: Tensor,
    *,
    spend_all: bool,
) -> tuple[Tensor, float]:
    """Polish spends (N, K); return the best (K,) and its value."""
    lower_1k, upper_1k, fixed_cost_k = bounds
    n, channels = spend_nk.shape
    polished = polish(
        curves,
        budget_n.expand(n),
        lower_1k.expand(n, channels),
        upper_1k.expand(n, channels),
        fixed_cost_k,
        spend_nk,
        spend_all=spend_all,
        near_n=price_n.expand(n),
    )
    best_n = polished.value_n.argmax(dim=0, keepdim=True)
    return polished.spend_nk[best_n][0], float(polished.value_n[best_n])


@dataclass(frozen=True)
class _Boxes:
    """Boxes of spends, and the answer to the dual price in each."""

    lower_nk: Tensor
    upper_nk: Tensor
    spend_nk: Tensor
    loss_nk: Tensor
    bound_n: Tensor

    def at(self, index_n: Tensor) -> _Boxes:
        return _Boxes(*(getattr(self, field.name)[index_n] for field in fields(self)))

    def joined(self, other: _Boxes) -> _Boxes:
        return _Boxes(*(torch.cat([getattr(self, f.name), getattr(other, f.name)]) for f in fields(self)))


def _cut(boxes: _Boxes) -> tuple[Tensor, Tensor]:
    """Return the bounds (2N, K) of the halves of boxes, cut at the channel that loses most by its spend."""
    channel_n1 = boxes.loss_nk.argmax(dim=1, keepdim=True)
    low_n1, high_n1 = boxes.lower_nk.gather(1, channel_n1), boxes.upper_nk.gather(1, channel_n1)
    edge_n1 = _EDGE * (high_n1 - low_n1)
    at_n1 = boxes.spend_nk.gather(1, channel_n1)
    at_n1 = torch.minimum(torch.maximum(at_n1, low_n1 + edge_n1), high_n1 - edge_n1)
    return (
        torch.cat([boxes.lower_nk, boxes.lower_nk.scatter(1, channel_n1, at_n1)]),
        torch.cat([boxes.upper_nk.scatter(1, channel_n1, at_n1), boxes.upper_nk]),
    )


def _alike(curves: Curves, budget: float, lower_k: Tensor, upper_k: Tensor, fixed_cost_k: Tensor) -> list[Tensor]:
    """Return the groups of channels with the same bounds, costs and responses, bit for bit, at many spends."""
    probe_p1 = torch.linspace(0, budget, _PROBES, dtype=lower_k.dtype, device=lower_k.device)[:, None]
    response_pk = curves(probe_p1.expand(-1, len(lower_k)))
    key_kp = torch.cat([response_pk, torch.stack([lower_k, upper_k, fixed_cost_k])]).T.tolist()
    groups: dict[tuple[float, ...], list[int]] = {}
    for channel, key in enumerate(key_kp):
        groups.setdefault(tuple(key), []).append(channel)
    return [torch.tensor(group, device=lower_k.device) for group in groups.values() if len(group) > 1]


def _ordered(lower_nk: Tensor, upper_nk: Tensor, groups: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Return boxes without the spends that rise from one channel to the next of its group."""
    for group in groups:
        later_ng = lower_nk.index_select(1, group).flip(1).cummax(dim=1).values.flip(1)
        earlier_ng = upper_nk.index_select(1, group).cummin(dim=1).values
        lower_nk, upper_nk = lower_nk.index_copy(1, group, later_ng), upper_nk.index_copy(1, group, earlier_ng)
    return lower_nk, upper_nk
