"""The cases of the engine ``lm`` at tiny sizes; no time is asserted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch


def test_every_case_of_lm_is_well_formed(bench: dict[str, ModuleType], tmp_path: Path) -> None:
    options = bench["case"].Options(seed=0, threads=1, quick=True, output=str(tmp_path))
    cases = bench["cases_lm"].cases(options)
    assert bench["harness"].engines()["lm"] == "bench.cases_lm"
    assert len({case.name for case in cases}) == len(cases) == 13
    for case in cases:
        names = [contender.name for contender in case.contenders]
        assert names[0] == "marketnn"
        assert len(set(names)) == len(names)
        assert {name for goal in case.goals for name in (goal.of, goal.over) if name} | {*case.memory} <= {*names}
        shown = {*case.columns, bench["machine"].MEMORY}
        assert {goal.measure for goal in case.goals} <= shown
        assert case.check is None or case.check.measure in case.columns


@pytest.mark.parametrize("name", ["gauss_25_16_5", "restarts_64", "sin_step_1_5_1", "random_1"])
def test_what_is_installed_gives_the_same_result(bench: dict[str, ModuleType], tmp_path: Path, name: str) -> None:
    options = bench["case"].Options(seed=0, threads=1, quick=True, output=str(tmp_path))
    (case,) = [case for case in bench["cases_lm"].cases(options) if case.name == name]
    records = bench["measure"].measure_times(case, 1)
    statuses = bench["table"].statuses(bench["results"].Section(case, 0, 1, True, "", "", {}, records))
    assert statuses["marketnn"] == "yes"
    assert all(status == "yes" or status.startswith("missing: ") for status in statuses.values())
    measured = records["marketnn"].runs[0]
    assert {*case.columns} <= {*measured}
    assert all(value > 0 for value in measured.values())


def test_adams_grid_runs_once_and_its_best_is_kept(bench: dict[str, ModuleType], tmp_path: Path) -> None:
    large = bench["lm_large"]
    task = bench["lm_tasks"].smooth_task((3, 4, 2, 1), 50, seed=1)
    options = bench["case"].Options(seed=0, threads=1, quick=True, output=str(tmp_path))
    best = large.adam_best(task, options, seconds=0.02)
    (path,) = tmp_path.iterdir()
    kept = json.loads(path.read_text())
    assert best == min(run["mse"] for run in kept["runs"])
    assert len(kept["runs"]) == 6
    kept["runs"][0]["mse"] = -1.0
    path.write_text(json.dumps(kept))
    assert large.adam_best(task, options, seconds=0.02) == -1.0
    assert large.adam_best(replace(task, y=task.y + 1e-6), options, seconds=0.02) > 0
    assert large.adam_best(task, options, seconds=0.03) > 0


@pytest.mark.parametrize(("name", "goal"), [("marketnn", 1e-6), ("scipy, lm", 1e-6), ("scipy, trf", 1e-6)])
def test_the_sine_is_fitted_to_its_goal(bench: dict[str, ModuleType], name: str, goal: float) -> None:
    measured = fit_the_sine(bench, name, goal, seconds=10)
    assert measured["fits of 1 that reach it"] == 1
    assert 0 < measured["median s of all fits"] < 10
    assert measured["highest MSE"] <= goal


@pytest.mark.parametrize("name", ["marketnn", "scipy, trf", "torch L-BFGS", "torch Adam"])
def test_a_fit_that_does_not_reach_the_goal_ends_and_says_so(bench: dict[str, ModuleType], name: str) -> None:
    measured = fit_the_sine(bench, name, goal=0.0, seconds=0.05)
    assert measured["fits of 1 that reach it"] == 0
    assert 0 < measured["highest MSE"] < 1
    assert measured["median s of all fits"] == float("inf")


def fit_the_sine(bench: dict[str, ModuleType], name: str, goal: float, seconds: float) -> dict[str, float]:
    """Fit the sine from one seed's first weights with the contender of a name."""
    task = bench["lm_tasks"].sine_task(41)
    contenders = bench["lm_goals"].goal_contenders(lambda: task, [0], goal, seconds, adam_rate=0.01)
    (contender,) = [contender for contender in contenders if contender.name == name]
    return contender.prepare()()


def test_the_bank_table_is_scaled_and_split(bench: dict[str, ModuleType], real_data: Path) -> None:
    parts = bench["lm_tasks"].bank_task(8, seed=0)
    assert [len(part.x) for part in parts] == [24_712, 8_238, 8_238]
    assert parts[0].layer_sizes == (62, 8, 1)
    assert (parts[0].x.amin().item(), parts[0].x.amax().item()) == (0.0, 1.0)
    assert sum(part.y.sum().item() for part in parts) == 4_640


def test_a_bank_table_that_is_not_there_is_missing(
    bench: dict[str, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARKETNN_DATA", str(tmp_path))
    with pytest.raises(bench["case"].Missing, match="bank_additional"):
        bench["lm_tasks"].bank_task(8, seed=0)


def test_half_of_the_fits_missing_is_a_median_of_infinity(bench: dict[str, ModuleType]) -> None:
    goals, task = bench["lm_goals"], bench["lm_tasks"].sine_task(41)
    ends = iter([0.5, 0.0, 0.5, 0.5])
    measured = goals._fits(task, lambda task, network, watch: watch.check(next(ends)), range(4), 0.1, 1.0)()
    assert measured == {"fits of 4 that reach it": 1.0, "median s of all fits": float("inf"), "highest MSE": 0.5}


def test_the_first_steps_are_not_timed(bench: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch) -> None:
    steps, clock = bench["lm_steps"], [0.0]
    monkeypatch.setattr(steps.time, "perf_counter", lambda: clock[0])
    seconds = iter([100.0, 100.0, 1.0, 1.0, 1.0])

    def step() -> torch.Tensor:
        clock[0] += next(seconds)
        return torch.tensor(0.25)

    assert steps._timed_steps(step, 3, 2) == {"ms per step": 1000.0, "MSE after the steps": 0.25}


def test_the_peers_default_is_a_row_of_the_large_step(bench: dict[str, ModuleType], tmp_path: Path) -> None:
    options = bench["case"].Options(seed=0, threads=1, quick=True, output=str(tmp_path))
    case = bench["cases_lm"].large_step(options)
    settings = {contender.name: contender.settings for contender in case.contenders}
    assert "QR (its default)" in settings["torch-levenberg-marquardt, QR"]
    assert {goal.of for goal in case.goals} == {*settings} - {"marketnn"}


def test_the_profile_of_a_step_counts_its_calls(bench: dict[str, ModuleType], tmp_path: Path) -> None:
    options = bench["case"].Options(seed=0, threads=1, quick=True, output=str(tmp_path))
    page = bench["profile_lm"].profile(options)
    rows = {cells[1].strip(): cells[2:4] for line in page.splitlines() if len(cells := line.split("|")) == 5}
    assert float(rows["aten::linalg_cholesky_ex"][0]) >= 1  # one factorisation per trial
    assert [float(cells[0]) for name, cells in rows.items() if name.endswith(" step")] == [1.0]
    assert float(rows["all"][1]) > 0
    assert "/work" not in page
