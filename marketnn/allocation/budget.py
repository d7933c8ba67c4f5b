"""Where a budget should go: the spend per channel, and a proof of how good it is."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from marketnn.allocation.budget_branching import ProvedSpend, branch_and_bound
from marketnn.allocation.budget_problem import BudgetProblem, CurvesGiven, PerChannel, Spend, budget_problem
from marketnn.allocation.concave_budget import Curves, price_directed
from marketnn.errors import InputError, unknown_name

Method = Literal["auto", "concave", "grid"]
_GRID_BYTES = 2**31
_AT_BOUND = 1e-9  # relative to the budget


@dataclass(frozen=True)
class BudgetResult:
    """A division of a budget and its certificate: ``response <= optimum <= upper_bound``.

    Attributes:
        spend: (K,) in the curves' order, in units of the budget.
        response: what it brings, less fixed costs.
        upper_bound: no spend within the constraints brings more.
        gap: ``upper_bound - response``.
        status: ``optimal`` where the gap is within the tolerance, else ``gap``.
        binding: the constraints that bind, such as ``budget``, ``lower of tv``, ``upper of search``.
        shadow_price: what one more unit of budget would bring, the channels in use staying in use.
        channels: the K names; positions as text where none were given.
    """

    spend: np.ndarray
    response: float
    upper_bound: float
    gap: float
    status: str
    binding: tuple[str, ...]
    shadow_price: float
    channels: tuple[str, ...]


def allocate_budget(
    curves: CurvesGiven,
    budget: float,
    *,
    lower: PerChannel | None = None,
    upper: PerChannel | None = None,
    fixed_cost: PerChannel | None = None,
    spend: Spend = "up_to",
    frozen: Mapping[Hashable, float] | None = None,
    method: Method = "auto",
    levels: int = 201,
    tolerance: float = 1e-6,
    max_boxes: int = 5_000,
) -> BudgetResult:
    """Divide a budget among channels so that the sum of their responses, less fixed costs, is largest.

    Concave curves are divided by one price, which is exact. Otherwise a grid finds the channels worth having, the
    division among them is exact again, and branch and bound over boxes of spends proves it.

    Args:
        curves: response curves, as a sequence or by name.
        budget: >= 0.
        lower, upper: bounds of the spends: a number for all, one per channel, or by name in any order (others: 0,
            none).
        fixed_cost: in units of the response, paid by a channel with spend above 0; given like the bounds.
        spend: ``up_to`` the budget or ``all`` of it.
        frozen: channel -> spend that stays what it is.
        method: ``concave`` (one price), ``grid`` (any curves), or ``auto``: by the curves.
        levels: of the grid, >= 2.
        tolerance: the gap, relative to the response, that counts as ``optimal``.
        max_boxes: of branch and bound; when they run out the status is ``gap``.

    Raises:
        InputError: a negative, infinite or NaN number, shapes or names that disagree, lower bounds above the budget or
            an upper bound, upper bounds below the budget with ``spend="all"``, ``method="concave"`` with curves that
            are not concave or with fixed costs, a grid beyond 2 GiB. It names the amount missing.
    """
    problem = budget_problem(
        curves, budget, lower=lower, upper=upper, fixed_cost=fixed_cost, frozen=frozen, spend=spend
    )
    if method not in ("auto", "concave", "grid"):
        raise unknown_name("method", method, ("auto", "concave", "grid"))
    if not tolerance >= 0:
        raise InputError(f"tolerance={tolerance:g} is not possible; pass a number >= 0.")
    if max_boxes < 1:
        raise InputError(f"max_boxes={max_boxes} is not possible; pass 1 or more.")
    if method == "concave" or (method == "auto" and problem.concave):
        found = _by_one_price(problem, tolerance)
    else:
        check_levels(levels, len(problem.channels))
        found = branch_and_bound(
            problem.curves,
            problem.budget,
            problem.lower_k,
            problem.upper_k.clamp(max=problem.budget),
            problem.fixed_cost_k,
            levels=levels,
            spend_all=problem.spend_all,
            tolerance=tolerance,
            max_boxes=max_boxes,
        )
    return as_result(problem, problem.curves, found)


def as_result(problem: BudgetProblem, curves: Curves, found: ProvedSpend) -> BudgetResult:
    """Return a spend and its proof as callers want them: what binds and what more budget would bring."""
    near = _AT_BOUND * problem.budget
    spent = problem.spend_all or float(found.spend_k.sum()) >= problem.budget - near
    # Only a channel in use, or one that costs nothing to open, can take one more unit.
    takes_k = (found.spend_k < problem.upper_k - near) & ~problem.frozen_k
    takes_k &= (found.spend_k > 0) | (problem.fixed_cost_k == 0)
    slope_k = curves.derivative(found.spend_k)
    shadow_price = float(torch.where(takes_k & slope_k.isfinite(), slope_k, 0.0).max()) if spent else 0.0
    return BudgetResult(
        spend=found.spend_k.cpu().numpy(),
        response=found.value,
        upper_bound=found.bound,
        gap=found.bound - found.value,
        status="optimal" if found.proved else "gap",
        binding=(*(["budget"] if spent and (problem.spend_all or shadow_price > 0) else []), *_binding(problem, found)),
        shadow_price=shadow_price,
        channels=problem.channels,
    )


def check_levels(levels: int, n_channels: int, n_problems: int = 1) -> None:
    """Refuse a grid without a step or with more numbers than memory should hold.

    Raises:
        InputError: the message names both.
    """
    if levels < 2:
        raise InputError(f"levels={levels} is no grid; pass 2 or more.")
    # Rewards, their transposed copy and the joins of the channels.
    needed = 3 * 8 * n_problems * n_channels * levels
    if needed > _GRID_BYTES:
        raise InputError(
            f"a grid of {n_problems:,} x {n_channels:,} x {levels:,} levels needs {needed / 2**30:.1f} GiB, "
            f"{(needed - _GRID_BYTES) / 2**30:.1f} GiB over the limit; pass levels="
            f"{max(_GRID_BYTES // (3 * 8 * n_problems * n_channels), 2)} or fewer."
        )


def _by_one_price(problem: BudgetProblem, tolerance: float) -> ProvedSpend:
    if not problem.concave:
        inflection_k = problem.curves.inflection
        index = int((inflection_k + problem.fixed_cost_k > 0).int().argmax())
        why = (
            f"is convex up to {inflection_k[index]:g}"
            if float(inflection_k[index])
            else f"has a fixed cost of {problem.fixed_cost_k[index]:g}"
        )
        raise InputError(
            f"method='concave' needs concave curves, but '{problem.channels[index]}' {why}; "
            "pass method='grid' or 'auto'."
        )
    found = price_directed(
        problem.curves,
        torch.full_like(problem.lower_k[:1], problem.budget),
        problem.lower_k[None],
        problem.upper_k.clamp(max=problem.budget)[None],
        problem.fixed_cost_k,
        spend_all=problem.spend_all,
    )
    value, bound = float(found.value_n[0]), float(found.bound_n[0])
    return ProvedSpend(found.spend_nk[0], value, bound, bound - value <= tolerance * abs(value))


def _binding(problem: BudgetProblem, found: ProvedSpend) -> list[str]:
    """Name the bounds that the spends are at."""
    near = _AT_BOUND * problem.budget
    spend_k, lower_k, upper_k = (part.tolist() for part in (found.spend_k, problem.lower_k, problem.upper_k))
    binding = []
    for channel, amount, low, high, frozen in zip(
        problem.channels, spend_k, lower_k, upper_k, problem.frozen_k.tolist(), strict=True
    ):
        if frozen:
            binding.append(f"frozen {channel}")
        elif low > 0 and amount <= low + near:
            binding.append(f"lower of {channel}")
        elif amount >= high - near:
            binding.append(f"upper of {channel}")
    return binding
