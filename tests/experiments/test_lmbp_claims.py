"""The claims about LMBP: small races and studies, and verdicts that hang on the printed numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from experiments.claims import Claims, load_claims, read_yaml
from experiments.experiment import Findings, Workspace
from experiments.fitting import Part, linear_prediction, load_problems, prepare
from experiments.ledger import Row
from experiments.optimizer_race import Lap, standings
from experiments.paper_a import limited_data, lm_vs_bp, network_diagram, noise_robustness
from experiments.stress import ledger_row, run_study
from marketnn.pipeline.scorecard import Config, analyse
from marketnn.report.network_diagram import network_diagram as draw

CLAIMS = load_claims()
RACE = {
    "n_scorecard": 200,
    "hidden_sizes": [4],
    "seeds": [0],
    "levels": [2, 4],
    "methods": {
        "LM": {"max_epochs": 8, "optimizer": {"name": "lm"}},
        "gradient descent": {"max_epochs": 20, "optimizer": {"name": "gd", "learning_rate": 2.0}},
        "L-BFGS": {"max_epochs": 10, "optimizer": {"name": "lbfgs"}},
    },
}
SMALL = {"n_scorecard": 200, "samples": 3, "hidden_sizes": [4], "max_epochs": 10, "max_fail": 5, "seed": 0}
STUDIES = {
    "limited data": (limited_data.STUDY, {**SMALL, "rows": [120, 15]}),
    "noise": (noise_robustness.STUDY, {**SMALL, "rows": 120, "noise": [0.0, 2.0]}),
}


@pytest.fixture(autouse=True)
def only_what_comes_along(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MARKETNN_DATA", raising=False)


@pytest.fixture(scope="module")
def race(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MARKETNN_DATA", raising=False)
        return lm_vs_bp.race(Workspace(CLAIMS, tmp_path_factory.mktemp("race")), RACE)


def lap(method: str, loss: list[float], test_rmse: float = 1.0, problem: str = "p", ended: bool = True) -> Lap:
    return Lap(problem, method, 0, np.array(loss), np.arange(1.0, len(loss) + 1) / 10, test_rmse, ended)


def test_standings_by_hand() -> None:
    laps = [lap("LM", [4, 2, 1]), lap("slow", [5, 4, 3, 2.5, 2.0], 0.5), lap("never", [5.0, 5.0])]
    table = standings(laps, [1, 2])
    assert table.loc[("p", "LM"), ["epochs_to_1", "epochs_to_2", "train_mse", "epochs"]].tolist() == [1, 2, 1, 3]
    assert table.loc[("p", "slow"), ["epochs_to_1", "epochs_to_2"]].tolist() == [2, 5]
    assert table.loc[("p", "slow"), "seconds_to_2"] == pytest.approx(0.5)
    assert table.loc[("p", "never"), "epochs_to_1"] == math.inf
    assert lm_vs_bp.where_lm_does_not_win(table) == [
        "LM does not win on p, test RMSE: slow 0.5, LM 1.",
    ]


def test_what_a_cut_off_run_leaves_open_is_not_claimed() -> None:
    """BP stops at 3 epochs, its error still falling: too late for LM's 2 epochs, too early for LM's 5."""
    settings = {"levels": [1], "methods": {"LM": {}, "gradient descent": {}}}
    for lm_loss, decided in (([4.0, 1.0], True), ([4.0, 3.0, 3.0, 3.0, 1.0], False)):
        laps = [lap("LM", lm_loss), lap("gradient descent", [9.0, 8.0, 7.0], 2.0, ended=False)]
        table = standings(laps, [len(lm_loss)]).rename(
            columns=lambda name: name.split("_to_")[0] + "_to_1" * ("_to_" in name)
        )
        speed, accuracy = lm_vs_bp.ledger_rows(CLAIMS, table, settings)
        assert speed.verdict == ("in kind" if decided else "not reproducible")
        assert ("p: fewer epochs than BP" in speed.ours) == ("p: less time than BP" in speed.ours) == decided
        assert accuracy.verdict == "not reproducible"
        assert "p: lower test error than BP" not in accuracy.ours
        for row in (speed, accuracy):
            assert "LM's training error after 1 epoch not reached within 3 epochs." in row.reason
            assert "gradient descent on p: the validation error had not stopped falling within 3 epochs." in row.reason
            assert "picked on these very problems" in row.reason


def test_all_start_from_the_same_weights(race: Findings) -> None:
    folder = race.runs[0]
    table = pd.read_csv(folder / "tables" / "standings.csv", index_col=["problem", "method"])
    assert set(table.index) == {
        (problem, method) for problem in ("scorecard", "concrete") for method in RACE["methods"]
    }
    assert (table.xs("LM", level="method")["epochs_to_4"] <= 4).all()
    assert (folder / "report.html").exists()
    assert "MARKETNN_DATA names no folder" in (folder / "report.html").read_text()


def race_rows(claims: Claims, lm_epochs: float = 5.0, lm_error: float = 1.0) -> dict[str, Row]:
    laps = [lap("LM", [1.0] * int(lm_epochs)), lap("gradient descent", [3.0, 2.0, 1.5], 2.0)]
    table = standings(laps, [1]).assign(test_rmse=[lm_error, 2.0])
    settings = {"levels": [1], "methods": {"LM": {}, "gradient descent": {}}}
    return {row.item: row for row in lm_vs_bp.ledger_rows(claims, table, settings)}


@pytest.mark.parametrize("item", lm_vs_bp.ITEMS)
def test_another_claim_changes_the_races_verdict(item: str, changed_claims: Callable[..., Claims]) -> None:
    assert race_rows(CLAIMS)[item].verdict == "in kind"
    assert race_rows(changed_claims(["A", item, "claim"], 0))[item].verdict == "not reproducible"
    lost = race_rows(CLAIMS, lm_error=3.0)
    assert [lost[name].verdict for name in lm_vs_bp.ITEMS] == ["in kind", "not reproducible"]


def test_no_seconds_in_the_ledger(race: Findings) -> None:
    assert [row.item for row in race.rows] == list(lm_vs_bp.ITEMS)
    for row in race.rows:
        assert not [name for name in row.ours if "seconds" in name]
        assert "seconds" not in row.reason


@pytest.fixture(scope="module", params=STUDIES)
def study(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any, Findings]:
    chosen, settings = STUDIES[request.param]
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MARKETNN_DATA", raising=False)
        return chosen, settings, run_study(chosen, Workspace(CLAIMS, tmp_path_factory.mktemp("study")), settings)


def test_the_hard_end_costs_accuracy(study: tuple[Any, Any, Findings]) -> None:
    chosen, settings, findings = study
    table = pd.read_csv(findings.runs[0] / "tables" / "errors.csv")
    assert len(table) == 2 * 2 * 3
    error = table[table["model"] == "LMBP"].pivot(index="problem", columns=chosen.condition, values="rmse")
    easy, hard = settings[chosen.condition]
    assert (error[hard] > error[easy]).all()
    (row,) = findings.rows
    assert row.verdict == "in kind"


def test_another_claim_changes_the_studys_verdict(
    study: tuple[Any, Any, Findings], changed_claims: Callable[..., Claims]
) -> None:
    chosen, _, findings = study
    table = pd.read_csv(findings.runs[0] / "tables" / "errors.csv")
    assert ledger_row(chosen, CLAIMS, table).ours == findings.rows[0].ours
    assert ledger_row(chosen, changed_claims(["A", chosen.item, "claim"], 0), table).verdict == "not reproducible"


def test_a_study_repeats_itself(study: tuple[Any, Any, Findings], tmp_path: Path) -> None:
    chosen, settings, findings = study
    again = run_study(chosen, Workspace(CLAIMS, tmp_path), settings)
    assert again.rows == findings.rows
    name = Path("tables") / "errors.csv"
    assert (again.runs[0] / name).read_bytes() == (findings.runs[0] / name).read_bytes()


def test_samples_hold_their_own_rows() -> None:
    (problem, _), _ = load_problems(200, seed=0)
    prepared = prepare(problem, 0, shares=(0.8, 0.0))
    assert (len(prepared.train.y), len(prepared.validation.y), len(prepared.test.y)) == (160, 0, 40)
    calm, noisy = (noise_robustness.draw_noisy(prepared, noise, STUDIES["noise"][1]) for noise in (0.0, 2.0))
    assert torch.equal(calm.x, noisy.x)
    assert torch.equal(calm.truth, noisy.truth)
    spread = (noisy.y - calm.y).std() / prepared.train.y.std()
    assert spread.item() == pytest.approx(2.0, rel=0.15)
    few = limited_data.draw_rows(prepared, 15, SMALL)
    assert few.x.shape == (3, 15, 24)


def test_linear_prediction_is_least_squares() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(2, 30, 3, dtype=torch.float64, generator=generator)
    y = torch.rand(2, 30, 1, dtype=torch.float64, generator=generator)
    new = torch.rand(7, 3, dtype=torch.float64, generator=generator)
    found = linear_prediction(Part(x, y, y), new)
    for place in range(2):
        design = np.column_stack([x[place], np.ones(30)])
        solution = np.linalg.lstsq(design, y[place].numpy(), rcond=None)[0]
        np.testing.assert_allclose(found[place], np.column_stack([new, np.ones(7)]) @ solution, rtol=1e-9)


def test_the_diagram_holds_every_parameter(changed_claims: Callable[..., Claims]) -> None:
    parts = network_diagram.PARTS
    network = analyse(parts.table(), Config(members=1, max_epochs=2), parts).model.network
    figure = draw(network)
    row = network_diagram.ledger_row(CLAIMS, network, figure)
    assert (row.verdict, row.ours["lines"]) == ("in kind", 8 * 6 + 6 + 6 + 1)
    for name, value in CLAIMS.printed["A"]["Figure 2.1"]["topology"].items():
        changed = changed_claims(["A", "Figure 2.1", "topology", name], value + 1)
        assert network_diagram.ledger_row(changed, network, figure).verdict == "not reproducible"


def test_the_settings_are_complete() -> None:
    race_settings = read_yaml(lm_vs_bp.SETTINGS)
    assert set(race_settings) == set(RACE)
    assert set(RACE["methods"]) < set(race_settings["methods"])
    for chosen, settings in STUDIES.values():
        assert set(read_yaml(chosen.settings)) == set(settings)
