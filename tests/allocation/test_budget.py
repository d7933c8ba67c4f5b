"""Budgets by name: alignment, constraints that bind, the least budget for a target, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from marketnn.allocation import ExponentialCurve, HillCurve, LogCurve, PowerCurve, allocate_budget, least_budget
from marketnn.errors import InputError

CURVES = {"tv": HillCurve(3, 0.4, 3), "web": HillCurve(2, 0.2, 1), "radio": LogCurve(1, 2)}
CONCAVE = {"web": HillCurve(2, 0.2, 1), "radio": LogCurve(1, 2), "mail": ExponentialCurve(1, 3)}


def test_names_in_another_order_are_aligned() -> None:
    by_name = allocate_budget(CURVES, 1.0, upper={"radio": 0.02, "tv": 0.5}, lower={"web": 0.3})
    by_place = allocate_budget(list(CURVES.values()), 1.0, upper=[0.5, np.inf, 0.02], lower=[0, 0.3, 0])
    assert by_name.spend == pytest.approx(by_place.spend)
    assert by_name.channels == ("tv", "web", "radio")
    assert by_place.channels == ("0", "1", "2")


def test_names_the_constraints_that_bind() -> None:
    free = allocate_budget(CONCAVE, 1.0)
    assert free.binding == ("budget",)
    held = allocate_budget(CONCAVE, 1.0, lower={"mail": 0.6}, upper={"web": 0.1})
    assert held.binding == ("budget", "upper of web", "lower of mail")
    loose = allocate_budget(CONCAVE, 1.0, upper=0.2)
    assert loose.binding == ("upper of web", "upper of radio", "upper of mail")
    assert loose.shadow_price == 0


def test_frozen_channels_stay_and_the_others_share_the_rest() -> None:
    found = allocate_budget(CONCAVE, 1.0, frozen={"radio": 0.25})
    rest = allocate_budget({name: CONCAVE[name] for name in ("web", "mail")}, 0.75)
    assert found.spend[1] == 0.25
    assert found.spend[[0, 2]] == pytest.approx(rest.spend, rel=1e-6)
    assert "frozen radio" in found.binding


def test_fixed_costs_close_a_channel() -> None:
    open_ = allocate_budget(CURVES, 1.0)
    closed = allocate_budget(CURVES, 1.0, fixed_cost={"radio": 0.2})
    without = allocate_budget({name: CURVES[name] for name in ("tv", "web")}, 1.0)
    assert open_.spend[2] > 0
    assert closed.spend[2] == 0
    assert closed.response == pytest.approx(without.response, rel=1e-6)


def test_money_is_left_over_only_where_that_is_allowed() -> None:
    fixed = {"a": PowerCurve(1.0, 0.5), "b": PowerCurve(0.1, 0.5)}
    limits = {"upper": {"a": 0.5}, "fixed_cost": {"b": 0.5}}
    assert allocate_budget(fixed, 1.0, **limits).spend == pytest.approx([0.5, 0])
    forced = allocate_budget(fixed, 1.0, spend="all", **limits)
    assert forced.spend == pytest.approx([0.5, 0.5])
    assert forced.response == pytest.approx(1.1 * np.sqrt(0.5) - 0.5)
    assert forced.status == "optimal"


def test_no_budget_brings_nothing() -> None:
    found = allocate_budget(CURVES, 0.0)
    assert found.spend.tolist() == [0, 0, 0]
    assert (found.response, found.upper_bound, found.status) == (0, 0, "optimal")


def test_curves_that_bring_nothing() -> None:
    found = allocate_budget([LogCurve(0, 1), HillCurve(0, 1, 2)], 1.0, spend="all")
    assert found.spend.sum() == pytest.approx(1)
    assert (found.response, found.upper_bound) == (0, 0)


@pytest.mark.parametrize("curves", [CURVES, CONCAVE])
def test_least_budget_brings_the_target_and_less_does_not(curves: dict) -> None:
    found = least_budget(curves, 2.0, max_budget=3.0)
    assert found.response >= 2.0
    assert found.spend.sum() <= found.budget * (1 + 1e-12)
    assert found.status == "optimal"
    assert found.gap <= 3e-4
    assert allocate_budget(curves, found.lower_bound).upper_bound < 2.0


def test_least_budget_has_a_closed_form_for_one_channel() -> None:
    found = least_budget([PowerCurve(2, 0.5)], 3.0, max_budget=10.0, tolerance=1e-6)
    assert found.budget == pytest.approx(2.25, abs=1e-5)
    assert found.lower_bound <= 2.25 <= found.budget
    assert least_budget([PowerCurve(2, 0.5)], 0.0, max_budget=10.0).budget == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"budget": -1.0}, "budget=-1"),
        ({"budget": float("nan")}, "budget=nan"),
        ({"lower": [0.5, 0.5, 0.5]}, r"lower bounds add up to 1\.5, 0\.5 more than the budget=1"),
        ({"lower": {"tv": 0.5}, "upper": {"tv": 0.25}}, r"'tv' has lower=0\.5 above upper=0\.25, by 0\.25"),
        ({"upper": 0.25, "spend": "all"}, r"upper bounds add up to 0\.75, 0\.25 less than the budget=1"),
        ({"lower": {"tvv": 0.5}}, "unknown channel in lower 'tvv'. Did you mean 'tv'"),
        ({"frozen": {"press": 0.5}}, "unknown frozen channel 'press'"),
        ({"frozen": {"tv": 1.5}}, r"0\.5 more than the budget"),
        ({"upper": [1.0, 2.0]}, r"upper has shape \(2,\) for 3 channels"),
        ({"upper": [1.0, float("nan"), 1.0]}, "upper=nan"),
        ({"fixed_cost": -1}, "fixed_cost=-1"),
        ({"lower": float("inf")}, "lower=inf"),
        ({"spend": "some"}, "unknown spend 'some'"),
        ({"method": "slsqp"}, "unknown method 'slsqp'"),
        ({"tolerance": -1}, "tolerance=-1"),
        ({"max_boxes": 0}, "max_boxes=0"),
        ({"curves": []}, "no curves"),
        ({"curves": {"tv": HillCurve([1.0, 2.0], 1, 1)}}, "1 names for 2 curves"),
    ],
)
def test_refuses_what_cannot_be_met(arguments: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        allocate_budget(**{"curves": CURVES, "budget": 1.0, **arguments})


def test_refuses_targets_out_of_reach() -> None:
    with pytest.raises(InputError, match=r"target=9 is out of reach: max_budget=1 brings .* less"):
        least_budget(CURVES, 9.0, max_budget=1.0)
    with pytest.raises(InputError, match="spend has no meaning"):
        least_budget(CURVES, 1.0, max_budget=1.0, spend="all")
    with pytest.raises(InputError, match="target=nan"):
        least_budget(CURVES, float("nan"), max_budget=1.0)
