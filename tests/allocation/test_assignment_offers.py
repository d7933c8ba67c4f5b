"""assign_offers by hand: eq. 13 without limits, prices as what one more contact adds, launch sets, warm starts, bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from marketnn.allocation import assign_offers
from marketnn.errors import InputError


def values(n: int, k: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(1, 2, (n, k))


def test_without_limits_everybody_gets_the_best_offer_and_prices_are_zero() -> None:
    value = values(50_000, 7)
    result = assign_offers(value)
    expected = np.where(value.max(1) > 0, value.argmax(1), -1)
    assert np.array_equal(result.offer, expected)
    assert np.array_equal(result.shadow_price, np.zeros(7))
    assert result.value == pytest.approx(value.max(1).clip(0).sum(), rel=1e-14)
    assert (result.status, result.n_without_offer, result.channel_price) == ("optimal", 0, {})


@pytest.mark.parametrize("capacity", [[2, 3], [2, np.inf]])
def test_two_offers_by_hand(capacity: list[float]) -> None:
    value = [[5, 1], [4, 3], [3, 2], [2, -1], [-1, -2]]
    result = assign_offers(value, capacity=capacity)
    assert result.offer.tolist() == [0, 1, 1, 0, -1]
    assert result.value == 12
    assert 0 < result.shadow_price[0] <= 2  # the third contact of offer 0 moves customer 1 or 2 and adds 1
    assert result.shadow_price[1] == 0


def test_shadow_prices_lie_between_one_contact_less_and_one_more() -> None:
    value, capacity = values(400, 3), np.array([40, 60, 80])
    result = assign_offers(value, capacity=capacity)
    for j, step in enumerate(np.eye(3, dtype=int)):
        more = assign_offers(value, capacity=capacity + step).value - result.value
        less = result.value - assign_offers(value, capacity=capacity - step).value
        assert more - 1e-9 <= result.shadow_price[j] <= less + 1e-9


def test_a_closed_offer_is_priced_by_its_first_contact() -> None:
    value, capacity = values(400, 3), np.array([40, 0, 80])
    result = assign_offers(value, capacity=capacity)
    more = assign_offers(value, capacity=[40, 1, 80]).value - result.value
    assert not (result.offer == 1).any()
    assert result.shadow_price[1] == pytest.approx(more, rel=0.05)
    assert result.shadow_price[1] >= more - 1e-9


def test_channels_by_name_in_any_order() -> None:
    value = values(200, 4)
    by_name = assign_offers(
        value,
        channel=["mail", "call", "mail", "web"],
        channel_budget={"call": 30, "mail": 40},
        cost=[1, 3, 2, 1],
    )
    by_index = assign_offers(value, channel=[0, 1, 0, 2], channel_budget=[40, 30, np.inf], cost=[1, 3, 2, 1])
    assert by_name.value == pytest.approx(by_index.value, rel=1e-9)
    spent = np.bincount(by_name.offer + 1, minlength=5)[1:] * [1, 3, 2, 1]
    assert spent[1] <= 30
    assert spent[0] + spent[2] <= 40
    assert by_name.channel_price["web"] == 0 < min(by_name.channel_price["call"], by_name.channel_price["mail"])


def test_customers_without_an_eligible_offer_are_counted() -> None:
    value, eligible = values(100, 3), np.ones((100, 3), dtype=bool)
    eligible[[3, 50, 99]] = False
    eligible[:, 2] = False
    result = assign_offers(value, eligible=eligible, capacity=[20, 20, 20])
    assert result.n_without_offer == 3
    assert (result.offer[[3, 50, 99]] == -1).all()
    assert not (result.offer == 2).any()
    assert result.value == assign_offers(np.where(eligible, value, -np.inf), capacity=[20, 20, 20]).value


def test_fixed_costs_and_minimum_volumes_open_the_best_set() -> None:
    value, capacity = values(120, 3, seed=4), np.array([50, 50, 50])
    fixed_cost, minimum = np.array([20.0, 60.0, 30.0]), np.array([10, 45, 0])
    result = assign_offers(value, capacity=capacity, fixed_cost=fixed_cost, minimum=minimum)
    best = 0.0
    for number in range(8):
        is_open = (number >> np.arange(3)) & 1 == 1
        part = assign_offers(value, capacity=np.where(is_open, capacity, 0))
        counts = np.bincount(part.offer + 1, minlength=4)[1:]
        if (counts >= np.where(is_open, minimum, 0)).all():
            best = max(best, part.value - fixed_cost[is_open].sum())
    assert result.status == "optimal"
    assert best - 1e-9 <= result.value <= result.upper_bound
    counts = np.bincount(result.offer + 1, minlength=4)[1:]
    assert ((counts == 0) | ((counts >= minimum) & (counts <= capacity))).all()


def test_a_warm_start_ends_at_the_same_value() -> None:
    value, capacity = values(60_000, 5), np.full(5, 4_000)
    cold = assign_offers(value, capacity=capacity)
    warm = assign_offers(value * 1.01, capacity=capacity, warm_start=cold)
    assert warm.status == cold.status == "optimal"
    assert warm.value == pytest.approx(1.01 * cold.value, rel=1e-12)


def test_the_rounds_limit_gives_a_gap_and_no_optimum() -> None:
    value = values(40, 3)
    rng = np.random.default_rng(1)
    result = assign_offers(
        value,
        channel=[0, 0, 0],
        channel_budget=[10.0],
        cost=rng.uniform(0.5, 2, (40, 3)),
        max_nodes=0,
        max_rounds=1,
    )
    assert result.value <= result.upper_bound
    assert result.status == ("optimal" if result.gap <= 1e-9 else "gap")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"value": [[1.0, np.nan], [0.0, 1.0]]}, "value is NaN or infinite in row 1"),
        ({"value": [[1.0, 2.0], [np.inf, 1.0]]}, "value is NaN or infinite in row 2"),
        ({"value": [1.0, 2.0]}, r"value has shape \(2,\)"),
        ({"value": np.zeros((0, 2))}, r"value has shape \(0, 2\)"),
        ({"capacity": [1]}, r"capacity has shape \(1,\) for 2 offers"),
        ({"capacity": [1, -1]}, "capacity is -1 at offer 1"),
        ({"capacity": [1.5, 1]}, "capacity is 1.5 at offer 0"),
        ({"capacity": [np.nan, 1]}, "capacity is nan at offer 0"),
        ({"minimum": [0.5, 0]}, "minimum is 0.5 at offer 0"),
        ({"eligible": [[1, 0], [1, 1]]}, "give booleans"),
        ({"channel_budget": {"call": 1}}, "channel_budget needs channel"),
        ({"channel_budget": {"call": 1}, "channel": ["call"]}, "channel names 1 channels for 2 offers"),
        ({"channel_budget": {"cal": 1}, "channel": ["call", "mail"]}, "unknown channel 'cal'. Did you mean 'call'"),
        ({"channel_budget": {"call": -1}, "channel": ["call", "mail"]}, "channel_budget is -1 for 'call'"),
        ({"channel_budget": [1, 2], "channel": [0, 1], "cost": [-1, 1]}, "cost is -1 at offer 0"),
        ({"channel_budget": [1, 2], "channel": [0, 1], "cost": np.ones((3, 2))}, r"cost has shape \(3, 2\)"),
        (
            {"channel_budget": [1, 2], "channel": [0, 1], "cost": [[1, 1], [1, -2]]},
            "cost is negative, NaN or infinite in row 2",
        ),
        ({"channel_budget": [1, 2], "channel": ["call", "mail"]}, "channel is 'call'; give budgets by name"),
        ({"fixed_cost": [-1, 0]}, "fixed_cost is -1"),
    ],
)
def test_bad_input_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        assign_offers(**{"value": [[1.0, 2.0], [3.0, 1.0]], **arguments})


def test_a_warm_start_for_other_offers_is_refused() -> None:
    with pytest.raises(InputError, match="warm_start belongs to other offers"):
        assign_offers(values(10, 3), warm_start=assign_offers(values(10, 2)))


def test_the_same_seed_gives_the_same_answer_and_nothing_global_moves() -> None:
    value, capacity = values(50_000, 4), [3_000, 5_000, 100, 0]
    state = torch.random.get_rng_state()
    one, other = (assign_offers(value, capacity=capacity, seed=3) for _ in range(2))
    assert np.array_equal(one.offer, other.offer)
    assert np.array_equal(one.shadow_price, other.shadow_price)
    assert torch.equal(state, torch.random.get_rng_state())
