"""Projects against brute force over all assignments, sums done by hand, and the paper's equations."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from marketnn.allocation import compare_projects, introduce_project
from marketnn.errors import InputError

# P R by customer: a 8, 4, 2, 6 and b 2, 6, 9, 6, so a 20 in all, b 23, the best of both 8 + 6 + 9 + 6 = 29
PROBABILITY = np.array([[0.8, 0.1], [0.4, 0.3], [0.2, 0.45], [0.6, 0.3]])
REVENUE = np.array([10.0, 20.0])
COST = np.array([3.0, 5.0])


def test_four_customers_by_hand() -> None:
    compared = compare_projects(PROBABILITY, REVENUE, COST, ["a", "b"])
    assert compared.choice.tolist() == [0, 1, 1, 0]  # the tie of the last one goes to the first
    assert compared.n_customers.tolist() == [2, 2]
    assert compared.benefit == pytest.approx(29 - 8)
    assert compared.benefit_alone == pytest.approx([17, 18])
    assert compared.current_benefit == pytest.approx(17)
    assert compared.gain == pytest.approx(4)
    assert compared.break_even_fixed_cost == pytest.approx([6, 9])
    assert compared.go.tolist() == [True, True]
    assert compared.offline == ()
    assert compared.launch.open.tolist() == [True, True]
    assert compared.launch_gain == pytest.approx(4)
    assert compared.movers("a", "b").tolist() == [1, 2]
    assert compared.key_users("a", "b", low=0.3, high=0.4).tolist() == [2]
    assert compared.key_users("a", "b").tolist() == [1, 2]  # medians .5 and .3
    assert compared.table.loc["b", "break_even_fixed_cost"] == pytest.approx(9)
    assert compared.moves.to_numpy().tolist() == [[2, 0, 0], [0, 2, 0]]


def test_a_project_that_costs_its_break_even_stays_offline() -> None:
    compared = compare_projects(PROBABILITY, REVENUE, [3.0, 9.0], ["a", "b"])
    assert compared.gain == pytest.approx(0)
    assert compared.offline == ("b",)
    assert compared.launch.open.tolist() == [True, False]
    assert compared.launch.value == pytest.approx(17)
    assert compared.moves.to_numpy().tolist() == [[2, 0, 0], [2, 0, 0]]
    assert compare_projects(PROBABILITY, REVENUE, [3.0, 8.99], ["a", "b"]).go.tolist() == [True, True]


def test_without_a_current_project_the_best_one_alone_is_launched() -> None:
    compared = compare_projects(PROBABILITY, REVENUE, [7.0, 5.0], current=None)
    assert compared.current_benefit == 0
    assert compared.launch.open.tolist() == [False, True]
    assert compared.launch_gain == pytest.approx(18)
    kept = compare_projects(PROBABILITY, REVENUE, [7.0, 5.0])
    assert kept.launch.open.tolist() == [True, True]
    assert kept.offline == ("0",)  # it stays, but earns 6 and costs 7


def test_the_rule_is_the_best_of_all_assignments() -> None:
    rng = np.random.default_rng(0)
    for case in range(2000):
        n, j = int(rng.integers(1, 5)), int(rng.integers(1, 4))
        probability = rng.integers(0, 5, (n, j)) / 4 if case % 2 else rng.random((n, j))
        revenue = rng.integers(0, 4, (n, j)).astype(float)
        cost = rng.random(j)
        compared = compare_projects(probability, revenue, cost)
        worth = probability * revenue
        totals = [worth[np.arange(n), list(choice)].sum() for choice in itertools.product(range(j), repeat=n)]
        assert compared.benefit == pytest.approx(max(totals) - cost.sum(), abs=1e-12)
        assert compared.choice.tolist() == worth.argmax(1).tolist()


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.integers(2, 6), st.integers(1, 30))
def test_go_and_break_even_agree_with_the_best_set(seed: int, j: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    probability, revenue, cost = rng.random((n, j)), rng.random((n, j)), rng.random(j) * n / 8
    compared = compare_projects(probability, revenue, cost)
    worth, is_open = probability * revenue, compared.launch.open
    assert compared.launch_gain >= max(compared.gain, 0) - 1e-9
    assert compared.go[1:].tolist() == is_open[1:].tolist()
    for project in range(j):
        with_it, without = is_open.copy(), is_open.copy()
        with_it[project], without[project] = True, False
        uplift = worth[:, with_it].max(1).sum() - (worth[:, without].max(1).sum() if without.any() else 0)
        assert compared.break_even_fixed_cost[project] == pytest.approx(uplift, abs=1e-9)


def test_two_projects_are_equations_4_to_7() -> None:
    rng = np.random.default_rng(1)
    p_a, p_b, r_a, r_b = rng.random((4, 50))
    compared = compare_projects(np.stack([p_a, p_b], 1), np.stack([r_a, r_b], 1), [1.0, 2.0])
    introduced = introduce_project(p_a, p_b, r_a, r_b, 1.0, 2.0, r_a * p_a / r_b)  # eq. 13
    assert float(introduced.benefit) == pytest.approx(compared.benefit)
    assert float(introduced.benefit_without) == pytest.approx(compared.current_benefit)
    assert float(introduced.gain) == pytest.approx(compared.gain)
    assert float(introduced.gain) == pytest.approx(np.maximum(p_b * r_b - p_a * r_a, 0).sum() - 2)
    assert [int(introduced.n_a), int(introduced.n_b)] == compared.n_customers.tolist()
    assert float(introduced.break_even_fixed_cost) == pytest.approx(compared.break_even_fixed_cost[1])


def test_the_best_proportional_rule_is_the_ratio_of_revenues() -> None:
    p_a, p_b = np.random.default_rng(2).random((2, 20_000))
    k = np.linspace(0.1, 0.9, 81)[:, None]
    introduced = introduce_project(p_a, p_b, 2.0, 5.0, 10.0, 10.0, k * p_a)
    assert introduced.benefit.shape == (81,)
    assert k[int(introduced.benefit.argmax()), 0] == pytest.approx(0.4, abs=0.02)  # R_a / R_b, eq. 12
    at_ratio = introduce_project(p_a, p_b, 2.0, 5.0, 10.0, 10.0, 0.4 * p_a).benefit
    assert bool((introduced.benefit <= at_ratio + 1e-9).all())
    assert bool((introduced.n_a + introduced.n_b == 20_000).all())


def test_a_tie_goes_to_b_as_equation_4_says() -> None:
    introduced = introduce_project([0.5], [0.5], 1.0, 1.0, 0.0, 0.0, [0.5])
    assert (int(introduced.n_a), int(introduced.n_b)) == (0, 1)
    assert not bool(introduced.launch)


def test_tensors_on_a_device(device: torch.device) -> None:
    rng = np.random.default_rng(3)
    probability, revenue, cost = rng.random((300, 5)), rng.random(5), rng.random(5) * 10
    here = compare_projects(probability, revenue, cost)
    there = compare_projects(torch.tensor(probability).to(device), torch.tensor(revenue).to(device), cost)
    assert there.choice.tolist() == here.choice.tolist()
    assert there.launch.open.tolist() == here.launch.open.tolist()
    assert there.break_even_fixed_cost.tolist() == here.break_even_fixed_cost.tolist()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"probability": PROBABILITY * 2}, r"outside \[0, 1\] or NaN in 2 rows \(1, 4\)"),
        ({"probability": np.where(PROBABILITY == 0.1, np.nan, PROBABILITY)}, "NaN in row 1"),
        ({"probability": PROBABILITY[0]}, r"shape \(2,\)"),
        ({"revenue": [1.0, 2.0, 3.0]}, r"revenue has shape \(3,\)"),
        ({"revenue": [1.0, -2.0]}, "revenue is negative"),
        ({"revenue": [1.0, np.nan]}, "revenue is negative, NaN"),
        ({"fixed_cost": [1.0]}, r"fixed_cost has shape \(1,\) for 2 offers"),
        ({"fixed_cost": [1.0, -1.0]}, "fixed_cost is -1 at offer 1"),
        ({"names": ["a"]}, "1 names"),
        ({"names": ["a", "a"]}, "1 distinct"),
        ({"names": ["mail", "call"], "current": "cal"}, "Did you mean 'call'"),
        ({"current": 2}, "unknown project '2'"),
    ],
)
def test_bad_input_is_named(changes: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"probability": PROBABILITY, "revenue": REVENUE, "fixed_cost": COST, **changes}
    with pytest.raises(InputError, match=message):
        compare_projects(**arguments)


def test_an_unknown_project_and_bad_scores_are_named() -> None:
    with pytest.raises(InputError, match="unknown project 'c'"):
        compare_projects(PROBABILITY, REVENUE, COST, ["a", "b"]).movers("a", "c")
    with pytest.raises(InputError, match=r"outside \[0, 1\]"):
        introduce_project([1.5], [0.5], 1.0, 1.0, 0.0, 0.0, [0.5])
    with pytest.raises(InputError, match="NaN or infinite"):
        introduce_project([0.5], [0.5], np.nan, 1.0, 0.0, 0.0, [0.5])
    with pytest.raises(InputError, match="the last must be customers"):
        introduce_project([0.5, 0.5], [0.5, 0.5, 0.5], 1.0, 1.0, 0.0, 0.0, [0.5])
