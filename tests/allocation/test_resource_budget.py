"""Many resources under one budget: against brute force and SciPy's mixed-integer solver, with certificates that hold."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.optimize

from marketnn.allocation import allocate_resource, allocate_resources
from marketnn.allocation import unit_knapsack as knapsack
from marketnn.allocation.demand import poisson
from marketnn.errors import InputError


def losses(pmf: np.ndarray, surplus: np.ndarray, shortage: np.ndarray) -> np.ndarray:
    m, x = np.indices((pmf.shape[1],) * 2)
    return surplus[:, None] * (pmf @ np.maximum(m - x, 0).T) + shortage[:, None] * (pmf @ np.maximum(x - m, 0).T)


@pytest.mark.parametrize("kind", ["equal", "whole", "any"])
def test_equals_brute_force_and_the_certificate_holds(kind: str) -> None:
    generator = np.random.default_rng(len(kind))
    for _ in range(100):
        pmf = generator.dirichlet(np.full(5, 0.6), 3)
        surplus, shortage = generator.uniform(0.1, 2, 3), generator.uniform(0.1, 5, 3)
        costs = {
            "equal": np.full(3, 1.7),
            "whole": generator.integers(1, 5, 3).astype(float),
            "any": generator.uniform(0.5, 3, 3),
        }[kind]
        budget = generator.uniform(0, 18)
        found = allocate_resources(pmf, surplus_cost=surplus, shortage_cost=shortage, unit_cost=costs, budget=budget)
        table = losses(pmf, surplus, shortage)
        best = min(
            sum(table[r, m] for r, m in enumerate(quantities))
            for quantities in itertools.product(range(5), repeat=3)
            if costs @ np.array(quantities) <= budget
        )
        assert found.expected_loss == pytest.approx(best, abs=1e-12)
        assert found.status == "optimal"
        assert found.lower_bound <= best + 1e-12
        assert found.gap == pytest.approx(0, abs=1e-12)
        assert found.spent == pytest.approx(costs @ found.quantity)
        assert found.spent <= budget + 1e-9
        assert found.losses == pytest.approx(table[np.arange(3), found.quantity])


def test_equals_a_mixed_integer_solver_on_forty_resources() -> None:
    generator = np.random.default_rng(2)
    pmf = poisson(generator.uniform(2, 15, 40)).pmf.numpy()
    shortage, costs = generator.uniform(1, 5, 40), generator.uniform(0.5, 3, 40)
    found = allocate_resources(pmf, surplus_cost=0.5, shortage_cost=shortage, unit_cost=costs, budget=400)
    table = losses(pmf, np.full(40, 0.5), shortage)
    gains = np.maximum(table[:, :-1] - table[:, 1:], 0)
    weights = np.repeat(costs, gains.shape[1])
    solved = scipy.optimize.milp(
        -gains.ravel(),
        integrality=np.ones(gains.size),
        bounds=scipy.optimize.Bounds(0, 1),
        constraints=scipy.optimize.LinearConstraint(weights, ub=400),
    )
    assert solved.status == 0
    assert found.expected_loss <= table[:, 0].sum() + solved.fun + 1e-6
    assert found.lower_bound >= table[:, 0].sum() + solved.mip_dual_bound - 1e-6
    assert found.status == "optimal"


def test_enough_money_is_the_newsvendor_at_no_price() -> None:
    pmf = poisson(np.array([3.0, 8.0, 20.0])).pmf
    found = allocate_resources(pmf, surplus_cost=1, shortage_cost=[2, 3, 4], unit_cost=2, budget=1e6)
    alone = allocate_resource(pmf, surplus_cost=1, shortage_cost=np.array([2, 3, 4]))
    assert found.quantity.tolist() == alone.newsvendor.tolist()
    assert found.expected_loss == pytest.approx(alone.expected_loss.newsvendor.sum().item())
    assert found.shadow_price == 0


def test_the_shadow_price_is_what_one_more_unit_saves() -> None:
    pmf = poisson(np.array([3.0, 8.0, 20.0])).pmf
    options = {"surplus_cost": 1, "shortage_cost": [2, 3, 4], "unit_cost": 2.0}
    found, more = (allocate_resources(pmf, budget=budget, **options) for budget in (30, 32))
    assert found.expected_loss - more.expected_loss == pytest.approx(2 * found.shadow_price)
    assert found.shadow_price > 0
    assert found.spent == 30
    nothing = allocate_resources(pmf, budget=0, **options)
    assert nothing.quantity.tolist() == [0, 0, 0]
    assert nothing.expected_loss == pytest.approx(2 * 3 + 3 * 8 + 4 * 20, rel=1e-6)


def test_a_budget_of_tenths_buys_what_it_should() -> None:
    pmf = np.tile([0, 0, 0, 1.0], (1, 1))
    assert allocate_resources(pmf, surplus_cost=1, shortage_cost=1, unit_cost=0.1, budget=0.3).quantity.tolist() == [3]


def test_a_list_that_grows_too_long_says_gap_with_a_bound_that_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    pmf = poisson(generator.uniform(2, 15, 40)).pmf
    options = {
        "surplus_cost": 0.5,
        "shortage_cost": generator.uniform(1, 5, 40),
        "unit_cost": generator.uniform(0.5, 3, 40),
    }
    proved = allocate_resources(pmf, budget=300, **options)
    monkeypatch.setattr(knapsack, "_MAX_STATES", 3)
    cut = allocate_resources(pmf, budget=300, **options)
    assert (proved.status, cut.status) == ("optimal", "gap")
    assert cut.lower_bound <= proved.expected_loss <= cut.expected_loss
    assert cut.gap == pytest.approx(cut.expected_loss - cut.lower_bound)
    assert cut.spent <= 300


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"pmf": [0.5, 0.5]}, r"shape \(2,\); pass a row of probabilities per resource"),
        ({"pmf": [[0.5, 0.4], [1, 0]]}, r"pmf\[0\] sums to 0\.9"),
        ({"budget": -1}, r"budget=-1 is not possible"),
        ({"budget": math.nan}, r"budget=nan"),
        ({"unit_cost": [1, 0]}, r"unit_cost=0 of resource 1"),
        ({"unit_cost": [1, 2, 3]}, r"unit_cost=\[1, 2, 3\] is neither a number nor one per pmf \(2,\)"),
        ({"surplus_cost": -1}, r"surplus_cost=-1"),
    ],
)
def test_bad_input_is_refused(changed: dict, message: str) -> None:
    given = {"pmf": [[0.5, 0.5], [1, 0]], "surplus_cost": 1, "shortage_cost": 1, "unit_cost": 1, "budget": 1} | changed
    with pytest.raises(InputError, match=message):
        allocate_resources(given.pop("pmf"), **given)
