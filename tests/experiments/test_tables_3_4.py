"""Tables 3 and 4 and figures 1 and 2 of paper B: every printed number carries its verdict."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from experiments.claims import Claims, load_claims
from experiments.experiment import Workspace
from experiments.paper_b import tables_3_4
from experiments.paper_b.features import correlation_row, importance_row
from experiments.paper_b.tables_3_4 import quarters_row, volumes_row

CLAIMS = load_claims()
FEATURES = list(CLAIMS.printed["B"]["Figure 2"]["importance"])


def test_the_calibrated_demand_gives_both_volumes() -> None:
    found = tables_3_4.run(Workspace(CLAIMS, Path("unused")))
    table_3, table_4 = found.rows
    assert (table_3.verdict, table_4.verdict) == ("in kind", "not reproducible")
    assert table_3.ours["revenue, change"] == pytest.approx(0.6875)
    assert table_3.ours["spend, change"] == pytest.approx(-0.125)
    assert table_4.ours["unit cost by A2's last rate"] == pytest.approx(16.204, abs=1e-3)
    assert table_4.published["unit cost by A2's last rate"] == pytest.approx(5.2)
    assert len(found.pictures) == 1


@pytest.mark.parametrize("product", ["A1", "A2"])
@pytest.mark.parametrize("number", ["advertising", "promotion", "price", "quantity"])
def test_another_printed_number_changes_the_verdict_of_table_3(
    product: str, number: str, changed_claims: Callable[..., Claims]
) -> None:
    value = CLAIMS.printed["B"]["Table 3"]["products"][product][number] * 1.02
    changed = changed_claims(["B", "Table 3", "products", product, number], value)
    assert volumes_row(changed).verdict == "not reproducible"


def test_one_unit_cost_would_change_the_verdict_of_table_4(changed_claims: Callable[..., Claims]) -> None:
    # At a rate of 46.67 % A2 would have A1's unit cost.
    changed = changed_claims(["B", "Table 4", "profit", 3], "46.67")
    assert quarters_row(changed).verdict == "in kind"


@pytest.fixture
def correlation() -> pd.DataFrame:
    table = pd.DataFrame(np.eye(8), index=FEATURES, columns=FEATURES)
    table.loc["amount", "orders"] = table.loc["orders", "amount"] = 0.51
    return table


def test_the_strong_pair(correlation: pd.DataFrame, changed_claims: Callable[..., Claims]) -> None:
    assert correlation_row(CLAIMS, correlation, 0.02).verdict == "in kind"
    assert (
        correlation_row(changed_claims(["B", "Figure 1", "correlation"], "0.6"), correlation, 0.02).verdict != "in kind"
    )
    correlation.loc["age", "income"] = correlation.loc["income", "age"] = -0.7
    assert correlation_row(CLAIMS, correlation, 0.02).verdict == "not reproducible"


@pytest.mark.parametrize(("feature", "value"), [("quantity", "0.30"), ("gender", "0.01"), ("age", "0.00")])
def test_importances(feature: str, value: Any, changed_claims: Callable[..., Claims]) -> None:
    x = pd.DataFrame(columns=FEATURES)
    alike = pd.Series({name: float(share) for name, share in CLAIMS.printed["B"]["Figure 2"]["importance"].items()})
    assert importance_row(CLAIMS, x, alike, 0.8).verdict == "in kind"
    assert importance_row(CLAIMS, x, alike[::-1].set_axis(alike.index), 0.8).verdict == "not reproducible"
    changed = changed_claims(["B", "Figure 2", "importance", feature], value)
    assert importance_row(changed, x, alike, 0.8).verdict == "not reproducible"
