"""Improvements against closed forms, brute force and what must hold of every plan."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketnn.scorecard.improvement import improve


def knapsack(slope: np.ndarray, cost: np.ndarray, reach: np.ndarray, budget: float) -> float:
    """Gain of the fractional knapsack: the index with most gain for its cost first."""
    gain = 0.0
    for place in np.argsort(-np.abs(slope) / cost):
        share = min(reach[place], budget / cost[place])
        gain += abs(slope[place]) * share
        budget -= share * cost[place]
    return gain


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10**6), d=st.integers(1, 6), budget=st.floats(0, 8))
def test_a_monotone_function_of_a_sum_is_a_knapsack(seed: int, d: int, budget: float) -> None:
    rng = np.random.default_rng(seed)
    slope, cost, start = rng.normal(size=d), rng.uniform(0.5, 3, d), rng.uniform(0.2, 0.8, d)
    found = improve(
        lambda x: float(np.tanh(slope @ x)),
        lambda x: slope / np.cosh(slope @ x) ** 2,
        start,
        unit_cost=cost,
        budget=budget,
        lower=np.zeros(d),
        upper=np.ones(d),
    )
    reach = np.where(slope > 0, 1 - start, start)
    assert slope @ (found.x - start) == pytest.approx(knapsack(slope, cost, reach, budget), abs=1e-6)
    assert found.cost <= budget + 1e-9
    assert (np.diff(found.history) > 0).all()
    assert found.gap == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("seed", range(12))
def test_hills_and_valleys_against_a_grid(seed: int) -> None:
    rng = np.random.default_rng(seed)
    w, b, v = 3 * rng.normal(size=(5, 2)), rng.normal(size=5), rng.normal(size=5)
    start, cost, budget = rng.random(2), rng.uniform(1, 2, 2), 0.7

    def value(x: np.ndarray) -> float:
        return float(v @ np.tanh(w @ x + b))

    def gradient(x: np.ndarray) -> np.ndarray:
        return (v / np.cosh(w @ x + b) ** 2) @ w

    found = improve(value, gradient, start, unit_cost=cost, budget=budget, lower=np.zeros(2), upper=np.ones(2))
    axis = np.linspace(0, 1, 121)
    within = [np.array(x) for x in itertools.product(axis, axis) if cost @ np.abs(np.array(x) - start) <= budget]
    best = max(map(value, within))
    assert found.history[-1] >= best - 1e-2 * (best - found.history[0] + 0.1)
    assert found.history[-1] == pytest.approx(value(found.x))
    assert cost @ np.abs(found.x - start) == pytest.approx(found.cost)
    assert found.gap <= 1e-3


def test_the_price_is_what_a_little_more_budget_gains() -> None:
    def plan(budget: float) -> tuple[float, float]:
        found = improve(
            lambda x: float(np.sqrt(1 + x).sum()),
            lambda x: 0.5 / np.sqrt(1 + x),
            np.zeros(3),
            unit_cost=np.array([1.0, 2.0, 4.0]),
            budget=budget,
            lower=np.zeros(3),
            upper=np.full(3, 5.0),
        )
        return found.history[-1], found.price

    (low, price), (high, _) = plan(2.0), plan(2.02)
    assert price == pytest.approx((high - low) / 0.02, rel=0.02)


def test_nothing_to_spend_and_nowhere_to_go_change_nothing() -> None:
    for budget, upper in ((0.0, 1.0), (1.0, 0.5)):
        found = improve(
            lambda x: float(x.sum()),
            np.ones_like,
            np.full(2, 0.5),
            unit_cost=np.ones(2),
            budget=budget,
            lower=np.full(2, 0.5),
            upper=np.full(2, upper),
        )
        assert found.x.tolist() == [0.5, 0.5]
        assert (found.cost, found.gap, found.history.tolist()) == (0.0, 0.0, [1.0])
