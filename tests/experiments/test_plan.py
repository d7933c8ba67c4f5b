"""No equation, table or figure is without an experiment, and no planned question without an answer."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from experiments.claims import load_claims
from experiments.experiment import FOLDER, Findings, Workspace, find, names
from experiments.ledger import ITEMS
from experiments.plan import paper_of, read_plan
from experiments.running import run_one

CONFIGS = Path(__file__).parents[2] / "configs" / "experiment"
PLANNED = {
    "a": "lm_vs_bp network_diagram pre_experiment iteration_curves error_before_after cost_model profit_max scorecard_lmbp "
    "table4_1_audit logit_churn churn_portraits recommender model_comparison table4_3_4_4_audit",
    "b": "normalise features clustering table1_2_audit pareto benefit entropy_alloc allocation_case table3_4_audit",
}
QUICK = ("paper_a/equations_3", "paper_a/field_tables", "paper_a/table_4_1", "paper_b/tables_1_2", "paper_b/tables_3_4")


def test_every_item_has_one_experiment() -> None:
    owed = Counter((paper_of(name), item) for name, entry in read_plan().items() for item in entry.items)
    assert set(ITEMS) <= set(owed)
    assert set(owed.values()) == {1}


def test_every_experiment_is_planned() -> None:
    assert sorted(read_plan()) == names()


def test_every_further_claim_is_printed_somewhere() -> None:
    claims = load_claims()
    for name, entry in read_plan().items():
        for item in entry.items:
            printed = item.partition(" on ")[0] if item.startswith("Churn analysis") else item
            assert printed in claims.printed[paper_of(name)]
            assert claims.finding(paper_of(name), printed)


def test_every_planned_question_has_an_answer() -> None:
    planned = {f"{paper}/{name}" for paper, text in PLANNED.items() for name in text.split()}
    answers = [answer for entry in read_plan().values() for answer in entry.answers]
    assert len(planned) == 23
    assert sorted(answers) == sorted(planned)


@pytest.mark.parametrize("name", read_plan())
def test_an_experiment_has_its_configuration_or_a_reason(name: str) -> None:
    entry = read_plan()[name]
    assert bool(entry.configs) != bool(entry.no_config)
    for config in entry.configs:
        assert (CONFIGS / f"{config}.yaml").is_file()


def test_every_configuration_belongs_to_an_experiment() -> None:
    named = {config for entry in read_plan().values() for config in entry.configs}
    assert named == {file.relative_to(CONFIGS).with_suffix("").as_posix() for file in CONFIGS.glob("*/*.yaml")}


@pytest.mark.parametrize("name", QUICK)
def test_an_experiment_gives_the_rows_that_it_owes(name: str, tmp_path: Path) -> None:
    done = run_one(name, Workspace(load_claims(), tmp_path))
    assert done.failure == ""
    assert {row.item for row in done.findings.rows} == set(read_plan()[name].items)
    drawn = {item for picture in done.findings.pictures for item in picture.items}
    assert drawn <= set(read_plan()[name].items)


def test_rows_that_are_not_owed_are_a_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    module = __import__("experiments.paper_a.table_4_1", fromlist=["run"])
    monkeypatch.setattr(module, "run", lambda workspace: Findings(()))
    done = run_one("paper_a/table_4_1", Workspace(load_claims(), tmp_path))
    assert done.failure == "InputError: plan.yaml and the rows differ in Table 4.1; name both alike."


def test_seeds_are_told() -> None:
    for name, entry in read_plan().items():
        assert not (entry.seeds and (FOLDER / f"{name}.yaml").is_file()), f"{name}: one place is enough"
        assert find(name).run
