"""Customers to offers and money to channels: equal to the engines, every number hangs on its row, mistakes are named."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from marketnn.allocation import assign_offers, fit_response
from marketnn.data import Raw, Table, TableOptions, assemble
from marketnn.errors import InputError
from marketnn.pipeline import Parts
from marketnn.pipeline.allocate import AllocateAnalysis, Config, analyse, run
from marketnn.tracking import Run

OFFERS = ("bundle", "upgrade", "device")
REVENUE = {"device": 120.0, "bundle": 60.0, "upgrade": 90.0}
LIMITED = Config(
    value=OFFERS,
    revenue=REVENUE,
    cost={"bundle": 2.0, "upgrade": 4.0, "device": 5.0},
    capacity={"device": 40.0, "bundle": 60.0},
    current="bundle",
)
PARTS = Parts(data={"name": "packaged"}, device="cpu")


def customers(n: int = 300) -> Table:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.beta(2, 4, (n, 3)), columns=list(OFFERS))
    frame.insert(0, "customer_id", [f"C{place}" for place in range(n)])
    return assemble(Raw(frame.assign(plan="a"), TableOptions(drop=("plan",)), "customers.csv"))


def changed(table: Table, **columns: Any) -> Table:
    return dataclasses.replace(table, frame=table.frame.assign(**columns))


@pytest.fixture(scope="module")
def analysis() -> AllocateAnalysis:
    return analyse(customers(), LIMITED, PARTS)


@pytest.fixture
def responses(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    rows = [
        (channel, period, spend, scale * np.log1p(rate * spend) + rng.normal(0, 0.3))
        for channel, scale, rate in (("search", 30.0, 0.1), ("mail", 8.0, 0.5))
        for period, spend in enumerate(rng.uniform(5, 200, 14), start=1)
    ]
    file = tmp_path / "responses.csv"
    pd.DataFrame(rows, columns=["channel", "period", "spend", "response"]).to_csv(file, index=False)
    return file


def test_it_is_the_engines_answer_with_names_in_any_order(analysis: AllocateAnalysis) -> None:
    p = customers().frame[list(OFFERS)].to_numpy()
    worth = p * [60.0, 90.0, 120.0] - [2.0, 4.0, 5.0]
    np.testing.assert_allclose(analysis.worth, worth)
    expected = assign_offers(worth, capacity=[60, np.inf, 40])
    assert analysis.assigned.value == pytest.approx(expected.value)
    assert analysis.assigned.status == "optimal"
    counts = analysis.summary.set_index("offer")
    assert counts.loc["device", "assigned"] <= 40
    assert counts.loc["bundle", "assigned"] <= 60
    assert counts["worth"].sum() == pytest.approx(analysis.assigned.value)
    plans = analysis.plans.set_index("plan")["benefit"]
    assert plans["today"] == pytest.approx(worth[:, 0].sum())
    assert plans["within the limits"] <= plans["best offer of everybody, no limits"]


def test_without_limits_everybody_has_the_best_offer_and_prices_are_zero() -> None:
    free = analyse(customers(), dataclasses.replace(LIMITED, capacity=None, cost=None), PARTS)
    assert free.comparison is not None
    np.testing.assert_array_equal(free.assigned.offer, free.comparison.choice)
    assert not np.asarray(free.assigned.shadow_price).any()


def test_a_changed_customer_revenue_capacity_and_cost_change_the_plan(analysis: AllocateAnalysis) -> None:
    table = customers()
    loser = int(np.flatnonzero(analysis.assigned.offer != 2)[0])
    device = table.frame["device"].copy()
    device.iloc[loser] = 1.0
    keen = analyse(changed(table, device=device), LIMITED, PARTS)
    assert keen.assigned.offer[loser] == 2
    assert keen.assigned.value > analysis.assigned.value
    for change, higher in (
        ({"revenue": {**REVENUE, "device": 150.0}}, True),
        ({"capacity": {"device": 41.0, "bundle": 60.0}}, True),
        ({"cost": {"bundle": 2.0, "upgrade": 4.0, "device": 9.0}}, False),
    ):
        other = analyse(table, dataclasses.replace(LIMITED, **change), PARTS)
        assert (other.assigned.value > analysis.assigned.value) == higher
        assert other.assigned.value != analysis.assigned.value
    more = analyse(table, dataclasses.replace(LIMITED, capacity={"device": 41.0, "bundle": 60.0}), PARTS)
    price = analysis.summary.set_index("offer").at["device", "one_more_is_worth"]
    assert more.assigned.value - analysis.assigned.value <= price + 1e-9


def test_budgets_minima_and_customers_without_an_offer() -> None:
    table = customers()
    nothing = {name: table.frame[name].where(np.arange(300) >= 5) for name in OFFERS}
    config = dataclasses.replace(
        LIMITED,
        revenue=None,
        current=None,
        minimum={"upgrade": 20.0},
        channel={"bundle": "call", "upgrade": "call", "device": "visit"},
        channel_budget={"call": 150.0},
    )
    found = analyse(changed(table, **{name: 90 * values for name, values in nothing.items()}), config, PARTS)
    counts = found.summary.set_index("offer")
    assert found.assigned.n_without_offer == 5
    assert (found.assigned.offer[:5] == -1).all()
    assert counts.loc[["bundle", "upgrade"], "cost_of_contacts"].sum() <= 150 + 1e-9
    assert counts.loc["upgrade", "assigned"] == 0 or counts.loc["upgrade", "assigned"] >= 20


def test_spending_is_fitted_and_planned(responses: Path) -> None:
    config = dataclasses.replace(LIMITED, response=str(responses), curve="log", budget=200.0, periods=2)
    found = analyse(customers(), config, PARTS).spending
    assert found is not None
    rows = pd.read_csv(responses).query("channel == 'search'")
    fit = fit_response(rows["spend"].to_numpy(), rows["response"].to_numpy(), curve="log")
    parameters = found.parameters.query("channel == 'search'").set_index("parameter")
    np.testing.assert_allclose(parameters["estimate"], fit.table["estimate"])
    assert found.plan is not None
    assert found.table["spend"].sum() == pytest.approx(200.0)
    assert float(found.plan.total) > found.even
    assert found.plan.status == "optimal"
    # A response row changes the fit and with it the plan.
    frame = pd.read_csv(responses)
    frame.loc[frame["channel"] == "mail", "response"] *= 2
    frame.to_csv(responses, index=False)
    other = analyse(customers(), config, PARTS).spending
    assert other is not None
    spends = [plan.table.groupby("channel")["spend"].sum()["mail"] for plan in (found, other)]
    assert spends[1] > spends[0]


def test_the_run_writes_every_number_down(responses: Path, tmp_path: Path) -> None:
    frame = customers().frame.drop(columns="plan")
    frame.to_csv(tmp_path / "customers.csv", index=False)
    config = dataclasses.replace(LIMITED, response=str(responses), curve="log", budget=200.0, periods=2)
    parts = dataclasses.replace(PARTS, data={"name": "csv", "path": str(tmp_path / "customers.csv")})
    out = Run(tmp_path / "run", title="allocate", quiet=True)
    run(config, parts, out)
    out.finish()
    tables = tmp_path / "run" / "tables"
    assignment = pd.read_csv(tables / "assignment.csv", keep_default_na=False)
    assert len(assignment) == 300
    assert (assignment["offer"] != "").sum() == out.metrics["n_assigned"]
    assert assignment["worth"].sum() == pytest.approx(out.metrics["assignment_value"])
    prices = pd.read_csv(tables / "shadow_prices.csv").set_index("limit")["worth"]
    assert prices["one more device"] > 0
    assert any("One more device is worth" in headline for headline in out.headlines)
    assert len(list((tmp_path / "run" / "figures").glob("*.png"))) == 6
    assert "C17" not in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"value": ()}, r"customers\.csv: name the columns .* there are bundle, upgrade, device"),
        ({"value": ("bundel",)}, "Did you mean 'bundle'"),
        ({"value": ("plan",), "revenue": None}, "column 'plan' is text"),
        ({"value": ("bundle", "bundle"), "revenue": None, "current": None}, "names a column twice"),
        ({"revenue": {"bundle": 60.0}}, "pipeline.revenue has no number for upgrade, device"),
        ({"capacity": {"devise": 3.0}}, "Did you mean 'device'"),
        ({"capacity": {"device": -3.0}}, r"pipeline\.capacity\.device=-3 must be a number from 0 on"),
        ({"capacity": {"device": 2.5}}, r"pipeline\.capacity\.device=2\.5 must be a whole number"),
        ({"channel_budget": {"call": 3.0}}, "says no channel for bundle, upgrade, device"),
        ({"current": "phone", "revenue": None}, "phone"),
        ({"channel_budget": {"call": 3.0}, "channel": dict.fromkeys(OFFERS, "call"), "cost": None}, "limits the cost"),
        ({"response": "nowhere.csv"}, "nowhere.csv"),
        ({"response": "x", "periods": 0}, "pipeline.periods=0"),
        ({"response": "x", "budget": -1.0}, "pipeline.budget=-1"),
    ],
)
def test_bad_settings(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        analyse(customers(), dataclasses.replace(LIMITED, **changes), PARTS)


def test_probabilities_are_checked() -> None:
    device = customers().frame["device"].copy()
    device.iloc[[3, 8]] = [1.2, -0.1]
    with pytest.raises(InputError, match=r"column 'device' is 1\.2 in 2 rows \(4, 9\)"):
        analyse(changed(customers(), device=device), LIMITED, PARTS)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("channel,period", "channel,time", "column 'period' is missing"),
        ("search,2,", "search,1,", "channel 'search' has period 1 twice"),
        ("search,2,", ",2,", "column 'channel' is empty in row 2"),
        ("search,2,", "tv,2,", "channel 'tv'"),
    ],
)
def test_bad_responses(old: str, new: str, message: str, responses: Path) -> None:
    responses.write_text(responses.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InputError, match=message):
        analyse(customers(), dataclasses.replace(LIMITED, response=str(responses), curve="log"), PARTS)
