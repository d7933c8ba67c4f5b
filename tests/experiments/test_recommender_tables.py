"""Tables 3.1-3.5 and 4.2-4.4, figures 4.5 and 4.6: found as the errata say, and every printed number carries its verdict."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from experiments.claims import Claims, load_claims, read_yaml
from experiments.experiment import Workspace
from experiments.ledger import Row
from experiments.paper_a import field_tables, recommender_tables
from experiments.paper_a.recommender_tables import SETTINGS, bars_row, cells_row, importance_row, metrics_row, roc_row
from marketnn.classify import Comparison, compare_classifiers

CLAIMS = load_claims()


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    settings = {**read_yaml(SETTINGS), "rows": 6000}
    x, y = recommender_tables.offers(settings["rows"], settings["seed"])
    models = {"XGBOOST": {"name": "xgboost"}, "Logistic Regression": {"name": "logistic"}}
    comparison = compare_classifiers(x, y, models, seeds=(0,))
    importance = recommender_tables.own_importance(x, y, 0)
    return {
        "settings": settings,
        "comparison": comparison,
        "importance": importance,
        "test": y[comparison.test_rows[0]],
    }


def test_every_field_is_found() -> None:
    rows = field_tables.run(Workspace(CLAIMS, Path("unused"))).rows
    assert {row.item: row.verdict for row in rows} == {f"Table 3.{n}": "in kind" for n in range(1, 6)}


@pytest.mark.parametrize("item", [f"Table 3.{n}" for n in range(1, 6)])
def test_another_printed_field_changes_the_verdict(item: str, changed_claims: Callable[..., Claims]) -> None:
    rows = field_tables.run(Workspace(changed_claims(["A", item, "fields", 0], "Shoe_size"), Path("unused"))).rows
    verdicts = {row.item: row.verdict for row in rows}
    assert verdicts.pop(item) == "not reproducible"
    assert set(verdicts.values()) == {"in kind"}


@pytest.mark.parametrize("build", [cells_row, metrics_row])
def test_the_audits_reproduce_the_errata(build: Callable[[Claims], Row]) -> None:
    assert build(CLAIMS).verdict == "reproduced"


@pytest.mark.parametrize("model", CLAIMS.printed["A"]["Table 4.3"]["rows"])
@pytest.mark.parametrize("place", range(4))
def test_another_printed_cell_changes_the_verdict(
    model: str, place: int, changed_claims: Callable[..., Claims]
) -> None:
    value = CLAIMS.printed["A"]["Table 4.3"]["rows"][model][place] * 3
    changed = changed_claims(["A", "Table 4.3", "rows", model, place], value)
    assert cells_row(changed).verdict == "not reproducible"


@pytest.mark.parametrize("model", CLAIMS.printed["A"]["Table 4.4"]["rows"])
@pytest.mark.parametrize("place", range(4))
def test_another_printed_percentage_changes_the_verdict(
    model: str, place: int, changed_claims: Callable[..., Claims]
) -> None:
    value = f"{float(CLAIMS.printed['A']['Table 4.4']['rows'][model][place]) - 3:.2f}"
    changed = changed_claims(["A", "Table 4.4", "rows", model, place], value)
    assert metrics_row(changed).verdict == "not reproducible"


def test_importance_hangs_on_its_numbers(found: dict[str, Any], changed_claims: Callable[..., Claims]) -> None:
    top = pd.Series({"Inclu_flh_up": 0.1, **{f"field {n}": 0.02 for n in range(45)}})
    settings = found["settings"]
    assert importance_row(CLAIMS, top, settings).verdict == "in kind"
    assert importance_row(CLAIMS, top[::-1], settings).verdict == "not reproducible"
    changed = changed_claims(["A", "Table 4.2", "importance", 8, 1], "0.0266")
    assert importance_row(changed, top, settings).verdict == "not reproducible"
    assert found["importance"].sum() == pytest.approx(1)
    assert set(found["importance"].index[:3]) & set(CLAIMS.printed["A"]["Table 4.2"]["benefits"])


def test_the_printed_area_cannot_be_of_the_printed_model(
    found: dict[str, Any], changed_claims: Callable[..., Claims]
) -> None:
    comparison: Comparison = found["comparison"]
    wide = {**found["settings"], "auc_tolerance": 0.1}
    row = roc_row(CLAIMS, comparison, wide)
    assert row.verdict == "in kind"
    assert row.ours["least AUC by table 4.4"] == pytest.approx(0.820, abs=1e-3)
    changed = changed_claims(["A", "Figure 4.5", "auc"], "0.99")
    assert roc_row(changed, comparison, wide).verdict == "not reproducible"


def test_all_models_have_one_test_set(found: dict[str, Any]) -> None:
    row = bars_row(CLAIMS, found["comparison"], found["test"])
    assert row.ours["models"] == 2
    assert row.verdict == "not reproducible"  # two models are not four
    assert row.ours["rows that all models were tested on"] == 1200
    assert len(recommender_tables.figures(found["comparison"], found["test"], found["importance"], 6000)) == 3
