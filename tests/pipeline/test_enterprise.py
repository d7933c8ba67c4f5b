"""Paper A as one run: every stage's table feeds the next, limits hold, and the model scores new customers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from marketnn import registry
from marketnn.data import Raw, Table, TableOptions, assemble
from marketnn.data.cost_sheet import EXAMPLE
from marketnn.data.offer_history import draw_offers
from marketnn.errors import InputError
from marketnn.pipeline import Parts
from marketnn.pipeline.enterprise import Config, EnterpriseAnalysis, EnterpriseModel, analyse, run
from marketnn.pipeline.enterprise.campaign import NO_CONTACT, ChannelCosts, best_offers, plan_campaign
from marketnn.pipeline.enterprise.next_steps import next_steps
from marketnn.tracking import Run, load_model

N = 700
QUICK = Config(
    recommend={"name": "recommend", "compare": ["logistic"], "n_resamples": 20},
    scorecard_restarts=1,
)
COLUMNS = ["tenure", "monthly_charges", "contract", "internet_service", "senior_citizen", "churn"]


def customers(frame: pd.DataFrame) -> Table:
    return assemble(Raw(frame, TableOptions(target="churn", positive="Yes", id=("customer_id",)), "customers.csv"))


def parts(**changes: Any) -> Parts:
    return Parts(data={"name": "packaged"}, classifier={"name": "logistic"}, device="cpu", **changes)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    table = registry.build("data", {"name": "packaged", "table": "wa_churn"})
    chosen = table.frame[COLUMNS].iloc[:N].reset_index(drop=True)
    chosen.insert(0, "customer_id", [f"C{place:04d}" for place in range(N)])
    return chosen


@pytest.fixture(scope="module")
def history(frame: pd.DataFrame) -> pd.DataFrame:
    drawn = draw_offers(customers(frame), seed=5)
    told = drawn.table.frame[["offer", "accepted"]]
    told.insert(0, "customer_id", frame["customer_id"])
    return told.assign(revenue=told["offer"].map(drawn.revenue))


@pytest.fixture(scope="module")
def analysed(
    frame: pd.DataFrame, history: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., EnterpriseAnalysis]:
    """Return a function that runs the analysis on changed tables, each change once."""
    folder = tmp_path_factory.mktemp("enterprise")
    found: dict[str, EnterpriseAnalysis] = {}

    def run_once(
        name: str = "as it is",
        *,
        people: pd.DataFrame = frame,
        offers: pd.DataFrame = history,
        config: Config = QUICK,
        sheet: tuple[str, str] | None = None,
    ) -> EnterpriseAnalysis:
        if name not in found:
            file = folder / f"{len(found)}.csv"
            offers.to_csv(file, index=False)
            if sheet is not None:
                text = Path(EXAMPLE).read_text(encoding="utf-8")
                assert text.count(sheet[0]) == 1
                cost_sheet = folder / f"{len(found)}.yaml"
                cost_sheet.write_text(text.replace(*sheet), encoding="utf-8")
                config = replace(config, cost_sheet=str(cost_sheet))
            found[name] = analyse(customers(people), config, parts(offers=str(file)))
        return found[name]

    return run_once


def test_retention_feeds_the_scorecard(analysed: Callable[..., EnterpriseAnalysis], frame: pd.DataFrame) -> None:
    before = analysed()
    stayed = (frame["churn"] == "No").mean()
    assert before.performance.indices.at["CUS2", "value"] == pytest.approx(100 * stayed)
    gone = frame.copy()
    gone.loc[gone.index[gone["churn"] == "No"][0], "churn"] = "Yes"
    after = analysed("one more churner", people=gone)
    assert after.performance.indices.at["CUS2", "value"] == pytest.approx(100 * (stayed - 1 / N))
    assert after.performance.score < before.performance.score
    assert len(after.here) == len(before.here) - 1
    assert not after.churn.drivers.result.table["coef"].equals(before.churn.drivers.result.table["coef"])


def test_an_offers_price_feeds_the_campaign_and_the_cost_ratio(
    analysed: Callable[..., EnterpriseAnalysis], history: pd.DataFrame
) -> None:
    before = analysed()
    dear = history.copy()
    dear.loc[dear["offer"] == "family plan", "revenue"] = 400.0
    after = analysed("dear family plan", offers=dear)
    assert after.history.revenue["family plan"] == pytest.approx(400.0)
    assert after.campaign.choice.profit.sum() > before.campaign.choice.profit.sum()
    chosen = [analysis.campaign.by_offer.at["family plan", "customers"] for analysis in (before, after)]
    assert chosen[1] > chosen[0]
    assert after.cost.sales > before.cost.sales
    fin3 = [analysis.performance.indices.at["FIN3", "value"] for analysis in (before, after)]
    assert fin3[1] != fin3[0]
    # What was accepted does not hang on the price.
    assert after.performance.indices.at["CUS5", "value"] == before.performance.indices.at["CUS5", "value"]


def test_campaign_success_feeds_the_scorecard(
    analysed: Callable[..., EnterpriseAnalysis], history: pd.DataFrame
) -> None:
    before = analysed()
    assert before.performance.indices.at["CUS5", "value"] == pytest.approx(100 * (history["accepted"] == "yes").mean())
    better = history.copy()
    better.loc[better.index[better["accepted"] == "no"][:40], "accepted"] = "yes"
    after = analysed("more accepted", offers=better)
    expected = before.performance.indices.at["CUS5", "value"] + 100 * 40 / N
    assert after.performance.indices.at["CUS5", "value"] == pytest.approx(expected)
    assert after.campaign.choice.profit.sum() != before.campaign.choice.profit.sum()


def test_a_cost_item_feeds_the_cost_ratio_and_the_score(analysed: Callable[..., EnterpriseAnalysis]) -> None:
    before = analysed()
    travel = next(line for line in Path(EXAMPLE).read_text(encoding="utf-8").splitlines() if "travel:" in line)
    after = analysed("no travel", sheet=(travel, travel.split("travel:")[0] + "travel: 0"))
    assert after.cost.total == pytest.approx(before.cost.total - before.cost.travel)
    assert after.performance.indices.at["FIN3", "value"] == pytest.approx(100 * after.cost.total / after.cost.sales)
    assert after.performance.score > before.performance.score


def test_training_and_channel_costs_are_measured_too(analysed: Callable[..., EnterpriseAnalysis]) -> None:
    before = analysed()
    assert before.performance.indices.at["LRN1", "value"] == pytest.approx(100 * before.cost.training_ratio)
    after = analysed("dear calls", config=replace(QUICK, follow_up_cost=30.0, simple_call_cost=20.0))
    assert after.campaign.choice.profit.sum() < before.campaign.choice.profit.sum()
    contacts = after.campaign.choice.cost.sum()
    assert after.cost.sales_promotion == pytest.approx(after.sheet.sales_promotion + contacts)


def test_limits_hold_and_their_prices_are_told(analysed: Callable[..., EnterpriseAnalysis]) -> None:
    free = analysed().campaign
    favourite = str(free.by_offer["customers"].drop(index="none").idxmax())
    limit = int(free.by_offer.at[favourite, "customers"] // 2)
    config = replace(QUICK, capacity={favourite: limit}, campaign_budget=float(free.choice.cost.sum()) / 2)
    tight = analysed("limits", config=config).campaign
    assert tight.by_offer.at[favourite, "customers"] <= limit
    assert tight.choice.cost.sum() <= config.campaign_budget + 1e-6
    assert tight.choice.profit.sum() < free.choice.profit.sum()
    assert tight.choice.profit.sum() == pytest.approx(tight.assignment.value)
    assert tight.assignment.value <= tight.assignment.upper_bound
    assert free.choice.profit.sum() == pytest.approx(free.without_limits)


def test_the_run_says_everything_and_its_model_scores_new_customers(
    frame: pd.DataFrame, history: pd.DataFrame, tmp_path: Path
) -> None:
    frame.to_csv(tmp_path / "customers.csv", index=False)
    history.to_csv(tmp_path / "offers.csv", index=False)
    data = {"name": "csv", "path": str(tmp_path / "customers.csv"), "target": "churn", "id": ["customer_id"]}
    out = Run(tmp_path / "run", title="enterprise", quiet=True)
    run(QUICK, replace(parts(offers=str(tmp_path / "offers.csv")), data=data), out)
    out.finish()
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "made up from the customers" not in page
    assert len(list((tmp_path / "run" / "figures").glob("*.png"))) >= 8
    assert not any(name in page for name in frame["customer_id"])
    metrics = out.metrics
    channels = pd.read_csv(tmp_path / "run" / "tables" / "campaign_channels.csv", index_col=0)
    assert channels["profit"].sum() == pytest.approx(metrics["campaign_profit"])
    assert channels.drop(index=NO_CONTACT)["customers"].sum() == metrics["n_contacted"]
    items = pd.read_csv(tmp_path / "run" / "tables" / "cost_items.csv")
    assert items["amount"].sum() == pytest.approx(metrics["marketing_cost"])
    indices = pd.read_csv(tmp_path / "run" / "tables" / "indices.csv", index_col=0)
    assert indices.at["CUS2", "value"] == pytest.approx(metrics["index_CUS2"])

    model = EnterpriseModel.from_saved(load_model(tmp_path / "run"))
    new = frame.drop(columns="churn").iloc[::-1].head(50)
    scored, _ = model.predict(new, source="new.csv", fill_missing=False)
    assert list(scored.index) == list(new.index)
    assert {"probability", "portrait", "offer", "tier", "action", "expected_profit"} <= set(scored.columns)
    listed = pd.read_csv(tmp_path / "run" / "tables" / "campaign_customers.csv", keep_default_na=False).set_index("row")
    here = [place for place in new.index if place + 1 in listed.index]
    assert listed.loc[[place + 1 for place in here], "offer"].tolist() == scored.loc[here, "offer"].tolist()
    np.testing.assert_allclose(listed.loc[[place + 1 for place in here], "profit"], scored.loc[here, "expected_profit"])


def test_made_up_offers_are_called_so(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame.to_csv(tmp_path / "customers.csv", index=False)
    data = {"name": "csv", "path": str(tmp_path / "customers.csv"), "target": "churn"}
    out = Run(tmp_path / "run", title="enterprise", quiet=True)
    run(QUICK, replace(parts(), data=data), out)
    assert "made up" in out.headlines[0]
    out.discard()


def test_next_steps_rest_on_the_tables(analysed: Callable[..., EnterpriseAnalysis]) -> None:
    analysis = analysed()
    steps = next_steps(analysis)
    campaign = steps[steps["who"] == "campaign"]
    assert campaign["expected"].sum() == pytest.approx(analysis.campaign.choice.profit.sum())
    assert steps[steps["who"] == "call centre"]["how_many"].sum() == analysis.churn.likely.sum()
    assert steps[steps["who"] == "management"]["cost"].sum() == pytest.approx(analysis.performance.plan.cost)


def test_a_customers_best_offer_by_brute_force() -> None:
    rng = np.random.default_rng(0)
    chance = pd.DataFrame(rng.random((300, 3)), columns=["a", "b", "c"])
    revenue, costs = {"a": 3.0, "b": 9.0, "c": 5.0}, ChannelCosts(4.0, 2.0, 0.5)
    choice = best_offers(chance, revenue, costs)
    by_tier = {1: np.inf, 2: 4.0, 3: 2.0, 4: 0.5}
    for place, row in enumerate(chance.itertuples(index=False)):
        tiers = [1 if p < 0.2 else 2 if p < 0.5 else 3 if p <= 0.8 else 4 for p in row]
        profits = [p * revenue[name] - by_tier[tier] for p, name, tier in zip(row, revenue, tiers, strict=True)]
        best = int(np.argmax(profits))
        assert choice.offer[place] == ("abc"[best] if profits[best] > 0 else "")
        assert choice.profit[place] == pytest.approx(max(profits[best], 0.0))
    plan = plan_campaign(chance, revenue, costs, capacity={}, budget=None, device="cpu", seed=0)
    pd.testing.assert_frame_equal(plan.choice.table(), choice.table())
    assert plan.by_channel["customers"].sum() == plan.by_offer["customers"].sum() == 300


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"capacity": {"sms pack": 3}}, "sms pack"),
        ({"improvement_costs": {"FIN9": 1.0}}, "FIN9"),
        ({"improvement_budget": -1.0}, "budget=-1"),
        ({"cost_sheet": "nowhere.yaml"}, "nowhere.yaml"),
        ({"sms_cost": -0.1}, "the cost of sms is -0.1"),
        ({"index_system": "gren"}, "green"),
        ({"churn": {"name": "segment"}}, "pipeline.churn.name=segment must stay churn"),
    ],
)
def test_bad_settings(changes: dict[str, Any], message: str, frame: pd.DataFrame) -> None:
    with pytest.raises(InputError, match=message):
        analyse(customers(frame), replace(QUICK, **changes), parts())
