"""A budget over quarters and segments: the sound reading of paper B's "dynamic planning".

A segment's response to a spend is a Hill curve. Its ceiling hangs on the segment's planned benefit, its half saturation on the
segment's size; both factors, the slope and the carry-over are assumptions of the configuration.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from marketnn.allocation import HillCurve, PlanResult, plan_budget
from marketnn.errors import InputError
from marketnn.pipeline.omnichannel.config import Config

LATER = "later"


@dataclass(frozen=True)
class QuarterPlan:
    """Spends of every quarter.

    Attributes:
        budget: in total.
        curves: what is assumed, a row per segment: ``segment, customers, benefit, ceiling, half_saturation, slope``.
        curve: the same, one per segment.
        plan: spends (T, k), responses and the proof.
        even: the same budget by segment sizes, the same in every quarter: before planning.
        table: a row per quarter and segment: ``quarter, segment, spend, even_spend``.
        summary: a row per quarter, and one for what carries over beyond the last: ``quarter, spend, response, even_spend,
            even_response``; responses undiscounted but for that row's.
    """

    budget: float
    curves: pd.DataFrame
    curve: HillCurve
    plan: PlanResult
    even: PlanResult
    table: pd.DataFrame
    summary: pd.DataFrame


def plan_quarters(worth: np.ndarray, labels: np.ndarray, names: list[str], config: Config) -> QuarterPlan | None:
    """Plan the spends; ``None`` where the assignment plans no benefit that spending could raise.

    Args:
        worth: (n,) planned benefit of each customer in a quarter.
        labels: (n,) segments.
        names: of the segments.
        config: budget and assumptions.

    Raises:
        InputError: numbers that contradict each other, as ``plan_budget`` finds.
    """
    k = len(names)
    size = np.bincount(labels, minlength=k)
    benefit = np.bincount(labels, weights=worth, minlength=k)
    total = float(benefit.sum())
    if total <= 0:
        return None
    budget = config.budget_share * total if config.budget is None else config.budget
    ceiling = config.response_ceiling * benefit
    half = config.half_saturation * total / len(labels) * np.maximum(size, 1)
    curve = HillCurve(ceiling, half, np.full(k, config.slope))
    common: dict[str, Any] = {"adstock": config.carry_over, "discount": config.discount, "tail": True}
    try:
        plan = plan_budget(curve, budget, config.periods, per_period=config.period_budget, **common)
        spread = min(budget, config.periods * (np.inf if config.period_budget is None else config.period_budget))
        share = np.tile(spread / config.periods * size / len(labels), (config.periods, 1))
        even = plan_budget(curve, budget, config.periods, lower=share, upper=share, **common)
    except InputError as error:
        raise InputError(f"the plan over {config.periods} quarters: {error}") from error
    quarter = np.arange(1, config.periods + 1)
    table = pd.DataFrame(
        {
            "quarter": np.repeat(quarter, k),
            "segment": names * config.periods,
            "spend": plan.spend.ravel(),
            "even_spend": even.spend.ravel(),
        }
    )
    summary = pd.DataFrame(
        {
            "quarter": [*map(str, quarter), LATER],
            "spend": [*plan.spend.sum(axis=1), 0.0],
            "response": [*plan.response, plan.tail],
            "even_spend": [*even.spend.sum(axis=1), 0.0],
            "even_response": [*even.response, even.tail],
        }
    )
    curves = pd.DataFrame(
        {
            "segment": names,
            "customers": size,
            "benefit": benefit,
            "ceiling": ceiling,
            "half_saturation": half,
            "slope": config.slope,
        }
    )
    return QuarterPlan(budget, curves, curve, plan, even, table, summary)
