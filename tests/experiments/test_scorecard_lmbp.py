"""Figures 3.1 and 3.2: found in a run, and not found once what is printed is another."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from experiments.claims import Claims, load_claims
from experiments.experiment import Workspace
from experiments.paper_a.scorecard_lmbp import model_row, run, stages_row
from experiments.run_folder import RunFolder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    findings = run(Workspace(load_claims(), tmp_path_factory.mktemp("runs")))
    assert [(row.item, row.verdict) for row in findings.rows] == [("Figure 3.1", "in kind"), ("Figure 3.2", "in kind")]
    assert len(findings.pictures) == 2
    return RunFolder(findings.runs[0])


def test_another_number_of_dimensions_or_stage_changes_the_verdict(
    folder: RunFolder, changed_claims: Callable[..., Claims]
) -> None:
    six = changed_claims(["A", "Figure 3.1", "model", "dimensions"], 6)
    assert model_row(six, folder).verdict == "not reproducible"
    none = changed_claims(["A", "Figure 3.2", "stages", "application"], 0)
    assert stages_row(none, folder).verdict == "not reproducible"


def test_how_good_it_is_stands_beside(folder: RunFolder) -> None:
    ours = model_row(load_claims(), folder).ours
    assert 0.965 <= ours["test R2"] < 1
    assert 0.9 <= ours["slopes with the index's sign"] <= 1
