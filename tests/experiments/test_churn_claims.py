"""The churn rows: what one run of the pipeline leaves, and verdicts that hang on the printed numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiments.churn_claims import analysis_row, precision_row, stages_row
from experiments.claims import Claims, load_claims
from experiments.experiment import Findings
from experiments.ledger import Row
from experiments.run_folder import RunFolder, run_command
from marketnn.errors import InputError

CLAIMS = load_claims()
FIGURE = CLAIMS.printed["A"]["Figure 3.3"]["stages"]
PRINTED: list[tuple[list[str | int], Any]] = [
    (["Equation 4.1", "precision"], "0.9730"),
    (["Equation 4.1", "numerator"], ["fp"]),
    (["Equation 4.1", "denominator"], ["tp", "fn"]),
    (["Churn analysis", "level"], "0.06"),
    *((["Figure 3.3", "stages", stage], 0) for stage in FIGURE),
]


@pytest.fixture(scope="session")
def run(churn_findings: Findings) -> RunFolder:
    return RunFolder(churn_findings.runs[0])


def rows(claims: Claims, run: RunFolder) -> dict[str, Row]:
    found = precision_row(claims, "x", run), stages_row(claims, "x", run), analysis_row(claims, "x", "Telco", run)
    return {row.item: row for row in found}


def test_every_claim_holds_in_kind(churn_findings: Findings) -> None:
    assert {row.item: row.verdict for row in churn_findings.rows} == {
        "Equation 4.1": "in kind",
        "Figure 3.3": "in kind",
        "Churn analysis on Telco": "in kind",
    }


def test_the_precision_is_bought_with_recall(churn_findings: Findings) -> None:
    row = churn_findings.rows[0]
    assert row.ours["precision reached"] >= 0.9729
    assert row.ours["recall where reached"] < 0.1
    assert row.ours["precision where reached, lower 95 % bound"] < row.ours["precision reached"]
    for words in ("not an accuracy", "not of the LMBP network", "no counts"):
        assert words in row.reason


def test_the_lower_bound_is_clopper_and_pearsons(run: RunFolder) -> None:
    # With all of n named customers leaving, the one-sided bound is .05^(1/n).
    row = rows(CLAIMS, run)["Equation 4.1"]
    assert row.ours["precision reached"] == 1.0
    bound = 0.05 ** (1 / row.ours["customers named where reached"])
    assert row.ours["precision where reached, lower 95 % bound"] == pytest.approx(bound, rel=1e-9)


@pytest.mark.parametrize(("path", "value"), PRINTED, ids=lambda part: str(part))
def test_another_printed_number_changes_the_verdict(
    path: list[str | int], value: Any, run: RunFolder, changed_claims: Callable[..., Claims]
) -> None:
    changed = rows(changed_claims(["A", *path], value), run)
    different = {item for item, row in changed.items() if row.verdict == "not reproducible"}
    assert len(different) == 1
    assert different.pop().startswith(str(path[0]))


def test_without_such_a_threshold_the_precision_is_not_reproducible(run: RunFolder, tmp_path: Path) -> None:
    metrics = {name: value for name, value in run.metrics.items() if not name.startswith("target_precision")}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    (tmp_path / "config.yaml").write_text((run.path / "config.yaml").read_text())
    (tmp_path / "tables").mkdir()
    curve = "threshold,precision,recall,f1,n_selected\n0.9,0.95,0.03,0.1,4\n0.8,0.5,0.1,0.2,20\n"
    (tmp_path / "tables" / "threshold_curve.csv").write_text(curve)
    row = precision_row(CLAIMS, "x", RunFolder(tmp_path))
    assert row.verdict == "not reproducible"
    assert row.reason.startswith("'a threshold reaches the precision' differs: ours is 0, published 1.")


def test_a_refused_command_says_why(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"pipeline=chrun.*status 2:\n.*Did you mean 'churn'"):
        run_command(["pipeline=chrun"], tmp_path / "run")
