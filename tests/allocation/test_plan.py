"""Plans over periods and channels: closed forms, SciPy, certificates, budgets that bind, bad input."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import LinearConstraint, minimize

from marketnn.allocation import (
    ExponentialCurve,
    HillCurve,
    LogCurve,
    MeanCurve,
    PowerCurve,
    allocate_budget,
    plan_budget,
    plan_outcomes,
)
from marketnn.errors import InputError

seeds = st.integers(0, 10_000)


def _instance(seed: int, n_channels: int, kind: str) -> tuple:
    rng = np.random.default_rng(seed)
    scale, rate, carry = (rng.uniform(low, high, n_channels) for low, high in ((0.5, 3), (0.5, 3), (0.1, 0.7)))
    curves = {
        "exponential": lambda: ExponentialCurve(scale, rate),
        "hill": lambda: HillCurve(scale, rate, 0.8),
        "s": lambda: HillCurve(scale, rate, rng.uniform(1.3, 4, n_channels)),
        "log": lambda: LogCurve(scale, rate),
        "power": lambda: PowerCurve(scale, rate / 4),
    }[kind]()
    return curves, carry


def _objective(curves, spend, carry, before, discount=0.0):
    effective, total = np.asarray(before, dtype=float), 0.0
    for period, row in enumerate(spend):
        effective = row + carry * effective
        total += float(curves(torch.tensor(effective)).sum()) * (1 + discount) ** -period
    return total


def test_identical_log_curves_share_equally():
    plan = plan_budget(LogCurve([1.0, 1.0, 1.0], 2.0), 12.0, 4, tolerance=1e-10)
    np.testing.assert_allclose(plan.spend, 1.0, rtol=1e-5)
    assert plan.total == pytest.approx(12 * np.log(3), rel=1e-10)
    assert plan.shadow_price == pytest.approx(2 / 3, rel=1e-4)
    assert plan.binding == ("total",)
    assert plan.status == "optimal"


@pytest.mark.parametrize("kind", ["exponential", "hill", "log", "power"])
@pytest.mark.parametrize("own_budgets", [False, True])
def test_no_plan_of_scipy_is_better(kind, own_budgets):
    curves, carry = _instance(3, 3, kind)
    before, per_period = np.array([0.4, 0.0, 1.0]), [1.0, 2.0, 1.5, 3.0, 2.5] if own_budgets else None
    plan = plan_budget(
        curves, 6.0, 5, adstock=carry, carry_in=before, per_period=per_period, upper=1.5, discount=0.02, tolerance=1e-8
    )
    assert plan.total == pytest.approx(_objective(curves, plan.spend, carry, before, 0.02), rel=1e-12)
    rows, limits = [np.ones(15)], [6.0]
    if own_budgets:
        rows += list(np.kron(np.eye(5), np.ones(3)))
        limits += per_period
    found = minimize(
        lambda x: -_objective(curves, x.reshape(5, 3).clip(0), carry, before, 0.02),
        np.full(15, 0.2),
        method="SLSQP",
        bounds=[(1e-9, 1.5)] * 15,
        constraints=LinearConstraint(np.array(rows), -np.inf, np.array(limits)),
        options={"maxiter": 500, "ftol": 1e-12},
    )
    assert plan.total == pytest.approx(-found.fun, rel=1e-6)
    assert -found.fun <= plan.upper_bound * (1 + 1e-7)


@settings(max_examples=25, deadline=None)
@given(seeds, st.sampled_from(["exponential", "hill", "log", "power"]), st.integers(1, 6), st.integers(1, 4))
def test_prices_and_gains_satisfy_kkt(seed, kind, periods, n_channels):
    curves, carry = _instance(seed, n_channels, kind)
    per_period = np.random.default_rng(seed).uniform(0.3, 1.5, periods)
    plan = plan_budget(curves, 0.6 * periods, periods, adstock=carry, per_period=per_period, upper=1.0, tolerance=1e-9)
    x = torch.tensor(plan.spend, requires_grad=True)
    effective, total = torch.zeros(n_channels, dtype=torch.float64), 0.0
    for row in x:
        effective = row + torch.tensor(carry) * effective
        total = total + curves(effective).sum()
    total.backward()
    price = plan.shadow_price + plan.period_shadow_price[:, None]
    excess = x.grad.numpy() - price
    # A spend above its lower bound is worth its price, one below its upper bound no more; the products are the gap's parts.
    dual = plan.shadow_price * 0.6 * periods + plan.period_shadow_price @ per_period + excess.clip(0).sum()
    primal = float((x.grad * x.detach()).sum())
    assert dual == pytest.approx(primal, abs=1e-5 * plan.total)
    assert plan.status == "optimal"


@settings(max_examples=25, deadline=None)
@given(seeds, st.sampled_from(["exponential", "hill", "log", "power"]))
def test_more_budget_is_never_worth_less_and_units_do_not_matter(seed, kind):
    curves, carry = _instance(seed, 3, kind)
    less, more = (plan_budget(curves, budget, 4, adstock=carry, upper=2.0) for budget in (3.0, 4.0))
    assert more.upper_bound >= less.total
    assert more.total >= less.total * (1 - 1e-6)
    in_cents = type(curves)(*type(curves).in_units(100.0, 5.0, *curves.values()))
    scaled = plan_budget(in_cents, 300.0, 4, adstock=carry, upper=200.0)
    assert scaled.total == pytest.approx(5 * less.total, rel=2e-6)


@settings(max_examples=15, deadline=None)
@given(seeds, st.booleans())
def test_certificate_holds_for_s_shaped_curves(seed, carries):
    curves, carry = _instance(seed, 2, "s")
    carry = carry if carries else np.zeros(2)
    plan = plan_budget(curves, 3.0, 2, adstock=carry)
    best = _best_on_coarse_grid(curves, carry)
    assert plan.spend.sum() <= 3 * (1 + 1e-9)
    assert plan.spend.min() >= 0
    assert max(best, plan.total) <= plan.upper_bound * (1 + 1e-9)
    assert plan.total == pytest.approx(_objective(curves, plan.spend, carry, np.zeros(2)), rel=1e-10)
    # Without carry-over the grid of the solver holds the coarse one, so that the plan cannot be worse.
    assert plan.total >= best * (1 - (2e-2 if carries else 1e-9))


def _best_on_coarse_grid(curves, carry):
    """Brute force over the divisions of 3 into ten parts among two periods and two channels."""
    x = torch.tensor([x for x in itertools.product(range(11), repeat=4) if sum(x) <= 10], dtype=torch.float64) * 0.3
    first, second = x[:, :2], x[:, 2:]
    return float((curves(first) + curves(second + torch.tensor(carry) * first)).sum(1).max())


@pytest.mark.parametrize("kind", ["hill", "log", "s"])
def test_one_period_equals_allocate_budget(kind):
    curves, carry = _instance(8, 4, kind)
    plan, allocation = plan_budget(curves, 3.0, 1, adstock=carry), allocate_budget(curves, 3.0)
    assert plan.total == pytest.approx(float(np.sum(allocation.response)), rel=1e-5)


def test_period_budgets_bind_and_all_is_spent():
    curves, carry = _instance(1, 3, "hill")
    plan = plan_budget(curves, 50.0, 3, adstock=carry, per_period=[2.0, 3.0, 1.0])
    np.testing.assert_allclose(plan.spend.sum(1), [2.0, 3.0, 1.0], rtol=1e-4)
    assert plan.binding == ("period 1", "period 2", "period 3")
    assert (plan.period_shadow_price > 0.01).all()
    assert plan.shadow_price < 1e-3
    flat = plan_budget(curves, 6.0, 3, lower=0.5, upper=[[1.0, 0.5, 0.6]] * 3, spend="all", per_period=2.1)
    assert flat.spend.sum() == pytest.approx(6.0, abs=1e-9)
    np.testing.assert_allclose(flat.spend[:, 1], 0.5)


def test_nothing_to_spend_leaves_the_carry_over():
    curves = LogCurve([1.0, 2.0], 1.0)
    plan = plan_budget(curves, 0.0, 2, adstock=[0.5, 0.25], carry_in=[2.0, 4.0], tail=True)
    np.testing.assert_allclose(plan.spend, 0.0)
    np.testing.assert_allclose(plan.response, [np.log(2) + 2 * np.log(2), np.log(1.5) + 2 * np.log(1.25)])
    np.testing.assert_allclose(plan.carry_out, [0.5, 0.25])
    tail = sum(np.log1p(0.5 * 0.5**t) + 2 * np.log1p(0.25 * 0.25**t) for t in range(1, 60))
    assert plan.tail == pytest.approx(tail, rel=1e-7)
    assert plan.total == pytest.approx(plan.response.sum() + tail, rel=1e-7)
    assert plan.gap == 0
    assert plan.status == "optimal"


def test_scenarios_are_planned_each_and_their_mean_once():
    rng = np.random.default_rng(2)
    scale, rate = rng.uniform(0.5, 3, (6, 3)), rng.uniform(0.5, 3, (6, 3))
    draws = ExponentialCurve(scale, rate)
    batch = plan_budget(draws, 5.0, 4, adstock=0.4)
    singles = [plan_budget(ExponentialCurve(*row), 5.0, 4, adstock=0.4) for row in zip(scale, rate, strict=True)]
    np.testing.assert_allclose(batch.total, [single.total for single in singles], rtol=2e-6)
    mean = plan_budget(MeanCurve(draws), 5.0, 4, adstock=0.4)
    outcomes = plan_outcomes(draws, mean.spend, adstock=0.4)
    assert outcomes.mean() == pytest.approx(mean.total, rel=1e-12)
    assert (outcomes <= batch.upper_bound * (1 + 1e-12)).all()
    for other in batch.spend:
        assert plan_outcomes(draws, other, adstock=0.4).mean() <= mean.upper_bound * (1 + 1e-12)


def test_names_align_numbers():
    curves = {"tv": LogCurve(1.0, 2.0), "mail": HillCurve(2.0, 1.0, 0.7)}
    named = plan_budget(curves, 3.0, 2, adstock={"mail": 0.1, "tv": 0.6}, upper={"mail": 1.0, "tv": 2.0})
    plain = plan_budget(list(curves.values()), 3.0, 2, adstock=[0.6, 0.1], upper=[2.0, 1.0])
    np.testing.assert_array_equal(named.spend, plain.spend)
    assert named.channels == ("tv", "mail")
    with pytest.raises(InputError, match="disagree on radio"):
        plan_budget(curves, 3.0, 2, adstock={"mail": 0.1, "tv": 0.6, "radio": 0.1})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"adstock": 1.0}, "adstock rate=1"),
        ({"adstock": float("nan")}, "adstock rate=nan"),
        ({"lower": 1.0}, "add up to 6, 2 more than budget=4"),
        ({"lower": 0.5, "per_period": [2.0, 0.75, 2.0]}, "0.25 more than per_period of period 2"),
        ({"lower": 2.0, "upper": 1.0}, "lower=2 is above upper=1"),
        ({"carry_in": [1.0, float("nan")]}, "carry_in=nan"),
        ({"upper": [1.0, 2.0, 3.0]}, r"upper is no number and no array of shape \(3, 2\)"),
        ({"per_period": 1.0, "spend": "all"}, "leave room for 3, 1 less than budget=4"),
        ({"periods": 0}, "periods=0"),
        ({"budget": -1.0}, "budget=-1"),
        ({"discount": -1.0}, "discount=-1"),
        ({"method": "newton"}, "auto, convex, exchange"),
        ({"curves": HillCurve([1.0, 1.0], 1.0, 2.0), "method": "convex"}, "needs concave curves"),
    ],
)
def test_bad_input_is_named(change, message):
    arguments = {"curves": LogCurve([1.0, 2.0], 1.0), "budget": 4.0, "periods": 3} | change
    with pytest.raises(InputError, match=message):
        plan_budget(**arguments)
