"""(max,+) convolution: the best division of whole units among channels, for many problems side by side.

    (f * g)(t) = max over s of f(s) + g(t - s)

Channels are joined in a balanced tree, and the root of the tree is needed at one number of units only. Tables hold
values and no decisions: the way back down asks each table for one number of units, which costs L sums and not L^2.

Shapes: B problems, K channels, L numbers of units 0 .. L-1. Tables are (L, B), so that every shift of one is
contiguous.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class _Join:
    """A channel, or the best of two groups of channels."""

    table_lb: Tensor
    parts: tuple[_Join, _Join] | None = None


def convolve(first_lb: Tensor, second_lb: Tensor) -> Tensor:
    """Return the (max,+) convolution (L, B) of two tables, up to L - 1 units.

    Shift by shift: two passes over tables that stay in cache, half as many sums as all pairs of units.
    """
    n_levels = len(first_lb)
    joined_lb = first_lb[0] + second_lb
    shifted_lb = torch.empty_like(joined_lb)
    for units in range(1, n_levels):
        part = shifted_lb[: n_levels - units]
        torch.add(second_lb[: n_levels - units], first_lb[units], out=part)
        torch.maximum(joined_lb[units:], part, out=joined_lb[units:])
    return joined_lb


def allocate_levels(reward_bkl: Tensor, *, spend_all: bool = False) -> tuple[Tensor, Tensor]:
    """Divide L - 1 units among channels so that the sum of rewards is largest.

    Args:
        reward_bkl: what each number of units 0 .. L-1 brings; ``-inf`` where it is not allowed.
        spend_all: use all L - 1 units; otherwise at most so many.

    Returns:
        The best sums (B,), ``-inf`` where no division is allowed, and the units (B, K) that reach them.
    """
    _, n_channels, n_levels = reward_bkl.shape
    joins = [_Join(table_lb) for table_lb in reward_bkl.permute(1, 2, 0).contiguous()]
    if n_channels == 1:
        nothing_lb = torch.full_like(joins[0].table_lb, -math.inf)
        nothing_lb[0] = 0
        joins.append(_Join(nothing_lb))
    while len(joins) > 2:
        pairs = list(zip(joins[::2], joins[1::2], strict=False))
        joins = [_Join(convolve(a.table_lb, b.table_lb), (a, b)) for a, b in pairs] + joins[2 * len(pairs) :]

    first, second = joins
    last_lb, reached_lb = second.table_lb, None
    if not spend_all:
        last_lb, reached_lb = second.table_lb.cummax(dim=0)
    value_b, units_b = (first.table_lb + last_lb.flip(0)).max(dim=0)
    rest_b = n_levels - 1 - units_b
    if reached_lb is not None:
        rest_b = reached_lb.gather(0, rest_b[None])[0]
    levels = [*_descend(first, units_b), *_descend(second, rest_b)]
    return value_b, torch.stack(levels[:n_channels], dim=1)


def _descend(join: _Join, units_b: Tensor) -> list[Tensor]:
    """Return the units (B,) of every channel below a join that has ``units_b`` to divide, in the channels' order."""
    if join.parts is None:
        return [units_b]
    first, second = join.parts
    level_l1 = torch.arange(len(join.table_lb), device=units_b.device)[:, None]
    rest_lb = units_b - level_l1
    sum_lb = first.table_lb + second.table_lb.gather(0, rest_lb.clamp(min=0))
    chosen_b = torch.where(rest_lb >= 0, sum_lb, -math.inf).argmax(dim=0)
    return [*_descend(first, chosen_b), *_descend(second, units_b - chosen_b)]
