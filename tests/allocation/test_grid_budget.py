"""S-shaped budgets and fixed costs: against a grid twice as fine, SLSQP and brute force, with proofs that hold."""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest
import scipy.optimize
import torch

from marketnn.allocation import HillCurve, LogCurve, PowerCurve, allocate_budget, allocate_mean, allocate_scenarios
from marketnn.allocation.curves import CurveSet
from marketnn.allocation.grid_budget import grid_spend, polish
from marketnn.errors import InputError

LEVELS = 101


def hill(x: np.ndarray, scale: np.ndarray, half: np.ndarray, slope: np.ndarray) -> np.ndarray:
    x = np.maximum(x, 0)
    return scale * x**slope / (x**slope + half**slope)


def fine_grid(parameters: tuple[np.ndarray, ...], fixed_cost: np.ndarray, budget: float) -> float:
    """The best of a grid with twice the levels, in NumPy."""
    grid = np.linspace(0, budget, 2 * LEVELS - 1)
    best = np.zeros(len(grid))
    for scale, half, slope, cost in zip(*parameters, fixed_cost, strict=True):
        reward = hill(grid, scale, half, slope) - cost * (grid > 0)
        best = np.array([(reward[: t + 1] + best[t::-1]).max() for t in range(len(grid))])
    return best[-1]


def random_case(generator: np.random.Generator, n_channels: int) -> tuple[np.ndarray, ...]:
    return (
        generator.uniform(0.5, 3, n_channels),
        generator.uniform(0.1, 0.6, n_channels),
        generator.uniform(1.5, 4, n_channels),
    )


@pytest.mark.parametrize("part", range(4))
def test_loses_nothing_against_a_finer_grid_and_proves_it(part: int) -> None:
    generator = np.random.default_rng(part)
    for case in range(50):
        n_channels = int(generator.integers(2, 9))
        parameters = random_case(generator, n_channels)
        fixed_cost = generator.uniform(0, 0.3, n_channels) * (case % 2)
        budget = generator.uniform(0.3, 2)
        found = allocate_budget(HillCurve(*parameters), budget, fixed_cost=fixed_cost, levels=LEVELS)
        finer = fine_grid(parameters, fixed_cost, budget)
        assert found.response >= finer * (1 - 1e-9)
        assert found.upper_bound >= finer
        assert found.gap <= 1e-6 * found.response
        assert found.status == "optimal"
        brings = (hill(found.spend, *parameters) - fixed_cost * (found.spend > 0)).sum()
        assert found.response == pytest.approx(brings, rel=1e-9)
        assert found.spend.sum() <= budget * (1 + 1e-12)


def test_a_local_solver_loses_where_ours_is_proved() -> None:
    scale, half, slope = np.ones(5), np.full(5, 0.5), np.full(5, 4.0)
    solved = scipy.optimize.minimize(
        lambda x: -hill(x, scale, half, slope).sum(),
        np.full(5, 0.2),
        method="SLSQP",
        bounds=[(0, 1)] * 5,
        constraints={"type": "eq", "fun": lambda x: x.sum() - 1},
    )
    found = allocate_budget(HillCurve(scale, half, slope), 1.0, spend="all")
    assert solved.success
    assert -solved.fun < 0.95 * found.response
    assert found.gap <= 1e-6 * found.response


@pytest.mark.parametrize("budget", [0.7, 1.0, 3.3])
def test_twenty_channels_that_are_alike_are_proved(budget: float) -> None:
    found = allocate_budget(HillCurve(np.ones(20), 0.5, 4.0), budget)
    best = max(n * hill(np.array([budget / n]), np.ones(1), np.full(1, 0.5), np.full(1, 4.0))[0] for n in range(1, 21))
    assert found.response >= best * (1 - 1e-9)
    assert found.status == "optimal"


def test_convex_curves_take_all_or_nothing() -> None:
    found = allocate_budget([PowerCurve(1, 2), PowerCurve(1.5, 2), LogCurve(0.1, 1)], 2.0)
    assert found.spend == pytest.approx([0, 2, 0], abs=1e-6)
    assert found.upper_bound >= 6
    assert found.gap <= 1e-5


def test_bounds_and_spending_all_equal_brute_force() -> None:
    generator = np.random.default_rng(8)
    grid = np.linspace(0, 1, 41)
    for _ in range(15):
        parameters = random_case(generator, 3)
        lower, upper = np.array([0.05, 0, 0]), generator.choice(grid[15:30], 3)
        fixed_cost = generator.uniform(0, 0.5, 3)
        found = allocate_budget(
            HillCurve(*parameters), 1.0, lower=lower, upper=upper, fixed_cost=fixed_cost, spend="all"
        )
        best = max(
            (hill(spend, *parameters) - fixed_cost * (spend > 0)).sum()
            for first, second in itertools.product(grid, grid)
            for spend in [np.array([first, second, round(1 - first - second, 9)])]
            if (spend >= lower - 1e-12).all() and (spend <= upper + 1e-12).all()
        )
        assert found.spend.sum() == pytest.approx(1, abs=1e-9)
        assert (found.spend >= lower - 1e-12).all()
        assert (found.spend <= upper + 1e-12).all()
        assert found.upper_bound >= best - 1e-12
        assert found.response >= best - 1e-5
        assert found.status == "optimal"


def test_polish_never_loses_and_leaves_the_grid() -> None:
    curves = CurveSet([HillCurve([2.0, 1.0, 1.5], [0.3, 0.2, 0.5], [3.0, 2.0, 2.5])])
    budget, lower, upper, cost = (torch.ones(1), torch.zeros(1, 3), torch.ones(1, 3), torch.zeros(3))
    problem = tuple(part.double() for part in (budget, lower, upper, cost))
    spend, value = grid_spend(curves, *problem, levels=11)
    polished = polish(curves, *problem, spend)
    assert float(polished.value_n) >= float(value)
    assert float(polished.spend_nk.sum()) <= 1 + 1e-12


def test_scenarios_and_their_mean_have_honest_bounds() -> None:
    generator = np.random.default_rng(2)
    scale, half, slope = (np.array(part).reshape(12, 3) for part in random_case(generator, 36))
    curves = HillCurve(scale, half, slope)
    apart = allocate_scenarios(curves, 1.0, levels=LEVELS)
    grid = np.linspace(0, 1, LEVELS)
    for row in range(12):
        finer = fine_grid((scale[row], half[row], slope[row]), np.zeros(3), 1.0)
        assert apart.response[row] >= finer * (1 - 1e-3)
        assert apart.upper_bound[row] >= finer
    for spend in ("up_to", "all"):
        common = allocate_mean(curves, 1.0, spend=spend)
        best = max(
            hill(np.array([first, second, 1 - first - second]), scale, half, slope).sum(1).mean()
            for first, second in itertools.product(grid, grid)
            if first + second <= 1
        )
        assert common.response >= best - 1e-9
        assert best <= common.upper_bound
        assert common.status == ("optimal" if common.gap <= 1e-6 * common.response else "gap")


def test_too_few_boxes_leave_a_gap() -> None:
    curves = HillCurve(*random_case(np.random.default_rng(5), 10))
    stopped, proved = allocate_budget(curves, 1.0, max_boxes=1), allocate_budget(curves, 1.0)
    assert stopped.status == "gap"
    assert stopped.response <= proved.response <= stopped.upper_bound
    assert stopped.gap > 1e-3


def test_refuses_grids_beyond_memory() -> None:
    with pytest.raises(InputError, match=r"needs .* GiB, .* over the limit; pass levels="):
        allocate_budget(HillCurve([1.0, 2.0], 1, 2), 1.0, levels=10**9)
    with pytest.raises(InputError, match="levels=1 is no grid"):
        allocate_budget(HillCurve([1.0, 2.0], 1, 2), 1.0, levels=1)


def test_devices_agree(device: torch.device) -> None:
    curves = HillCurve([1.0, 1.0, 1.5], [0.5, 0.5, 0.8], [4.0, 4.0, 3.0])
    expected = allocate_budget(curves, 1.0, levels=11, max_boxes=2)
    found = allocate_budget(copy.deepcopy(curves).to(device), 1.0, levels=11, max_boxes=2)
    assert found.spend == pytest.approx(expected.spend, rel=1e-6, abs=1e-9)
    assert found.upper_bound == pytest.approx(expected.upper_bound, rel=1e-9)
