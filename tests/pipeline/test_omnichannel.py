"""The whole planning: segments that are there are found, every table follows from the others, new customers are placed alike."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score, roc_auc_score

from marketnn import cli
from marketnn.data.omnichannel import draw_customers
from marketnn.errors import InputError
from marketnn.pipeline import Parts, omnichannel
from marketnn.pipeline.omnichannel import Config, OmnichannelModel
from marketnn.tracking import Run, load_model

N = 3_000
QUICK: dict[str, Any] = {"candidates": (5, 6)}
DATA = {"name": "omnichannel", "n": N, "target": "orders_again"}
HIERARCHICAL = {"name": "hierarchical", "n_samples": 4}


def parts(data: dict[str, Any] | None = None, seed: int = 0) -> Parts:
    return Parts(data=data or DATA, scaler={"name": "standard"}, cluster=HIERARCHICAL, device="cpu", seed=seed)


def table(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder / "tables" / f"{name}.csv")


def metrics(folder: Path) -> dict[str, float]:
    return json.loads((folder / "metrics.json").read_text())


def recorded(folder: Path, config: Config, given: Parts) -> Path:
    out = Run(folder, title="plan", n_stages=omnichannel.N_STAGES, quiet=True)
    omnichannel.run(config, given, out)
    out.finish()
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recorded(tmp_path_factory.mktemp("plan") / "run", Config(**QUICK), parts())


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of customers with two outcomes and a propensity, and one of projects."""
    path = tmp_path_factory.mktemp("small")
    rng = np.random.default_rng(1)
    kind = rng.integers(3, size=400)
    frame = pd.DataFrame(
        {
            "customer_id": [f"C{place:03}" for place in range(400)],
            "visits": (np.array([2.0, 20.0, 50.0])[kind] + rng.normal(size=400)).round(3),
            "basket": (np.array([10.0, 90.0, 40.0])[kind] + rng.normal(size=400)).round(3),
            "plan": np.array(["basic", "plus", "plus"])[kind],
            "bought": np.where(rng.random(400) < np.array([0.2, 0.5, 0.7])[kind], "yes", "no"),
            "upgraded": (rng.random(400) < np.array([0.6, 0.1, 0.3])[kind]).astype(int),
            "chance": rng.uniform(size=400).round(4),
            "pieces": rng.integers(0, 9, size=400),
        }
    )
    frame.to_csv(path / "customers.csv", index=False)
    write_projects(path / "projects.csv")
    return path


def write_projects(path: Path, call_revenue: float = 60, call_capacity: int = 80) -> None:
    rows = [
        "project,revenue,column,basis,fixed_cost,cost,capacity,channel",
        "mail,40,bought,segment,0,1,,post",
        f"call,{call_revenue},upgraded,score,100,4,{call_capacity},phone",
        "app,25,chance,score,20,0,,push",
    ]
    path.write_text("\n".join(rows) + "\n")


def planned(folder: Path, file: Path, **changes: Any) -> omnichannel.OmnichannelAnalysis:
    given = parts({"name": "csv", "path": str(folder / "customers.csv")})
    config: dict[str, Any] = {
        "projects": str(file),
        "n_segments": 3,
        "candidates": (2, 3),
        "members": 1,
        "max_epochs": 30,
    }
    return omnichannel.analyse(given.table(), Config(**{**config, **changes}), given)


def test_the_six_segments_of_the_generator_are_found(folder: Path) -> None:
    truth = draw_customers(N).segment
    assert adjusted_rand_score(truth, table(folder, "assignment")["segment"]) > 0.98
    assert metrics(folder)["n_clusters"] == 6
    choices = table(folder, "choices").set_index("criterion")["choice"]
    assert set(choices.index) >= {"silhouette", "gap", "dunn", "merge heights"}
    assert choices["merge heights"] == 5, "a customer in sixty makes no jump"
    features = table(folder, "features").set_index("feature")["kept"]
    assert features[features].index.to_list() == list(features.index[:6])
    assert features[~features].index.to_list() == ["orders", "gender=male"]


def test_every_table_follows_from_the_assignment(folder: Path) -> None:
    assigned, found = table(folder, "assignment"), metrics(folder)
    projects = table(folder, "projects").set_index("project")
    money = assigned["project"].map(projects["revenue"]) * assigned["score"] - assigned["project"].map(projects["cost"])
    np.testing.assert_allclose(assigned["worth"], money, rtol=1e-12)
    used = projects.loc[assigned["project"].unique(), "fixed_cost"].sum()
    assert found["benefit_assigned"] == pytest.approx(assigned["worth"].sum() - used, rel=1e-12)
    assert found["assignment_upper_bound"] == pytest.approx(found["benefit_assigned"], rel=1e-9)
    assert found["benefit_gain"] == pytest.approx(found["benefit_assigned"] - found["benefit_today"])
    assert (assigned["project"] == "targeted").sum() <= projects["capacity"]["targeted"] == 600
    resources = table(folder, "resources").set_index("segment")
    orders = assigned.groupby("segment")["score"].sum()
    np.testing.assert_allclose(resources["mean_demand"], orders.reindex(resources.index), rtol=1e-9)
    assert found["newsvendor_loss"] == pytest.approx(resources["newsvendor_loss"].sum())
    assert found["newsvendor_loss"] <= found["entropy_loss"]
    curves = table(folder, "response_curves").set_index("segment")
    worth = assigned.groupby("segment")["worth"].sum()
    np.testing.assert_allclose(curves["benefit"], worth.reindex(curves.index), rtol=1e-9)
    spend = table(folder, "quarters_by_segment")
    assert spend["spend"].sum() == pytest.approx(found["plan_budget"], rel=1e-6)
    assert found["plan_budget"] == pytest.approx(0.05 * assigned["worth"].sum())
    assert found["plan_even_total"] < found["plan_total"] <= found["plan_upper_bound"]
    assert table(folder, "quarters")["response"].sum() == pytest.approx(found["plan_total"], rel=1e-6)


def test_the_rule_scores_by_segment_and_by_customer(folder: Path) -> None:
    assigned, truth = table(folder, "assignment"), draw_customers(N).frame["orders_again"].to_numpy()
    today = assigned[assigned["project"] == "current"]
    assert (today.groupby("segment")["score"].nunique() == 1).all()
    rate = pd.Series(truth).groupby(assigned["segment"]).mean()
    np.testing.assert_allclose(today.groupby("segment")["score"].first(), rate, atol=0.05)
    assert metrics(folder)["fitness_auc"] > 0.85
    assert metrics(folder)["fitness_brier"] < table(folder, "score_quality")["rate_brier"][0]


def test_the_page_shows_the_plan_in_words_and_pictures(folder: Path) -> None:
    pictures = {path.stem for path in (folder / "figures").glob("*.png")}
    assert pictures == {
        "benefits", "calibration_1", "case", "correlation", "importance", "map", "n_clusters", "pareto", "projects_by_segment",
        "quarters", "resources", "response_curves", "segments", "shadow_prices",
    }  # fmt: skip
    page = (folder / "report.html").read_text()
    price = table(folder, "shadow_prices")["is_worth"][0]
    assert f"One more contact with &#39;targeted&#39; is worth {price:,.2f}." in page
    assert "Assumption, no estimate" in page
    assert "A calibration, no validation" in page
    assert "not the cost optimum" in page


def test_the_same_customers_get_the_same_projects(folder: Path) -> None:
    model = OmnichannelModel.from_saved(load_model(folder))
    placed, _ = model.predict(draw_customers(N).frame, source="again", fill_missing=False)
    assigned = table(folder, "assignment")
    assert placed["segment"].tolist() == assigned["segment"].tolist()
    same = (placed["project"] == assigned["project"]).to_numpy()
    assert same.sum() >= N - 1, "but for the customer at the margin"
    np.testing.assert_allclose(placed["score"][same], assigned["score"][same], rtol=1e-9)
    np.testing.assert_allclose(placed["worth"][same], assigned["worth"][same], rtol=1e-9)
    truth = draw_customers(N).frame["orders_again"]
    assert roc_auc_score(truth, placed["score_targeted"]) > 0.85


def test_a_revenue_moves_customers_resources_and_quarters(small: Path, tmp_path: Path) -> None:
    write_projects(tmp_path / "dear.csv", call_revenue=120)
    before, after = planned(small, small / "projects.csv"), planned(small, tmp_path / "dear.csv")
    assert after.allotment.comparison.n_customers[1] > before.allotment.comparison.n_customers[1]
    assert after.allotment.assigned.shadow_price[1] > before.allotment.assigned.shadow_price[1]
    assert after.allotment.assigned.value > before.allotment.assigned.value
    assert not after.resources.table["mean_demand"].equals(before.resources.table["mean_demand"])
    assert after.quarters is not None
    assert before.quarters is not None
    assert after.quarters.budget > before.quarters.budget
    assert after.quarters.plan.total > before.quarters.plan.total
    np.testing.assert_array_equal(after.segmentation.labels, before.segmentation.labels)


def test_a_capacity_moves_the_assignment_and_its_price(small: Path, tmp_path: Path) -> None:
    write_projects(tmp_path / "wide.csv", call_capacity=110)
    before, after = planned(small, small / "projects.csv"), planned(small, tmp_path / "wide.csv")
    assert [(found.allotment.offer == 1).sum() for found in (before, after)] == [80, 110]
    assert after.allotment.assigned.shadow_price[1] < before.allotment.assigned.shadow_price[1]
    assert after.allotment.assigned.value > before.allotment.assigned.value
    assert after.allotment.comparison.gain == before.allotment.comparison.gain, "the free comparison has no capacities"


def test_a_demand_row_moves_its_segments_resources(small: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(small / "customers.csv")
    shutil.copy(small / "projects.csv", tmp_path)
    told_before, was = frame["pieces"].sum(), frame.loc[7, "pieces"]
    frame.loc[7, "pieces"] = 500
    frame.to_csv(tmp_path / "customers.csv", index=False)
    before = planned(small, small / "projects.csv", demand="pieces", negligible=0.2)
    after = planned(tmp_path, tmp_path / "projects.csv", demand="pieces", negligible=0.2)
    totals = [
        (found.resources.table["mean_demand"] * found.resources.table["customers"]).sum() for found in (before, after)
    ]
    assert totals[0] == pytest.approx(told_before, rel=1e-12)
    assert totals[1] - totals[0] == pytest.approx(500 - was, rel=1e-9)
    own = after.segmentation.labels[7]
    np.testing.assert_array_equal(after.segmentation.labels, before.segmentation.labels)
    quantities = [found.resources.table.drop(index=own) for found in (before, after)]
    pd.testing.assert_frame_equal(*quantities)
    assert after.resources.table["newsvendor_loss"][own] > before.resources.table["newsvendor_loss"][own]
    assert before.resources.unit == "pieces of a customer, in units of 1"


def test_a_file_gives_columns_of_every_kind(small: Path) -> None:
    found = planned(small, small / "projects.csv")
    assert [offer.source for offer in found.model.offers] == ["segment", "network", "column"]
    assert set(found.fitness.scorers) == {"upgraded"}
    told = set(found.selection.names)
    assert not told & {"bought=yes", "upgraded", "chance"}, "what came of a project is no feature"
    np.testing.assert_array_equal(
        found.fitness.probability[:, 2], pd.read_csv(small / "customers.csv")["chance"].to_numpy()
    )
    restored = OmnichannelModel.from_saved(found.model.saved())
    placed, _ = restored.predict(found.table.frame, source="again", fill_missing=False)
    np.testing.assert_allclose(placed[["score_mail", "score_call", "score_app"]], found.fitness.probability, rtol=1e-12)


def test_merge_heights_and_todays_project(small: Path) -> None:
    choices: dict[str, Any] = {
        "n_segments": None,
        "negligible": 0.2,
        "current": "app",
        "value": "basket",
        "case": False,
    }
    found = planned(small, small / "projects.csv", **choices)
    assert len(found.segmentation.segments) == found.segmentation.from_heights == 3
    assert found.allotment.comparison.current == 2
    chance = pd.read_csv(small / "customers.csv")["chance"]
    assert found.allotment.benefits["expected_revenue"][0] == pytest.approx(25 * chance.sum())
    assert found.value_name == "basket"
    assert found.spread is not None
    assert found.spread.mean == pytest.approx(pd.read_csv(small / "customers.csv")["basket"].mean())
    assert found.case is None


def test_the_command_runs_repeats_and_places_rows(small: Path, tmp_path: Path) -> None:
    words = [
        "pipeline=omnichannel",
        "data=csv",
        f"data.path='{small}/customers.csv'",
        "device=cpu",
        "cluster=hierarchical",
    ]
    words += [f"pipeline.projects='{small}/projects.csv'", "pipeline.n_segments=3", "pipeline.candidates=[2,3]"]
    words += ["pipeline.channel_budget={phone: 200}", "pipeline.demand=pieces", "pipeline.resource_limit=1000"]
    for name in ("one", "two"):
        assert cli.main([*words, f"hydra.run.dir='{tmp_path}/{name}'"]) == 0
    files = [path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file()]
    compared = [
        path for path in files if path.suffix in (".csv", ".png", ".safetensors") or path.name == "metrics.json"
    ]
    assert len(compared) > 40
    for path in compared:
        assert (tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes(), path
    assert (table(tmp_path / "one", "assignment")["project"] == "call").sum() == 50
    assert table(tmp_path / "one", "quantities").eval("times * limited_quantity").sum() <= 1000
    new = ["pipeline=predict", f"model='{tmp_path}/one'", "data=csv", f"data.path='{small}/customers.csv'"]
    assert cli.main([*new, f"hydra.run.dir='{tmp_path}/new'"]) == 0
    placed, assigned = table(tmp_path / "new", "predictions"), table(tmp_path / "one", "assignment")
    assert placed["row"].tolist() == list(range(1, 401))
    assert placed["customer_id"].tolist() == [f"C{place:03}" for place in range(400)]
    assert "customer_id" not in assigned
    assert placed["segment"].tolist() == assigned["segment"].tolist()
    assert (placed["project"] == assigned["project"]).mean() > 0.99
    assert metrics(tmp_path / "new")["n_contacted"] == (placed["project"] != "none").sum()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"current": "letter"}, "unknown project in pipeline.current 'letter'"),
        ({"outcome": "boughtt"}, "unknown column in pipeline.outcome 'boughtt'. Did you mean 'bought'"),
        ({"value": "baskets"}, "unknown column in pipeline.value 'baskets'. Did you mean 'basket'"),
        ({"value": "plan"}, "pipeline.value=plan is text; name a number"),
        ({"projects": None}, "nothing says who orders; pass data.target"),
        ({"n_segments": 500}, "customers.csv: "),
    ],
)
def test_what_cannot_be_planned_is_said(small: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        planned(small, small / "projects.csv", **changes)


def test_a_network_that_leaves_the_probabilities_is_refused(small: Path) -> None:
    given = Parts(
        data={"name": "csv", "path": str(small / "customers.csv")}, network={"name": "bp", "output": "identity"}
    )
    config = Config(projects=str(small / "projects.csv"), n_segments=3, candidates=(2,))
    with pytest.raises(InputError, match=r"network.output=identity leaves \[0, 1\]; probabilities need sigmoid"):
        omnichannel.analyse(given.table(), config, given)


@pytest.mark.parametrize("damage", ["centres", "rates", "network 0 layers.0.weight"])
def test_a_damaged_model_is_refused(folder: Path, damage: str) -> None:
    saved = load_model(folder)
    arrays = {**saved.arrays, damage: saved.arrays[damage][:, :1]}
    with pytest.raises(InputError, match="the model folder is damaged"):
        OmnichannelModel.from_saved(type(saved)(saved.kind, saved.settings, arrays))


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("data", "config"),
    [
        ({"name": "csv", "path": "online_shoppers.csv", "target": "revenue"}, Config(n_segments=4, candidates=(3, 4))),
        (
            {
                "name": "rfm", "path": "online_retail.parquet", "customer": "CustomerID", "date": "InvoiceDate",
                "invoice": "InvoiceNo", "quantity": "Quantity", "price": "UnitPrice", "cancelled": "C",
            },
            Config(outcome="frequency", outcome_above=1.0, n_segments=None, candidates=(2, 3), value="monetary"),
        ),
    ],
)  # fmt: skip
def test_real_customers_by_configuration_alone(real_data: Path, data: dict[str, Any], config: Config) -> None:
    given = parts({**data, "path": str(real_data / data["path"])})
    found = omnichannel.analyse(given.table(), config, given)
    benefits = found.allotment.benefits["benefit"]
    assert benefits.iloc[-1] > benefits.iloc[0]
    assert found.allotment.assigned.status == "optimal"
    quality = next(iter(found.fitness.scorers.values())).quality
    assert quality["auc"] > 0.75
    assert quality["brier"] < quality["rate_brier"]
    assert found.quarters is not None
    assert found.quarters.plan.status == "optimal"
    assert found.quarters.plan.total > found.quarters.even.total
