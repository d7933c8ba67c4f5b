"""Budgets under uncertain curves: the best division in each scenario, and the one that is best on average.

Scenarios are curves with parameters (B, K): posterior draws, or guesses. The scenarios are solved side by side.

Shapes: B scenarios, K channels, C cells of a table, P prices.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from marketnn.allocation.budget import BudgetResult, as_result, check_levels
from marketnn.allocation.budget_branching import ProvedSpend
from marketnn.allocation.budget_problem import BudgetProblem, PerChannel, Spend, budget_problem
from marketnn.allocation.concave_budget import net_value, price_directed
from marketnn.allocation.curves import ResponseCurve
from marketnn.allocation.grid_budget import grid_spend, polish
from marketnn.allocation.plan_scenarios import MeanCurve
from marketnn.errors import InputError

_CELLS = 8192
_NUMBERS = 2**20  # evaluated at a time
_PRICES = 65
_PRICE_ROUNDS = 3
_ZOOMS = 4
_BISECTIONS = 60
_ROUNDING = 1e-9  # relative to the budget


@dataclass(frozen=True)
class ScenarioBudgets:
    """The best division in each of B scenarios, with certificates: ``response <= optimum <= upper_bound``.

    Attributes:
        spend: (B, K).
        response: (B,), less fixed costs.
        upper_bound: (B,).
        gap: (B,), ``upper_bound - response``.
    """

    spend: np.ndarray
    response: np.ndarray
    upper_bound: np.ndarray
    gap: np.ndarray


def allocate_scenarios(
    curves: ResponseCurve,
    budget: float,
    *,
    lower: PerChannel | None = None,
    upper: PerChannel | None = None,
    fixed_cost: PerChannel | None = None,
    spend: Spend = "up_to",
    levels: int = 201,
) -> ScenarioBudgets:
    """Divide one budget anew in each scenario: what could be had if its curves were known.

    Concave curves are exact. Others get a grid and an exact division among the channels it opens; their upper bound is
    the Lagrangian one, without branching: ``allocate_budget`` closes its gap, scenario by scenario.

    Args:
        curves: parameters (B, K).
        budget, lower, upper, fixed_cost, spend, levels: as for ``allocate_budget``.

    Raises:
        InputError: those of ``allocate_budget``, or parameters of another shape.
    """
    problem = _problem(curves, budget, lower, upper, fixed_cost, spend)
    n_scenarios = curves.shape[0]
    budget_b = curves.scale.new_full((n_scenarios,), problem.budget)
    bounds = (problem.lower_k.expand(n_scenarios, -1), problem.upper_k.expand(n_scenarios, -1), problem.fixed_cost_k)
    found = price_directed(curves, budget_b, *bounds, spend_all=problem.spend_all)
    spend_bk, value_b = found.spend_nk, found.value_n
    if not (curves.concave and not bool(problem.fixed_cost_k.any())):
        check_levels(levels, len(problem.channels), n_scenarios)
        gridded_bk, _ = grid_spend(curves, budget_b, *bounds, levels=levels, spend_all=problem.spend_all)
        for start_bk in (gridded_bk, found.spend_nk):
            tried = polish(curves, budget_b, *bounds, start_bk, spend_all=problem.spend_all)
            better_b = tried.value_n > value_b
            spend_bk = torch.where(better_b[:, None], tried.spend_nk, spend_bk)
            value_b = torch.where(better_b, tried.value_n, value_b)
    bound_b = torch.maximum(found.bound_n, value_b)
    numbers = (spend_bk, value_b, bound_b, bound_b - value_b)
    return ScenarioBudgets(*(number.cpu().numpy() for number in numbers))


def allocate_mean(
    curves: ResponseCurve,
    budget: float,
    *,
    lower: PerChannel | None = None,
    upper: PerChannel | None = None,
    fixed_cost: PerChannel | None = None,
    spend: Spend = "up_to",
    levels: int = 201,
    tolerance: float = 1e-6,
) -> BudgetResult:
    """Divide a budget once, so that the mean of the responses over the scenarios is largest.

    A mean of concave curves is divided by one price. A mean of S-shaped curves may have any shape: a grid, refined
    about its answer, finds the spend, and the upper bound is the Lagrangian one of a table that rounds every spend up;
    it is about K / 8192 of the response above the best such bound.

    Args:
        curves: parameters (B, K).
        budget, lower, upper, fixed_cost, spend, levels, tolerance: as for ``allocate_budget``.

    Raises:
        InputError: those of ``allocate_budget``, or parameters of another shape.
    """
    problem = _problem(curves, budget, lower, upper, fixed_cost, spend)
    check_levels(levels, len(problem.channels), curves.shape[0])
    mean = _Mean(curves, problem.budget)
    budget_1 = curves.scale.new_full((1,), problem.budget)
    lower_1k, upper_1k = problem.lower_k[None], problem.upper_k.clamp(max=problem.budget)[None]
    spend_1k = _zoom(mean, budget_1, lower_1k, upper_1k, problem, levels)
    value = float(net_value(mean, problem.fixed_cost_k, spend_1k).sum())
    if mean.curves.concave and not bool(problem.fixed_cost_k.any()):
        slope_1k = torch.where(spend_1k < upper_1k, mean.derivative(spend_1k), 0.0)
        near_1 = torch.where(slope_1k.isfinite(), slope_1k, 0.0).amax(-1)
        near_1 = torch.where(near_1 > 0, near_1, 1.0)
        priced = price_directed(
            mean,
            budget_1,
            lower_1k,
            upper_1k,
            problem.fixed_cost_k,
            spend_all=problem.spend_all,
            near_n=near_1,
        )
        bound = float(priced.bound_n[0])
        if float(priced.value_n[0]) >= value:
            spend_1k, value = priced.spend_nk, float(priced.value_n[0])
    else:
        bound = _table_bound(mean, problem, upper_1k[0])
    bound = max(bound, value)
    found = ProvedSpend(spend_1k[0], value, bound, bound - value <= tolerance * abs(value))
    return as_result(problem, mean, found)


class _Mean(MeanCurve):
    """The mean with what ``price_directed`` asks of curves, for spends up to ``most``."""

    def __init__(self, curves: ResponseCurve, most: float) -> None:
        super().__init__(curves)
        self.most = most

    def inverse_derivative(self, price: Tensor) -> Tensor:
        """The largest spends up to ``most`` whose last unit brings the price, of concave curves; by bisection."""
        low, high = torch.zeros_like(price), torch.full_like(price, self.most)
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            enough = self.derivative(middle) >= price
            low, high = torch.where(enough, middle, low), torch.where(enough, high, middle)
        return torch.where(low > 0, high, low)

    @property
    def inflection(self) -> Tensor:
        """The last of the scenarios' inflections."""
        return self.curves.inflection.amax(0)


def _problem(
    curves: ResponseCurve,
    budget: float,
    lower: PerChannel | None,
    upper: PerChannel | None,
    fixed_cost: PerChannel | None,
    spend: Spend,
) -> BudgetProblem:
    if not isinstance(curves, ResponseCurve) or len(curves.shape) != 2 or 0 in curves.shape:
        shape = tuple(curves.shape) if isinstance(curves, nn.Module) else type(curves).__name__
        raise InputError(f"scenarios need one ResponseCurve with parameters (B, K), not {shape}.")
    first = type(curves)(*(parameter[0] for parameter in curves.values()))
    return budget_problem(first, budget, lower=lower, upper=upper, fixed_cost=fixed_cost, frozen=None, spend=spend)


def _zoom(
    mean: _Mean, budget_1: Tensor, lower_1k: Tensor, upper_1k: Tensor, problem: BudgetProblem, levels: int
) -> Tensor:
    """Return the spend (1, K) of a grid, of a finer one about its answer, and so on."""
    room_1k = upper_1k - lower_1k
    share = (problem.budget - float(lower_1k.sum())) / max(float(room_1k.sum()), torch.finfo(room_1k.dtype).tiny)
    best_1k = lower_1k + min(share, 1.0) * room_1k
    best = float(net_value(mean, problem.fixed_cost_k, best_1k).sum())
    low_1k, high_1k = lower_1k, upper_1k
    reach = float(budget_1[0] - lower_1k.sum()) / (levels - 1)
    for _ in range(_ZOOMS):
        spend_1k, _ = grid_spend(
            mean, budget_1, low_1k, high_1k, problem.fixed_cost_k, levels=levels, spend_all=problem.spend_all
        )
        value = float(net_value(mean, problem.fixed_cost_k, spend_1k).sum())
        complete = not problem.spend_all or float(spend_1k.sum()) >= problem.budget * (1 - _ROUNDING)
        if value > best and complete:
            best_1k, best = spend_1k, value
        low_1k = torch.maximum(best_1k - reach, lower_1k)
        high_1k = torch.minimum(best_1k + reach, upper_1k)
        reach *= 2 * len(problem.channels) / (levels - 1)
    return best_1k


def _table_bound(mean: _Mean, problem: BudgetProblem, upper_k: Tensor) -> float:
    """Return the least Lagrangian bound of a table: a cell brings what its upper end does and costs its lower end."""
    shares_c1 = torch.linspace(0, 1, _CELLS + 1, dtype=upper_k.dtype, device=upper_k.device)[:, None]
    edge_ck = problem.lower_k + shares_c1 * (upper_k - problem.lower_k)
    from_ck, to_ck = edge_ck[:-1], edge_ck[1:]
    rows = max(_NUMBERS // mean.curves.scale.numel(), 1)
    value_ck = torch.cat([net_value(mean, problem.fixed_cost_k, part_ck) for part_ck in to_ck.split(rows)])
    first_k = net_value(mean, problem.fixed_cost_k, problem.lower_k)
    scale = max(float(value_ck.amax()), torch.finfo(upper_k.dtype).tiny) / problem.budget if problem.budget else 1.0
    price_p = torch.logspace(-6, 6, _PRICES, dtype=upper_k.dtype, device=upper_k.device) * scale
    best = math.inf
    for _ in range(_PRICE_ROUNDS):
        bound_p = torch.stack(
            [_dual(price, problem.budget, from_ck, value_ck, problem.lower_k, first_k) for price in price_p]
        )
        place = int(bound_p.argmin())
        best = min(best, float(bound_p[place]))
        low, high = price_p[max(place - 1, 0)], price_p[min(place + 1, _PRICES - 1)]
        price_p = low + torch.linspace(0, 1, _PRICES, dtype=upper_k.dtype, device=upper_k.device) * (high - low)
    return best


def _dual(price: Tensor, budget: float, from_ck: Tensor, value_ck: Tensor, lower_k: Tensor, first_k: Tensor) -> Tensor:
    """Return the bound () of a price: each channel takes its best cell, or its lower bound itself."""
    best_k = torch.maximum((value_ck - price * from_ck).amax(0), first_k - price * lower_k)
    return price * budget + best_k.sum()
