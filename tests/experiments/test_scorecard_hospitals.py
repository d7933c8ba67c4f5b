"""The scorecard on hospitals: the same folds for all, intervals by hand, a verdict that hangs on the margin."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold, cross_val_predict

from experiments.claims import load_claims, read_yaml
from experiments.experiment import Workspace
from experiments.paper_a.scorecard_hospitals import (
    LINEAR,
    NETWORK,
    SETTINGS,
    intervals,
    ledger_row,
    run,
    squared_errors,
)

CLAIMS = load_claims()
QUICK = {**read_yaml(SETTINGS), "folds": 2, "restarts": 1, "trees": 3}


def test_errors_are_of_rows_that_no_model_saw() -> None:
    rng = np.random.default_rng(0)
    x = pd.DataFrame(rng.normal(size=(120, 3)), columns=list("abc"))
    score = x.sum(axis=1).to_numpy() + 0.1 * rng.normal(size=120)
    squared = squared_errors(x, score, QUICK)
    folds = KFold(2, shuffle=True, random_state=QUICK["seed"])
    np.testing.assert_allclose(
        squared[LINEAR], (cross_val_predict(LinearRegression(), x, score, cv=folds) - score) ** 2
    )
    table = intervals(squared)
    assert (table["low"] < table["rmse"]).all()
    assert (table["rmse"] < table["high"]).all()
    half = 1.959964 * squared[LINEAR].std() / np.sqrt(120)
    assert table.at[LINEAR, "high"] == pytest.approx(np.sqrt(squared[LINEAR].mean() + half))


def test_the_verdict_hangs_on_the_margin(tmp_path: Path) -> None:
    errors = pd.DataFrame({"rmse": {NETWORK: 0.59, LINEAR: 0.586, "random forest": 0.61}})
    workspace = Workspace(CLAIMS, tmp_path)
    assert ledger_row(errors, workspace, QUICK).verdict == "in kind"
    assert ledger_row(errors, workspace, {**QUICK, "margin": 0.001}).verdict == "not reproducible"
    changed = {**CLAIMS.printed["A"], "Scorecard on hospital ratings": {"claim": 0}}
    other = replace(workspace, claims=replace(CLAIMS, printed={**CLAIMS.printed, "A": changed}))
    assert ledger_row(errors, other, QUICK).verdict == "not reproducible"


def test_without_the_table_the_row_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKETNN_DATA", str(tmp_path))
    (row,) = run(Workspace(CLAIMS, tmp_path / "runs")).rows
    assert row.verdict == "not reproducible"
    assert row.reason == (
        "Not computed: hospital_scorecard.csv does not come along; MARKETNN_DATA names the folder that has it."
    )
