"""Concave budgets: against SciPy, the optimality conditions, closed forms and invariants."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from marketnn.allocation import (
    CurveSet,
    ExponentialCurve,
    HillCurve,
    LogCurve,
    PowerCurve,
    allocate_budget,
    allocate_mean,
    allocate_scenarios,
)
from marketnn.allocation.concave_budget import price_directed
from marketnn.errors import InputError


def random_curves(generator: np.random.Generator) -> list:
    return [
        HillCurve(generator.uniform(0.5, 3), generator.uniform(0.1, 1), generator.uniform(0.5, 1)),
        LogCurve(generator.uniform(0.5, 3), generator.uniform(0.5, 5)),
        ExponentialCurve(generator.uniform(0.5, 3), generator.uniform(0.5, 5)),
        PowerCurve(generator.uniform(0.5, 3), generator.uniform(0.3, 0.9)),
        LogCurve(generator.uniform(0.5, 3), generator.uniform(0.5, 5)),
    ]


def test_equals_scipy_and_meets_the_optimality_conditions() -> None:
    generator = np.random.default_rng(0)
    for _ in range(25):
        curves = random_curves(generator)
        curve_set = CurveSet(curves)
        lower, upper = generator.uniform(0.01, 0.1, 5), generator.uniform(0.3, 1, 5)
        budget = generator.uniform(0.6, 1.4)
        found = allocate_budget(curves, budget, lower=lower, upper=upper)
        solved = scipy.optimize.minimize(
            lambda x, f=curve_set: -float(f(torch.tensor(x)).sum()),
            lower + (upper - lower) * (budget - lower.sum()) / (upper - lower).sum(),
            jac=lambda x, f=curve_set: -f.derivative(torch.tensor(x)).numpy(),
            method="SLSQP",
            bounds=list(zip(lower, upper, strict=True)),
            constraints={"type": "ineq", "fun": lambda x, b=budget: b - x.sum(), "jac": lambda x: -np.ones(5)},
            options={"ftol": 1e-13, "maxiter": 500},
        )
        assert found.response == pytest.approx(-solved.fun, rel=1e-6)
        assert found.upper_bound >= -solved.fun - 1e-9
        assert found.gap <= 1e-9 * found.response
        assert found.status == "optimal"
        slope = curve_set.derivative(torch.tensor(found.spend)).numpy()
        inside = (found.spend > lower + 1e-9) & (found.spend < upper - 1e-9)
        assert slope[inside] == pytest.approx(found.shadow_price, rel=1e-6)
        assert (slope[found.spend <= lower + 1e-9] <= found.shadow_price * (1 + 1e-6)).all()
        assert (slope[found.spend >= upper - 1e-9] >= found.shadow_price * (1 - 1e-6)).all()


def test_power_curves_have_a_closed_form() -> None:
    scale, exponent, budget = np.array([1.0, 2.0, 4.0]), 0.5, 7.0
    found = allocate_budget([PowerCurve(number, exponent) for number in scale], budget)
    expected = budget * scale**2 / (scale**2).sum()
    assert found.spend == pytest.approx(expected, rel=1e-7)
    assert found.shadow_price == pytest.approx(exponent * np.sqrt((scale**2).sum() / budget), rel=1e-7)


def test_shadow_price_is_the_slope_of_the_best_response() -> None:
    curves = random_curves(np.random.default_rng(1))
    below, at, above = (allocate_budget(curves, budget) for budget in (0.999, 1.0, 1.001))
    assert at.shadow_price == pytest.approx((above.response - below.response) / 0.002, rel=1e-4)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.floats(0.01, 5), st.floats(1.01, 3))
def test_more_budget_never_brings_less_and_units_do_not_matter(seed: int, budget: float, factor: float) -> None:
    generator = np.random.default_rng(seed)
    half, scale = generator.uniform(0.1, 1, 4), generator.uniform(0.5, 3, 4)
    small = allocate_budget(HillCurve(scale, half, 0.8), budget)
    large = allocate_budget(HillCurve(scale, half, 0.8), budget * factor)
    assert small.response <= large.response
    assert large.shadow_price <= small.shadow_price * (1 + 1e-6)
    other_units = allocate_budget(HillCurve(scale * 1e6, half * 1e4, 0.8), budget * 1e4)
    assert other_units.spend / 1e4 == pytest.approx(small.spend, rel=1e-5, abs=1e-8 * budget)
    assert other_units.response / 1e6 == pytest.approx(small.response, rel=1e-9)


def test_scenarios_equal_one_by_one_and_their_mean_bounds_the_common_plan() -> None:
    generator = np.random.default_rng(4)
    scale, half = generator.uniform(0.5, 3, (20, 4)), generator.uniform(0.1, 1, (20, 4))
    curves = HillCurve(scale, half, 0.7)
    apart = allocate_scenarios(curves, 2.0)
    for row in range(20):
        alone = allocate_budget(HillCurve(scale[row], half[row], 0.7), 2.0)
        assert apart.spend[row] == pytest.approx(alone.spend, rel=1e-6)
        assert apart.response[row] == pytest.approx(alone.response, rel=1e-9)
    assert (apart.gap <= 1e-9 * apart.response).all()
    common = allocate_mean(curves, 2.0)
    assert common.gap <= 1e-6 * common.response
    assert common.status == "optimal"
    assert common.response == pytest.approx(float(curves(torch.tensor(common.spend)).sum(-1).mean()), rel=1e-9)
    assert common.response <= apart.upper_bound.mean()
    solved = scipy.optimize.minimize(
        lambda x: -float(curves(torch.tensor(x)).sum(-1).mean()),
        np.full(4, 0.5),
        jac=lambda x: -curves.derivative(torch.tensor(x)).mean(0).numpy(),
        method="SLSQP",
        bounds=[(1e-6, 2)] * 4,
        constraints={"type": "eq", "fun": lambda x: x.sum() - 2, "jac": lambda x: np.ones(4)},
        options={"ftol": 1e-13, "maxiter": 500},
    )
    assert common.response == pytest.approx(-solved.fun, rel=1e-6)


def test_refuses_curves_and_costs_that_are_not_concave() -> None:
    with pytest.raises(InputError, match=r"'tv' is convex up to 0\.79"):
        allocate_budget({"web": LogCurve(1, 1), "tv": HillCurve(1, 1, 3)}, 1.0, method="concave")
    with pytest.raises(InputError, match=r"'1' has a fixed cost of 0\.5"):
        allocate_budget([LogCurve(1, 1), LogCurve(1, 2)], 1.0, method="concave", fixed_cost=[0, 0.5])
    with pytest.raises(InputError, match=r"parameters \(B, K\)"):
        allocate_scenarios(HillCurve([1.0, 2.0], 1, 1), 1.0)


def test_devices_agree(device: torch.device) -> None:
    curves = HillCurve(torch.linspace(1, 3, 8).reshape(2, 4), 0.5, 0.8)
    arguments = [torch.tensor([1.0, 2.0]), torch.zeros(2, 4), torch.full((2, 4), 3.0), torch.zeros(4)]
    arguments = [argument.double() for argument in arguments]
    expected = price_directed(curves, *arguments)
    found = price_directed(curves.to(device), *(argument.to(device) for argument in arguments))
    assert torch.allclose(found.spend_nk.cpu(), expected.spend_nk, rtol=1e-9, atol=0)
    assert torch.allclose(found.bound_n.cpu(), expected.bound_n, rtol=1e-12, atol=0)
