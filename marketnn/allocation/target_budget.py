"""The least budget that reaches a response, with a lower bound of all that do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from marketnn.allocation.budget import BudgetResult, allocate_budget
from marketnn.allocation.budget_problem import CurvesGiven, check_budget, named_curves, per_channel
from marketnn.errors import InputError


@dataclass(frozen=True)
class LeastBudget:
    """The least budget found and its certificate: ``lower_bound <= least <= budget``.

    Attributes:
        budget: reaches the target.
        spend: (K,) in the curves' order.
        response: what it brings, >= target.
        lower_bound: no smaller budget reaches the target.
        gap: ``budget - lower_bound``.
        status: ``optimal`` where the gap is within the tolerance, else ``gap``.
    """

    budget: float
    spend: np.ndarray
    response: float
    lower_bound: float
    gap: float
    status: str


def least_budget(
    curves: CurvesGiven, target: float, *, max_budget: float, tolerance: float = 1e-4, **options: Any
) -> LeastBudget:
    """Find the least budget whose best division brings ``target``, by bisection on certified answers.

    A budget is too small only where its upper bound says so, and enough only where its spend brings the target.

    Args:
        curves: as for ``allocate_budget``.
        target: the response to reach, less fixed costs.
        max_budget: the most that could be spent.
        tolerance: the gap, relative to ``max_budget``, that counts as ``optimal``.
        options: of ``allocate_budget``, but for ``tolerance`` and ``spend``: it may always leave money over.

    Raises:
        InputError: those of ``allocate_budget``, or a target out of reach, with the amount missing.
    """
    if "spend" in options:
        raise InputError("spend has no meaning for the least budget; leave it out.")
    if not np.isfinite(target):
        raise InputError(f"target={target!r} is not possible; pass a finite number.")
    if not tolerance > 0:
        raise InputError(f"tolerance={tolerance:g} is not possible; pass a number > 0.")
    channels, _ = named_curves(curves)
    most = check_budget(max_budget)
    enough = allocate_budget(curves, most, **options)
    if enough.response < target:
        raise InputError(
            f"target={target:g} is out of reach: max_budget={most:g} brings {enough.response:g}, "
            f"{target - enough.response:g} less (and at most {enough.upper_bound:g}); "
            "raise max_budget or lower the target."
        )
    lower_k = per_channel("lower", options.get("lower"), channels, 0.0)
    for channel, amount in (options.get("frozen") or {}).items():
        lower_k[channels.index(str(channel))] = amount
    low, high = float(lower_k.sum()), float(enough.spend.sum())
    at_least = allocate_budget(curves, low, **options)
    if at_least.response >= target:
        return _result(at_least, low, low, most, tolerance)
    if at_least.upper_bound < target:
        while high - low > tolerance * most:
            middle = (low + high) / 2
            tried = allocate_budget(curves, middle, **options)
            if tried.response >= target:
                enough, high = tried, min(middle, float(tried.spend.sum()))
            elif tried.upper_bound < target:
                low = middle
            else:
                break
    return _result(enough, high, low, most, tolerance)


def _result(enough: BudgetResult, high: float, low: float, most: float, tolerance: float) -> LeastBudget:
    return LeastBudget(
        budget=high,
        spend=enough.spend,
        response=enough.response,
        lower_bound=low,
        gap=high - low,
        status="optimal" if high - low <= tolerance * most else "gap",
    )
