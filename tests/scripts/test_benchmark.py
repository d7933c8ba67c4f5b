"""The benchmark harness on a toy engine, and the cases of the engine ``lm`` at tiny sizes; no time is asserted."""

from __future__ import annotations

import importlib
import json
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"

TOY = """
import time

from bench.case import Case, Check, Contender, Goal


def contender(name, result, **options):
    return Contender(name, "toy", lambda: lambda: {"s": 2.0, "result": result}, **options)


def hold(megabytes):
    def run():
        held = bytearray(megabytes * 2**20)
        return {"s": 1.0, "result": 1.0}

    return run


def explode():
    raise RuntimeError("no | luck")


def cases(options):
    ours = Contender("ours", "toy", lambda: hold(64))
    rivals = (
        contender("alike", 1.0000001),
        contender("different", 1.1),
        contender("absent", 1.0, requires=("a-peer-that-nobody-has",)),
        contender("yardstick", 5.0, checked=False),
        Contender("broken", "toy", lambda: explode),
    )
    goals = tuple(Goal("s", of=rival.name, over="ours", at_least=1.5) for rival in rivals)
    goals += (Goal("s", of="alike", over="ours", at_least=3), Goal("s", of="ours"), Goal("s", of="ours", threads=7))
    check = Check("result", relative=1e-3)
    return [
        Case("first", "Toy.", ("s", "result"), (ours, *rivals), check, goals, repeats=2, memory=("ours",)),
        Case("second", "Never run.", ("s",), (ours,)),
    ]
"""


@pytest.fixture(scope="session")
def bench() -> dict[str, ModuleType]:
    """The harness's modules, imported as the script does: with its own folder first on the path."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPTS))
        names = ("case", "machine", "measure", "table", "harness", "cases_lm", "lm_goals", "lm_large", "lm_tasks")
        return {name: importlib.import_module(f"bench.{name}") for name in names}


@pytest.fixture(scope="session")
def toy_page(bench: dict[str, ModuleType], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of the toy engine's first case."""
    folder = tmp_path_factory.mktemp("toy")
    (folder / "toy_cases.py").write_text(TOY)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPTS))
        patch.syspath_prepend(str(folder))
        options = bench["case"].Options(seed=3, threads=1, quick=False, output=str(folder / "out"))
        path = bench["harness"].run_engine("toy", "toy_cases", options, command="toy", names=["first"])
    assert [found.name for found in (folder / "out").iterdir()] == ["toy.md"]
    return path.read_text()


def row(text: str, name: str) -> list[str]:
    """Return the cells of the table's row that begins with a name."""
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {name} |")]
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_rows_that_differ_are_void_and_missing_or_failed_peers_are_named(toy_page: str) -> None:
    assert row(toy_page, "ours")[-1] == "yes"
    assert row(toy_page, "alike")[2:] == ["2", "1", "-", "yes"]
    assert row(toy_page, "different")[-1] == "void: result differs from 1 by more than 0.001"
    assert row(toy_page, "absent")[2:] == ["-", "-", "-", "missing: a-peer-that-nobody-has is not installed"]
    assert row(toy_page, "broken")[-1] == "failed: RuntimeError: no \\| luck"
    assert row(toy_page, "yardstick")[-1] == "yes"
    assert "a-peer-that-nobody-has missing" in toy_page


def test_goals_are_judged_on_medians_and_void_rows_void_them(toy_page: str) -> None:
    assert row(toy_page, "s: yardstick / ours")[1:] == ["2x", ">= 1.5x", "met"]
    assert "| s: alike / ours | 2x | >= 1.5x | met |" in toy_page
    assert "| s: alike / ours | 2x | >= 3x | missed |" in toy_page
    for name in ("different", "absent", "broken"):
        assert row(toy_page, f"s: {name} / ours")[1:] == ["-", ">= 1.5x", "void"]
    assert re.findall(r"^\| s: ours \|.*", toy_page, re.MULTILINE) == ["| s: ours | 1 | - | - |"]


def test_memory_is_the_peak_over_the_start_of_a_fresh_process(toy_page: str) -> None:
    assert 60 < float(row(toy_page, "ours")[-2]) < 80


def test_the_page_states_machine_versions_seed_threads_and_command(toy_page: str) -> None:
    for wanted in (f"torch {torch.__version__}", "- Seed: 3", "- Command: `toy`", f"{os.cpu_count()} cores"):
        assert wanted in toy_page
    assert "## first, 1 thread\n" in toy_page
    assert "torch 1" in toy_page.split("Threads: cores 1", 1)[1].splitlines()[0]


def test_contenders_take_turns(bench: dict[str, ModuleType]) -> None:
    case, turns = bench["case"], []

    def contender(name: str, **options: object) -> object:
        return case.Contender(name, "", lambda: lambda: turns.append(name) or {"s": 1.0}, **options)

    contenders = (contender("a"), contender("b", warm_up=False), contender("c", repeats=1))
    records = bench["measure"].measure_times(case.Case("turns", "", ("s",), contenders, repeats=3), None)
    assert "".join(turns) == "ac" + "abc" + "ab" + "ab"
    assert {name: len(record.runs) for name, record in records.items()} == {"a": 3, "b": 3, "c": 1}


def test_a_crash_of_the_measuring_process_is_a_failure_of_its_rows(
    bench: dict[str, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "crashing_cases.py").write_text(
        "import os\nfrom bench.case import Case, Contender\n"
        "def cases(options):\n"
        "    return [Case('crash', '', ('s',), (Contender('ours', '', lambda: os._exit(9)),), memory=('ours',))]\n"
    )
    monkeypatch.syspath_prepend(str(SCRIPTS))
    monkeypatch.syspath_prepend(str(tmp_path))
    options = bench["case"].Options(seed=0, threads=1, quick=True, output=str(tmp_path / "out"))
    text = bench["harness"].run_engine("crash", "crashing_cases", options, command="x").read_text()
    assert row(text, "ours")[-1] == "failed: the process that measures ended with status 9"
    assert "**Quick:" in text


def section(bench: dict[str, ModuleType], results: dict[str, list[float]], **check: float) -> object:
    """Build a section whose contenders gave these results; one called ``coarse`` may differ by .5."""
    case = bench["case"]
    contenders = tuple(
        case.Contender(name, "", lambda: dict, relative=0.5 if name == "coarse" else None) for name in results
    )
    built = case.Case("c", "", ("r",), contenders, case.Check("r", **check))
    records = {name: bench["measure"].Record([{"r": value} for value in found]) for name, found in results.items()}
    return bench["table"].Section(built, 1, "", records)


def test_a_coarse_contender_has_its_own_tolerance(bench: dict[str, ModuleType]) -> None:
    results = {"ours": [1.0], "coarse": [1.4], "other": [1.4]}
    found = bench["table"].statuses(section(bench, results, relative=0.02))
    assert [name for name, status in found.items() if status == "yes"] == ["ours", "coarse"]


def test_one_bad_run_voids_a_row(bench: dict[str, ModuleType]) -> None:
    statuses = bench["table"].statuses
    results = {"ours": [1.0, 1.0], "good": [1.0, 1.01], "once": [1.0, 1.0, 2.0], "nan": [1.0, float("nan")], "none": []}
    found = statuses(section(bench, results, relative=0.02))
    assert [name for name, status in found.items() if status == "yes"] == ["ours", "good"]
    found = statuses(section(bench, results, at_most=1.5))
    assert [name for name, status in found.items() if status == "yes"] == ["ours", "good"]
    assert found["once"] == "void: r above 1.5"
    assert found["none"] == "void: no r"


@given(values=st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=9))
@settings(deadline=None)
def test_the_spread_holds_the_median_between_its_ends(bench: dict[str, ModuleType], values: list[float]) -> None:
    numbers = [float(number) for number in re.findall(r"[\d.e+-]+", bench["table"].spread(values))]
    assert numbers[0] == pytest.approx(statistics.median(values), rel=1e-3)
    assert numbers[1:] in ([], [pytest.approx(min(values), rel=1e-3), pytest.approx(max(values), rel=1e-3)])


def test_markdown_is_written_atomically(
    bench: dict[str, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "new" / "page.md"
    write = bench["table"].write_atomically
    write(path, "old")
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", lambda *names: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(OSError, match="disk full"):
            write(path, "new")
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]
    write(path, "new")
    assert path.read_text() == "new"


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
    statuses = bench["table"].statuses(bench["table"].Section(case, 1, "", records))
    assert statuses["marketnn"] == "yes"
    assert all(status == "yes" or status.startswith("missing: ") for status in statuses.values())
    measured = records["marketnn"].runs[0]
    assert {*case.columns} <= {*measured}
    assert all(value > 0 for value in measured.values())


def test_adams_grid_runs_once_and_its_best_is_kept(
    bench: dict[str, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    assert large.adam_best(task, options, seconds=0.03) > 0


@pytest.mark.parametrize(("name", "goal"), [("marketnn", 1e-6), ("scipy, lm", 1e-6), ("scipy, trf", 1e-6)])
def test_the_sine_is_fitted_to_its_goal(bench: dict[str, ModuleType], name: str, goal: float) -> None:
    measured = fit_the_sine(bench, name, goal, seconds=10)
    assert measured["fits that reach it"] == 1
    assert measured["highest MSE"] <= goal


@pytest.mark.parametrize("name", ["marketnn", "scipy, trf", "torch L-BFGS", "torch Adam"])
def test_a_fit_that_does_not_reach_the_goal_ends_and_says_so(bench: dict[str, ModuleType], name: str) -> None:
    measured = fit_the_sine(bench, name, goal=0.0, seconds=0.05)
    assert measured["fits that reach it"] == 0
    assert 0 < measured["highest MSE"] < 1
    assert "median s of these" not in measured


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


def test_the_command_refuses_an_unknown_case(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPTS / "benchmark.py"), "lm", "--case", "gaus_25_16_5", "--output", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS.parent)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "gauss_25_16_5" in ended.stderr
    assert len(ended.stderr.splitlines()) <= 3
    assert list(tmp_path.iterdir()) == []
