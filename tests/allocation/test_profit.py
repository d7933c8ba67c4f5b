"""The most profitable plan: the closed form where nothing binds, scipy and a grid where something does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize

from marketnn.allocation import CobbDouglasDemand, maximise_profit
from marketnn.errors import InputError

DEMAND = CobbDouglasDemand(30.0, 0.25, 0.35, 2.2)


def profit(demand: CobbDouglasDemand, unit_cost: float, kept: float, plan: np.ndarray) -> float:
    price, advertising, promotion = plan
    quantity = float(demand.constant) * advertising ** float(demand.advertising) * promotion ** float(demand.promotion)
    return float((kept * price - unit_cost) * quantity * price ** -float(demand.price) - advertising - promotion)


def test_without_limits_it_is_the_closed_form() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        b, c = rng.uniform(0.05, 0.45, 2)
        demand = CobbDouglasDemand(rng.uniform(1, 100), b, c, rng.uniform(1.1, 5))
        unit_cost = rng.uniform(0.5, 20)
        plan, exact = maximise_profit(demand, unit_cost), demand.profit_optimum(unit_cost)
        for name in ("price", "advertising", "promotion", "quantity", "profit"):
            assert getattr(plan, name) == pytest.approx(getattr(exact, name), rel=1e-6)
        assert plan.dorfman_steiner == pytest.approx(plan.elasticity_ratio, rel=1e-9)
        assert plan.advertising / plan.promotion == pytest.approx(b / c, rel=1e-9)
        assert plan.binding == ()
        assert plan.shadow_price == 0


@pytest.mark.parametrize("seed", range(12))
def test_within_limits_it_is_scipys(seed: int) -> None:
    rng = np.random.default_rng(seed)
    b, c = rng.uniform(0.1, 0.45, 2)
    demand, unit_cost, theta = (
        CobbDouglasDemand(rng.uniform(50, 600), b, c, rng.uniform(1.3, 3)),
        rng.uniform(1, 5),
        0.01,
    )
    free = maximise_profit(demand, unit_cost, after_sales_rate=theta)
    budget = rng.uniform(0.2, 1.2) * (free.advertising + free.promotion)
    bounds = {
        "price": (free.price * rng.uniform(0.8, 1.1), free.price * 1.5),
        "advertising": (0.05 * budget, rng.uniform(0.1, 0.9) * budget),
        "promotion": (0.05 * budget, budget),
    }
    plan = maximise_profit(demand, unit_cost, budget=budget, bounds=bounds, after_sales_rate=theta)
    found = minimize(
        lambda z: -profit(demand, unit_cost, 1 - theta, np.exp(z)) / abs(free.profit),
        np.log([plan.price * 1.01, 0.08 * budget, 0.3 * budget]),
        bounds=[(np.log(low), np.log(high)) for low, high in bounds.values()],
        constraints=[{"type": "ineq", "fun": lambda z: 1 - np.exp(z[1:]).sum() / budget}],
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert plan.profit == pytest.approx(-found.fun * abs(free.profit), rel=1e-5)
    assert plan.profit >= -found.fun * abs(free.profit) * (1 - 1e-6)
    assert plan.advertising + plan.promotion <= budget * (1 + 1e-9)
    assert plan.profit == pytest.approx(
        profit(demand, unit_cost, 1 - theta, np.array([plan.price, plan.advertising, plan.promotion]))
    )
    if plan.binding == ("budget",):
        more = maximise_profit(demand, unit_cost, budget=budget * 1.0001, bounds=bounds, after_sales_rate=theta)
        assert (more.profit - plan.profit) / (budget * 0.0001) == pytest.approx(plan.shadow_price, rel=1e-2)


def test_elasticities_above_one_are_bounded_by_the_budget() -> None:
    demand = CobbDouglasDemand(2.0, 0.8, 0.7, 2.0)
    plan = maximise_profit(demand, 1.0, budget=1000.0)
    grid = [
        profit(demand, 1.0, 1.0, np.array([2.0, share * total, (1 - share) * total]))
        for total in np.linspace(1, 1000, 60)
        for share in np.linspace(0.01, 0.99, 99)
    ]
    assert plan.profit >= max(grid)
    assert plan.profit == pytest.approx(max(grid), rel=1e-3)
    assert "budget" in plan.binding
    # A small budget earns less than it costs: nothing is spent.
    assert maximise_profit(demand, 1.0, budget=1.0).profit == 0.0


def test_a_price_is_kept_and_a_demand_without_one_needs_it() -> None:
    plan = maximise_profit(DEMAND, 3.0, price=9.0)
    exact = DEMAND.profit_optimum(3.0, price=9.0)
    assert plan.profit == pytest.approx(exact.profit, rel=1e-9)
    assert "price" in plan.binding
    without = CobbDouglasDemand(5.0, 0.2, 0.3)
    assert maximise_profit(without, 3.0, price=9.0).elasticity_ratio is None


@pytest.mark.parametrize(
    ("demand", "arguments", "message"),
    [
        (DEMAND, {"unit_cost": 0.0}, "unit_cost=0"),
        (DEMAND, {"after_sales_rate": 1.0}, "after_sales_rate=1"),
        (DEMAND, {"bounds": {"prise": (1, 2)}}, "prise"),
        (DEMAND, {"bounds": {"advertising": (5, 2)}}, "lower one first"),
        (DEMAND, {"bounds": {"advertising": (5, 9)}, "budget": 3.0}, "budget=3 is 2 less than the lower bounds"),
        (DEMAND, {"bounds": {"price": (1.0, 2.0)}}, "price=2 earns nothing"),
        (DEMAND, {"price": 5.0, "bounds": {"price": (6.0, 9.0)}}, "within its bounds"),
        (CobbDouglasDemand(1.0, 0.6, 0.6, 2.0), {}, "sum to 1.2 >= 1"),
        (CobbDouglasDemand(1.0, 0.2, 0.2, 0.9), {}, "does not exceed 1"),
        (CobbDouglasDemand(1.0, 0.2, 0.2), {}, "does not exceed 1"),
        (CobbDouglasDemand([1.0, 2.0], 0.2, 0.2, 2.0), {}, "several products"),
    ],
)
def test_bad_questions(demand: CobbDouglasDemand, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        maximise_profit(demand, **{"unit_cost": 3.0, **arguments})
