"""The parts of the planning: each number against a closed form, brute force or an invariant, and each arrow between them."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from marketnn.data import Table, TableOptions, assemble
from marketnn.data.projects import Project
from marketnn.data.table import Raw
from marketnn.errors import InputError
from marketnn.pipeline.omnichannel import Config
from marketnn.pipeline.omnichannel.allotment import Allotment, allot, benefit
from marketnn.pipeline.omnichannel.case import calibrate
from marketnn.pipeline.omnichannel.fitness import segment_rates
from marketnn.pipeline.omnichannel.outcomes import current_place, offered, read_outcome
from marketnn.pipeline.omnichannel.quarters import plan_quarters
from marketnn.pipeline.omnichannel.resources import order_pmf, provide
from marketnn.pipeline.parts import Parts

PARTS = Parts(data={}, device="cpu")
NAMES = ["segment 1", "segment 2"]
RNG = np.random.default_rng(0)
N = 200
PROBABILITY = RNG.uniform(size=(N, 3))
LABELS = (np.arange(N) % 3 == 0).astype(int)
PROJECTS = (
    Project("mail", 40.0, "y", cost=1.0, channel="post"),
    Project("call", 60.0, "y", fixed_cost=50.0, cost=4.0, capacity=60, channel="phone"),
    Project("app", 35.0, "y", fixed_cost=20.0, channel="push"),
)


def table(**columns: object) -> Table:
    return assemble(Raw(pd.DataFrame(columns), TableOptions(), "customers.csv"))


def allotted(config: Config | None = None, *, at: int = 1, **changes: Any) -> Allotment:
    """Assign with one project changed."""
    projects = [replace(found, **changes) if place == at else found for place, found in enumerate(PROJECTS)]
    return allot(PROBABILITY, projects, 0, config or Config(), PARTS)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.floats(0, 1), max_size=40))
def test_the_orders_of_independent_customers(probability: list[float]) -> None:
    pmf = np.ones(1)
    for p in probability:
        pmf = np.convolve(pmf, [1 - p, p])
    found = order_pmf(torch.tensor(probability, dtype=torch.float64)).numpy()
    np.testing.assert_allclose(found, pmf, atol=1e-14)
    assert found.sum() == pytest.approx(1, abs=1e-12)


def test_many_orders_have_their_mean_and_variance() -> None:
    p = torch.from_numpy(RNG.uniform(size=5_000))
    pmf, x = order_pmf(p), torch.arange(5_001, dtype=torch.float64)
    mean = float(pmf @ x)
    assert mean == pytest.approx(float(p.sum()), rel=1e-10)
    assert float(pmf @ (x - mean) ** 2) == pytest.approx(float((p * (1 - p)).sum()), rel=1e-8)


def test_a_rate_counts_the_mean_of_all_as_one_customer_more() -> None:
    rates = segment_rates(np.array([1.0, 0.0, 1.0, 1.0]), np.array([0, 0, 1, 1]), 3)
    np.testing.assert_allclose(rates, [(1 + 0.75) / 3, (2 + 0.75) / 3, 0.75])


def test_a_benefit_is_its_sums() -> None:
    income = np.array([[4.0, 9.0], [5.0, 1.0], [2.0, 8.0]])
    found = benefit(income, np.array([1.0, 2.0]), np.array([10.0, 0.5]), np.array([1, -1, 1]))
    assert found == {
        "customers": 2,
        "expected_revenue": 17.0,
        "contact_cost": 4.0,
        "fixed_cost": 0.5,
        "benefit": 12.5,
    }


def test_without_limits_and_costs_everybody_gets_the_largest_product() -> None:
    free = [replace(project, fixed_cost=0.0, cost=0.0, capacity=None) for project in PROJECTS]
    found = allot(PROBABILITY, free, 0, Config(), PARTS)
    np.testing.assert_array_equal(found.offer, (PROBABILITY * [40, 60, 35]).argmax(axis=1))
    assert (found.assigned.shadow_price == 0).all()
    assert found.benefits["benefit"].iloc[1] == pytest.approx(found.assigned.value, rel=1e-12)


def test_benefits_are_counted_alike_and_the_assignment_keeps_its_limits() -> None:
    found = allotted()
    benefits = found.benefits.set_index("plan")["benefit"]
    assert benefits["today"] == pytest.approx((PROBABILITY[:, 0] * 40 - 1).sum())
    assert benefits["within the limits"] == pytest.approx(found.assigned.value, rel=1e-12)
    assert found.assigned.status == "optimal"
    assert (found.offer == 1).sum() == 60
    used = found.customer_worth.sum() - sum(np.array([0.0, 50.0, 20.0])[found.used])
    assert used == pytest.approx(found.assigned.value, rel=1e-12)


def test_more_revenue_of_an_order_wins_customers_and_benefit() -> None:
    before, after = allotted(at=2), allotted(at=2, revenue=55.0)
    assert (after.offer == 2).sum() > (before.offer == 2).sum()
    assert after.comparison.n_customers[2] > before.comparison.n_customers[2]
    assert after.assigned.value > before.assigned.value


def test_one_more_contact_is_worth_its_shadow_price() -> None:
    fewer, found, more = (allotted(capacity=capacity) for capacity in (59, 60, 61))
    price = found.assigned.shadow_price[1]
    assert price > 0
    assert more.assigned.value - found.assigned.value <= price + 1e-9
    assert price <= found.assigned.value - fewer.assigned.value + 1e-9
    assert allotted(capacity=N).assigned.shadow_price[1] == 0


def test_a_channels_budget_holds_and_has_a_price() -> None:
    found = allotted(Config(channel_budget={"phone": 100.0}))
    assert (found.offer == 1).sum() == 25
    assert found.assigned.channel_price["phone"] > 0
    with pytest.raises(InputError, match="fax"):
        allotted(Config(channel_budget={"fax": 1.0}))


def test_a_demand_row_moves_its_segments_quantity_alone() -> None:
    demand = RNG.integers(0, 20, size=N).astype(float)
    config = Config(demand="pieces")
    before = provide(table(pieces=demand), LABELS, NAMES, np.zeros(N), config).table
    for place in (0, 1):
        ordered = np.sort(demand[place == LABELS])
        quantile = ordered[int(np.ceil(0.8 * len(ordered) - 1e-9)) - 1]  # the critical ratio is 4 / 5
        assert before["newsvendor_quantity"][place] == quantile
    changed = demand.copy()
    changed[3] = 60.0  # of the second segment
    after = provide(table(pieces=changed), LABELS, NAMES, np.zeros(N), config).table
    assert after["newsvendor_loss"][1] > before["newsvendor_loss"][1]
    assert after["mean_demand"][1] - before["mean_demand"][1] == pytest.approx((60 - demand[3]) / (LABELS == 1).sum())
    pd.testing.assert_series_equal(after.loc[0], before.loc[0])


def test_resources_follow_the_projects_scores_and_a_limit() -> None:
    low = provide(table(x=[1.0]), LABELS, NAMES, np.full(N, 0.2), Config()).table
    high = provide(table(x=[1.0]), LABELS, NAMES, np.where(LABELS == 1, 0.6, 0.2), Config()).table
    assert high["newsvendor_quantity"][1] > low["newsvendor_quantity"][1]
    assert high["newsvendor_quantity"][0] == low["newsvendor_quantity"][0]
    assert (high["newsvendor_loss"] <= high["entropy_loss"] + 1e-12).all()
    limited = provide(table(x=[1.0]), LABELS, NAMES, np.full(N, 0.2), Config(resource_limit=20))
    assert limited.limited is not None
    assert limited.table["limited_quantity"].sum() == 20
    assert limited.limited.shadow_price > 0


def test_quantities_for_every_customer_share_a_limit_by_brute_force() -> None:
    demand = np.tile([0.0, 1.0, 3.0, 4.0], N // 4) + LABELS
    found = provide(table(x=demand), LABELS, NAMES, np.zeros(N), Config(demand="x", resource_limit=400))
    times = np.bincount(LABELS)
    best = min(
        float(
            sum(
                np.maximum(m[k] - demand[k == LABELS], 0).sum() + 4 * np.maximum(demand[k == LABELS] - m[k], 0).sum()
                for k in (0, 1)
            )
        )
        for m in itertools.product(range(7), repeat=2)
        if times @ np.array(m) <= 400
    )
    assert found.limited is not None
    assert found.limited.expected_loss == pytest.approx(best, rel=1e-12)
    assert times @ found.table["limited_quantity"] <= 400


def test_a_certain_cost_of_shortage_moves_the_quantity() -> None:
    cheap = provide(table(x=[1.0]), LABELS, NAMES, np.full(N, 0.3), Config(shortage_cost=(1.0,))).table
    dear = provide(table(x=[1.0]), LABELS, NAMES, np.full(N, 0.3), Config(shortage_cost=(1.0, 20.0))).table
    assert (dear["newsvendor_quantity"] > cheap["newsvendor_quantity"]).all()
    assert (dear["entropy_quantity"] > cheap["entropy_quantity"]).all()


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("pieces", {"piece": [1.0, 2.0]}, "unknown column in pipeline.demand 'pieces'. Did you mean 'piece'"),
        ("pieces", {"pieces": ["a", "b"]}, "pipeline.demand=pieces is text; name a number"),
        ("pieces", {"pieces": [1.0, -2.0]}, "pipeline.demand=pieces is -2 in row 2; a demand is 0 or more"),
        ("pieces", {"pieces": [1.0, np.nan]}, "column 'pieces' is missing in row 2"),
    ],
)
def test_a_demand_that_cannot_be_used(column: str, values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        provide(table(**values), np.array([0, 1]), NAMES, np.zeros(2), Config(demand=column))


def test_the_quarters_spend_the_budget_and_beat_the_even_plan() -> None:
    worth = np.where(LABELS == 1, 30.0, 10.0)
    found = plan_quarters(worth, LABELS, NAMES, Config())
    assert found is not None
    assert found.budget == pytest.approx(0.05 * worth.sum())
    assert found.plan.spend.sum() == pytest.approx(found.budget, rel=1e-6)
    assert found.even.spend.sum() == pytest.approx(found.budget, rel=1e-9)
    assert found.plan.status == "optimal"
    assert found.plan.total > found.even.total
    assert found.summary["response"].sum() == pytest.approx(found.plan.total, rel=1e-9)
    assert found.summary["even_response"].sum() == pytest.approx(found.even.total, rel=1e-9)
    even = found.even.spend
    effective = even[0] + 0.3 * even[0]
    ceiling, half = found.curves["ceiling"].to_numpy(), found.curves["half_saturation"].to_numpy()
    assert found.even.response[1] == pytest.approx((ceiling * effective / (effective + half)).sum(), rel=1e-9)


def test_a_worthier_segment_gets_more_and_a_quarter_no_more_than_its_limit() -> None:
    worth = np.where(LABELS == 1, 12.0, 10.0)
    before = plan_quarters(worth, LABELS, NAMES, Config(budget=100.0))
    after = plan_quarters(np.where(LABELS == 1, 24.0, 10.0), LABELS, NAMES, Config(budget=100.0))
    assert before is not None
    assert after is not None
    assert after.plan.spend[:, 1].sum() > before.plan.spend[:, 1].sum() + 1
    limited = plan_quarters(worth, LABELS, NAMES, Config(budget=100.0, period_budget=15.0))
    assert limited is not None
    assert limited.plan.spend.sum(axis=1) == pytest.approx([15.0] * 4, rel=1e-6)
    assert limited.plan.total < before.plan.total


def test_nothing_planned_is_no_plan() -> None:
    assert plan_quarters(np.zeros(N), LABELS, NAMES, Config()) is None


def test_a_rate_of_carry_over_that_cannot_be() -> None:
    with pytest.raises(InputError, match=r"the plan over 4 quarters: adstock rate=1 is not possible"):
        plan_quarters(np.ones(N), LABELS, NAMES, Config(carry_over=1.0))


def test_the_case_is_calibrated_to_the_printed_numbers() -> None:
    case = calibrate(Config())
    found = case.parameters.set_index("parameter")["value"]
    assert found["unit_cost"] == pytest.approx(16.204, abs=5e-4)
    assert found["advertising"] == pytest.approx(0.2526, abs=5e-5)
    assert found["promotion"] == pytest.approx(0.4546, abs=5e-5)
    assert found["price"] == pytest.approx(4.566, abs=5e-4)
    assert case.products["calibrated_quantity"].tolist() == pytest.approx([80, 150], rel=1e-12)
    assert case.products["profit_rate"][1] == pytest.approx(0.161, rel=1e-12)

    def loss(log_spends: np.ndarray) -> float:
        a, s = np.exp(log_spends)
        quantity = found["constant"] * a ** found["advertising"] * s ** found["promotion"] * 36 ** -found["price"]
        return -float((36 - found["unit_cost"]) * quantity - a - s)

    best = np.exp(minimize(loss, np.log([1000.0, 1000.0]), method="Nelder-Mead", options={"xatol": 1e-9}).x)
    assert best == pytest.approx([750, 1350], rel=1e-4)
    assert case.split.loc[case.split["profit"].idxmax(), "advertising_share"] == pytest.approx(750 / 2100, abs=0.01)


def test_a_case_of_no_demand_is_refused() -> None:
    with pytest.raises(InputError, match=r"are no demand; correct the numbers, or pass pipeline\.case=false"):
        calibrate(Config(case_quantity=(150.0, 80.0)))


def test_what_a_column_says() -> None:
    told = table(bought=["yes", "no", "no"], often=[1.0, 4.0, 2.0], chance=[0.2, 0.5, 1.0], flag=[1.0, 0.0, 1.0])
    assert read_outcome(told, "bought", None, "k").values.tolist() == [1, 0, 0]
    assert read_outcome(told, "often", 1.5, "k").values.tolist() == [0, 1, 1]
    assert read_outcome(told, "flag", None, "k").learnt
    chance = read_outcome(told, "chance", None, "k")
    assert (chance.values.tolist(), chance.learnt) == ([0.2, 0.5, 1.0], False)


@pytest.mark.parametrize(
    ("column", "above", "message"),
    [
        ("bough", None, "unknown column in projects.csv 'bough'. Did you mean 'bought'"),
        ("chance", None, r"'chance' of projects.csv is 1.7 in row 3: no probability in \[0, 1\]"),
        ("bought", 1.0, "'bought' is text; above needs numbers"),
        ("chance", 5.0, "'chance' of projects.csv is the same outcome in every row"),
        ("word", None, "has 3 classes"),
        ("gap", None, "column 'gap' is missing in row 2"),
    ],
)
def test_a_column_that_says_nothing(column: str, above: float | None, message: str) -> None:
    told = table(bought=["yes", "no", "no"], chance=[0.2, 0.5, 1.7], word=["a", "b", "c"], gap=[1.0, np.nan, 0.0])
    with pytest.raises(InputError, match=message):
        read_outcome(told, column, above, "projects.csv")


def test_the_rule_and_the_project_of_today() -> None:
    projects = offered(table(frequency=np.arange(50.0)), Config(outcome="frequency", outcome_above=3.0))
    assert [project.capacity for project in projects] == [None, 10]
    assert [project.basis for project in projects] == ["segment", "score"]
    assert current_place(projects, Config(current="targeted")) == 1
    with pytest.raises(InputError, match=r"unknown project in pipeline\.current 'mail'"):
        current_place(projects, Config(current="mail"))
    with pytest.raises(InputError, match=r"nothing says who orders; pass data\.target"):
        offered(table(frequency=np.arange(50.0)), Config())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_segments": 0}, "pipeline.n_segments=0 must be at least 1"),
        ({"candidates": (1, 2)}, r"pipeline.candidates=\[1, 2\] must be numbers of segments"),
        ({"periods": 0}, "pipeline.periods=0 must be at least 1"),
        ({"top_share": 1.0}, "pipeline.top_share=1 must lie between 0 and 1"),
        ({"budget": -1.0}, "pipeline.budget=-1 must be 0 or more"),
        ({"half_saturation": 0.0}, "pipeline.half_saturation=0 must be above 0"),
        ({"case_price": (40.0,)}, r"pipeline.case_price=\[40.0\] must be two numbers above 0"),
    ],
)
def test_a_number_out_of_range_is_named_by_its_key(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(Config(), **change).check()
