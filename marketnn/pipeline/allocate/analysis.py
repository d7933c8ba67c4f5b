"""The allocation itself: from a table of customers, and one of responses, to offers and spends; nothing is written.

Shapes: n customers, K offers.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from marketnn.allocation import AssignmentResult, ProjectComparison, assign_offers, compare_projects
from marketnn.data import Role, Table
from marketnn.data.schema import is_number
from marketnn.errors import InputError, rows_text, unknown_name
from marketnn.pipeline.allocate.spending import Spending, plan_spending
from marketnn.pipeline.parts import Parts, Stage
from marketnn.seed import child_seed

Limits = dict[str, float]


@dataclass(frozen=True)
class Config:
    """What is allocated, and within which limits; every mapping is by the name of an offer's column.

    Attributes:
        value: columns with what each offer is worth to each customer; NaN or empty where it may not be made.
        revenue: offer -> revenue of a success; then the columns are probabilities.
        cost: offer -> cost of a contact.
        fixed_cost: offer -> paid if anybody gets it.
        capacity, minimum: offer -> most customers, and fewest if anybody gets it.
        channel: offer -> its channel.
        channel_budget: channel -> what its contacts may cost.
        current: the offer that everybody gets today; ``None`` if there is none.
        response: a CSV of ``channel, period, spend, response``; ``None`` plans no spends.
        curve: of the responses: hill, log, exponential or power.
        adstock: whether to fit how much of a period's spend lasts into the next.
        budget: to spend over all periods.
        periods: to plan.
        max_nodes: of integer programmes, after which the best answer so far is given with its gap.
    """

    value: tuple[str, ...] = ()
    revenue: Limits | None = None
    cost: Limits | None = None
    fixed_cost: Limits | None = None
    capacity: Limits | None = None
    minimum: Limits | None = None
    channel: dict[str, str] | None = None
    channel_budget: Limits | None = None
    current: str | None = None
    response: str | None = None
    curve: Literal["hill", "log", "exponential", "power"] = "hill"
    adstock: bool = False
    budget: float | None = None
    periods: int = 1
    max_nodes: int = 1_000


@dataclass(frozen=True)
class AllocateAnalysis:
    """Everything an allocation found.

    Attributes:
        table: the customers.
        offers: (K,) names.
        worth: (n, K) value less the cost of the contact; minus infinity where an offer may not be made.
        comparison: free of limits and contact costs, where the columns are probabilities; otherwise ``None``.
        assigned: within the limits, with its proof.
        plans: today, everybody's best offer, and the assignment, all counted alike.
        summary: a row per offer.
        spending: of the budget; ``None`` without responses.
    """

    table: Table
    offers: tuple[str, ...]
    worth: np.ndarray
    comparison: ProjectComparison | None
    assigned: AssignmentResult
    plans: pd.DataFrame
    summary: pd.DataFrame
    spending: Spending | None


def analyse(table: Table, config: Config, parts: Parts, *, stage: Stage = lambda _: nullcontext()) -> AllocateAnalysis:
    """Allocate.

    Args:
        table: customers, with a column per offer.
        config: what, and within which limits.
        parts: device and seed.
        stage: entered around each named stage.

    Raises:
        InputError: a column, a limit or the responses cannot be used; the message says what to change.
    """
    with stage("customers"):
        value_nk = _values(table, config)
        offers = config.value
        numbers = {key: _by_offer(key, getattr(config, key), offers) for key in ("cost", "fixed_cost", "minimum")}
        capacity = _by_offer("capacity", config.capacity, offers, default=np.inf)
        comparison = None
        if config.revenue is not None:
            revenue = _by_offer("revenue", config.revenue, offers, default=None)
            probability_nk = np.nan_to_num(value_nk)
            comparison = compare_projects(
                probability_nk, revenue, numbers["fixed_cost"], offers, current=config.current
            )
            value_nk = value_nk * revenue
        elif config.current is not None and config.current not in offers:
            raise unknown_name("offer in pipeline.current", config.current, offers)
    with stage("offers"):
        worth_nk = np.where(np.isnan(value_nk), -np.inf, value_nk - numbers["cost"])
        assigned = assign_offers(
            worth_nk,
            capacity=capacity,
            minimum=numbers["minimum"] if config.minimum else None,
            fixed_cost=numbers["fixed_cost"] if config.fixed_cost else None,
            **_channels(config, offers, numbers["cost"]),
            max_nodes=config.max_nodes,
            seed=child_seed(parts.seed, "assignment"),
            device=parts.torch_device(),
        )
        free = np.where(worth_nk.max(axis=1) > 0, worth_nk.argmax(axis=1), -1)
        plans = {"best offer of everybody, no limits": free, "within the limits": assigned.offer}
        if config.current is not None:
            today = np.full(len(worth_nk), offers.index(config.current))
            plans = {"today": np.where(np.isfinite(worth_nk[:, today[0]]), today, -1), **plans}
        counted = [{"plan": name, **count(worth_nk, numbers, offer)} for name, offer in plans.items()]
    with stage("spending"):
        spending = None
        if config.response is not None:
            spending = plan_spending(
                config.response,
                curve=config.curve,
                adstock=config.adstock,
                budget=config.budget,
                periods=config.periods,
            )
    return AllocateAnalysis(
        table=table,
        offers=offers,
        worth=worth_nk,
        comparison=comparison,
        assigned=assigned,
        plans=pd.DataFrame(counted),
        summary=_summary(offers, worth_nk, free, assigned, numbers, capacity),
        spending=spending,
    )


def count(worth_nk: np.ndarray, numbers: Mapping[str, np.ndarray], offer_n: np.ndarray) -> dict[str, float]:
    """Count what a plan (n,) brings: ``customers, worth, fixed_cost, benefit``, contacts paid in ``worth``."""
    some = offer_n >= 0
    worth = float(worth_nk[some, offer_n[some]].sum())
    fixed = float(numbers["fixed_cost"][np.unique(offer_n[some])].sum())
    return {"customers": int(some.sum()), "worth": worth, "fixed_cost": fixed, "benefit": worth - fixed}


def _values(table: Table, config: Config) -> np.ndarray:
    """Return the offers' columns (n, K), NaN where an offer may not be made."""
    frame = table.frame
    usable = [name for name in table.schema.names(Role.NUMERIC, Role.TARGET) if is_number(frame[name])]
    if not config.value:
        raise InputError(
            f"{table.source}: name the columns that hold the offers' values: pipeline.value=[...]; there are "
            f"{', '.join(usable[:8]) or 'no number columns'}{', ...' if usable[8:] else ''}."
        )
    for name in config.value:
        if name not in frame.columns:
            raise InputError(f"{table.source}: {unknown_name('column in pipeline.value', name, usable)}")
        if not is_number(frame[name]):
            raise InputError(f"{table.source}: column '{name}' is text; pipeline.value names columns of numbers.")
    if len(set(config.value)) < len(config.value):
        raise InputError(f"pipeline.value={list(config.value)} names a column twice.")
    value_nk = frame[list(config.value)].to_numpy(dtype=float)
    if config.revenue is not None:
        outside = (value_nk < 0) | (value_nk > 1)
        if outside.any():
            row, column = np.argwhere(outside)[0]
            raise InputError(
                f"{table.source}: column '{config.value[column]}' is {value_nk[row, column]:g} in "
                f"{rows_text(outside[:, column])}; with pipeline.revenue the columns are probabilities, from 0 to 1."
            )
    return value_nk


def _by_offer(
    key: str, given: Mapping[str, float] | None, offers: tuple[str, ...], default: float | None = 0.0
) -> np.ndarray:
    """Return one number per offer (K,), in the offers' order.

    Raises:
        InputError: an unknown offer, a number below 0, or an offer without a number where there is no default.
    """
    for name, number in (given or {}).items():
        if name not in offers:
            raise unknown_name(f"offer in pipeline.{key}", name, offers)
        if not (number >= 0 and np.isfinite(number)):
            raise InputError(f"pipeline.{key}.{name}={number:g} must be a number from 0 on.")
        if key in ("capacity", "minimum") and number % 1:
            raise InputError(f"pipeline.{key}.{name}={number:g} must be a whole number of customers.")
    missing = [name for name in offers if name not in (given or {})]
    if missing and default is None:
        raise InputError(f"pipeline.{key} has no number for {', '.join(missing)}; give one for every offer.")
    return np.array([(given or {}).get(name, default) for name in offers], dtype=float)


def _channels(config: Config, offers: tuple[str, ...], cost: np.ndarray) -> dict[str, Any]:
    """Return what ``assign_offers`` needs to know of channels."""
    if config.channel_budget is None:
        return {}
    channel = config.channel or {}
    for name in channel:
        if name not in offers:
            raise unknown_name("offer in pipeline.channel", name, offers)
    unplaced = [name for name in offers if name not in channel]
    if unplaced:
        raise InputError(
            f"pipeline.channel says no channel for {', '.join(unplaced)}; pipeline.channel_budget needs one for all."
        )
    if not config.cost:
        raise InputError(
            "pipeline.channel_budget limits the cost of contacts; pass pipeline.cost={offer: cost of a contact}."
        )
    return {"channel": [channel[name] for name in offers], "channel_budget": config.channel_budget, "cost": cost}


def _summary(
    offers: tuple[str, ...],
    worth_nk: np.ndarray,
    free: np.ndarray,
    assigned: AssignmentResult,
    numbers: Mapping[str, np.ndarray],
    capacity: np.ndarray,
) -> pd.DataFrame:
    """Return a row per offer: how many would like it, how many get it, and what one more of it is worth."""
    offer = assigned.offer
    return pd.DataFrame(
        {
            "offer": offers,
            "wanted": [int((free == place).sum()) for place in range(len(offers))],
            "assigned": [int((offer == place).sum()) for place in range(len(offers))],
            "capacity": np.where(np.isinf(capacity), np.nan, capacity),
            "minimum": numbers["minimum"],
            "worth": [float(worth_nk[offer == place, place].sum()) for place in range(len(offers))],
            "cost_of_contacts": [
                float((offer == place).sum() * numbers["cost"][place]) for place in range(len(offers))
            ],
            "one_more_is_worth": np.asarray(assigned.shadow_price, dtype=float),
        }
    )
