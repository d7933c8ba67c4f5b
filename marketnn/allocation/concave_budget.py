"""One price for all channels: the Lagrangian dual of a budget, exact for concave curves and a bound for every other.

    maximise   sum_k f_k(x_k) - c_k [x_k > 0]    subject to   sum_k x_k <= budget (or =),   lower_k <= x_k <= upper_k

At a price each channel answers alone, and for every price p (>= 0 unless all must be spent)

    D(p) = p * budget + sum_k max over [lower_k, upper_k] of f_k(x) - c_k [x > 0] - p x

is an upper bound of the problem, concave or not (weak duality). What the channels demand falls as the price rises; the
search brackets the price at which they demand the budget, tries many prices at once, and divides what is left over in
proportion. Concave curves: the answer's gap falls with the square of the bracket. D is never above the Frank-Wolfe
bound ``f(x) + max over s of f'(x) (s - x)`` at the same price, since a concave curve lies below its tangent.

A curve that is convex up to its inflection and concave beyond is best at ``lower``, ``upper`` or where its falling
slope is the price; all curves of ``marketnn.allocation.curves`` are such.

Shapes: N problems (or boxes of one problem), K channels, P prices.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

_DECADES = 9  # of prices tried first, to either side of the mean response per unit
_NEAR_DECADES = 2  # to either side of a price that should be near
_RESOLUTION = 1e-7  # of the bracket that the first prices leave
_NEAR_RESOLUTION = 1e-3
_NUMBERS = 2**14  # answered at a time: fewer waste calls, more waste cache
_PRICES = (16, 128)
_ROUNDING = 1e-12  # of sums of spends and responses


class Curves(Protocol):
    """What the solvers ask of response curves: a ``CurveSet`` of K, or a ``ResponseCurve`` with parameters (N, K)."""

    def __call__(self, x: Tensor) -> Tensor:
        """The responses (..., K)."""

    def derivative(self, x: Tensor) -> Tensor:
        """What one more unit brings, (..., K)."""

    def inverse_derivative(self, price: Tensor) -> Tensor:
        """The largest spends whose last unit brings the price, (..., K)."""

    @property
    def inflection(self) -> Tensor:
        """Where the curves turn concave, (K,) or (N, K)."""


@dataclass(frozen=True)
class PricedSpend:
    """The answer of the channels to one price.

    Attributes:
        spend_nk: within bounds and budget.
        value_n: what it brings, less fixed costs; ``-inf`` where bounds contradict each other or the budget.
        bound_n: no spend brings more; ``-inf`` there too.
        price_n: the shadow price of the budget.
        loss_nk: what each channel's spend falls short of its best answer to that price; 0 for concave curves.
    """

    spend_nk: Tensor
    value_n: Tensor
    bound_n: Tensor
    price_n: Tensor
    loss_nk: Tensor


def net_value(curves: Curves, fixed_cost_k: Tensor, spend_nk: Tensor) -> Tensor:
    """Return the responses (..., K) less the fixed costs of the channels in use."""
    return curves(spend_nk) - torch.where(spend_nk > 0, fixed_cost_k, 0.0)


def price_directed(
    curves: Curves,
    budget_n: Tensor,
    lower_nk: Tensor,
    upper_nk: Tensor,
    fixed_cost_k: Tensor,
    *,
    spend_all: bool = False,
    near_n: Tensor | None = None,
) -> PricedSpend:
    """Divide budgets by one price each, with upper bounds.

    Args:
        curves: convex up to their inflections, concave beyond.
        budget_n: >= 0.
        lower_nk: >= 0.
        upper_nk: finite.
        fixed_cost_k: paid where spend is above 0.
        spend_all: spend exactly the budget, at a negative price if need be.
        near_n: prices > 0 near which the search may begin; it is shorter, and the bounds hold wherever they are.
    """
    slack_n = budget_n - lower_nk.sum(-1)
    given_upper_nk = upper_nk
    upper_nk = torch.minimum(upper_nk, lower_nk + slack_n.clamp(min=0)[:, None])
    lower_value_nk = net_value(curves, fixed_cost_k, lower_nk)

    def gain(price_pn: Tensor, spend_pnk: Tensor) -> Tensor:
        """What spends (P, N, K) bring beyond the lower bounds, less what they cost at the prices."""
        beyond_pnk = net_value(curves, fixed_cost_k, spend_pnk) - lower_value_nk
        return beyond_pnk - price_pn[:, :, None] * (spend_pnk - lower_nk)

    def answer(price_pn: Tensor) -> tuple[Tensor, Tensor]:
        """The channels' demands and what they gain by them, (P, N, K)."""
        price_pnk = price_pn[:, :, None].expand(*price_pn.shape, lower_nk.shape[-1])
        wanted_pnk = curves.inverse_derivative(price_pnk.clamp(min=torch.finfo(price_pnk.dtype).tiny))
        wanted_pnk = torch.where(price_pnk > 0, wanted_pnk, math.inf)
        wanted_pnk = torch.minimum(torch.maximum(wanted_pnk, lower_nk), upper_nk)
        gain_pnk = gain(price_pn, wanted_pnk)
        return torch.where(gain_pnk > 0, wanted_pnk, lower_nk), gain_pnk.clamp(min=0)

    fewest, most = _PRICES
    n_prices = min(max(_NUMBERS // lower_nk.numel(), fewest), most)
    resolution = _RESOLUTION if near_n is None else _NEAR_RESOLUTION
    rounds = math.ceil(-math.log(resolution) / math.log(n_prices - 1))
    price_pn = _ladder(curves, budget_n, upper_nk, near_n, n_prices, spend_all)
    between_p1 = torch.linspace(0, 1, n_prices, dtype=price_pn.dtype, device=price_pn.device)[:, None]
    surplus_n = torch.full_like(budget_n, math.inf)
    for step in range(rounds + 1):
        demand_pnk, gain_pnk = answer(price_pn)
        surplus_n = torch.minimum(surplus_n, (price_pn * slack_n + gain_pnk.sum(-1)).amin(0))
        # The first price at which no more than the budget is demanded; the one before it is too low.
        within_n = (demand_pnk.sum(-1) > budget_n).sum(0).clamp(max=len(price_pn) - 1)
        before_n = (within_n - 1).clamp(min=0)
        low_n, high_n = _pick(price_pn, before_n), _pick(price_pn, within_n)
        if step < rounds:
            price_pn = low_n + between_p1 * (high_n - low_n)

    few_nk, many_nk = _pick(demand_pnk, within_n), _pick(demand_pnk, before_n)
    few_nk = torch.where((few_nk.sum(-1) <= budget_n)[:, None], few_nk, lower_nk)
    if spend_all:
        many_nk = torch.where((many_nk.sum(-1) >= budget_n)[:, None], many_nk, upper_nk)
    missing_n, step_n = budget_n - few_nk.sum(-1), (many_nk - few_nk).sum(-1)
    share_n = torch.where(step_n > 0, missing_n / step_n, 0.0).clamp(0, 1)
    spend_nk = few_nk + share_n[:, None] * (many_nk - few_nk)

    possible_n = (slack_n >= -_ROUNDING * budget_n) & (lower_nk <= given_upper_nk).all(-1)
    if spend_all:
        possible_n &= upper_nk.sum(-1) >= budget_n * (1 - _ROUNDING)
    value_n = net_value(curves, fixed_cost_k, spend_nk).sum(-1)
    # The bound must hold for sums that round otherwise, too.
    rounding_n = _ROUNDING * (lower_value_nk.abs().sum(-1) + surplus_n.abs())
    bound_n = torch.maximum(lower_value_nk.sum(-1) + surplus_n + rounding_n, value_n)
    return PricedSpend(
        spend_nk=spend_nk,
        value_n=torch.where(possible_n, value_n, -math.inf),
        bound_n=torch.where(possible_n, bound_n, -math.inf),
        price_n=high_n,
        loss_nk=_pick(gain_pnk, within_n) - gain(high_n[None], spend_nk[None])[0],
    )


def _ladder(
    curves: Curves, budget_n: Tensor, upper_nk: Tensor, near_n: Tensor | None, n_prices: int, spend_all: bool
) -> Tensor:
    """Return the prices (P, N) to try first, rising."""
    centre_n, decades = near_n, _NEAR_DECADES
    if centre_n is None:
        centre_n, decades = curves(upper_nk).sum(-1) / budget_n, _DECADES
        centre_n = torch.where((centre_n > 0) & centre_n.isfinite(), centre_n, 1.0)
    ladder_p = torch.logspace(-decades, decades, n_prices, dtype=budget_n.dtype, device=budget_n.device)
    ladder_p = torch.cat([torch.zeros_like(ladder_p[:1]), ladder_p])
    if spend_all:
        ladder_p = torch.cat([-ladder_p[1:].flip(0), ladder_p])
    return ladder_p[:, None] * centre_n


def _pick(given: Tensor, index_n: Tensor) -> Tensor:
    """Return ``given[index_n[n], n]`` of a tensor (P, N) or (P, N, K)."""
    return given[index_n, torch.arange(len(index_n), device=index_n.device)]
