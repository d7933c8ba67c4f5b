"""The action of highest expected profit, against a loop over every customer and action."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketnn.classify import expected_profit_action
from marketnn.errors import InputError


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**31), n=st.integers(1, 30), k=st.integers(1, 5))
def test_by_brute_force(seed: int, n: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    p, revenue, cost = rng.random((n, k)), rng.uniform(0, 9, (n, k)), rng.uniform(0, 4, (n, k))
    found = expected_profit_action(p, revenue, cost)
    for i in range(n):
        profits = [p[i, j] * revenue[i, j] - cost[i, j] for j in range(k)]
        best = max(profits)
        assert found.action[i] == (profits.index(best) if best > 0 else -1)
        assert found.expected_profit[i] == pytest.approx(max(best, 0.0))
    assert found.total == pytest.approx(found.expected_profit.sum())


def test_shapes_of_revenue_and_cost() -> None:
    p = np.array([0.9, 0.1, 0.5])
    assert expected_profit_action(p, 10.0, 2.0).action.tolist() == [0, -1, 0]
    assert expected_profit_action(p, [10, 30, 1], 2.0).action.tolist() == [0, 0, -1]
    assert expected_profit_action(p, 10.0, [4.0, 0.5]).action.tolist() == [1, 1, 1]
    two = expected_profit_action(np.column_stack([p, p / 2]), [10.0, 30.0], [1.0, 0.2])
    assert two.action.tolist() == [1, 1, 1]
    by_customer = expected_profit_action(np.column_stack([p, p]), [0.0, 100.0, 0.0], [1.0, 2.0])
    assert by_customer.action.tolist() == [-1, 0, -1]


def test_ties_go_to_the_cheaper_action() -> None:
    assert expected_profit_action([[0.5, 1.0]], [[8.0, 5.0]], [[2.0, 3.0]]).action.tolist() == [0]
    assert expected_profit_action([[1.0, 0.5]], [[5.0, 8.0]], [[3.0, 2.0]]).action.tolist() == [1]
    assert expected_profit_action([0.5], 4.0, 2.0).action.tolist() == [-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.2], 1.0, 0.0), "row 1 hold 1.2"),
        (([[0.5, np.nan]], 1.0, 0.0), "row 1 hold nan"),
        (([0.5], np.inf, 0.0), "revenue holds inf"),
        (([0.5], 1.0, -1.0), "cost holds -1"),
        ((0.5, 1.0, 0.0), r"shape \(\)"),
        (([[0.5, 0.5]], [1.0, 2.0, 3.0], 0.0), r"revenue has shape \(3,\)"),
    ],
)
def test_bad_numbers(arguments: tuple[object, object, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        expected_profit_action(*arguments)
