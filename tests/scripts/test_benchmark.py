"""The benchmark's harness on a toy engine; no time is asserted."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

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
def toy_page(bench: dict[str, ModuleType], scripts: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of the toy engine's first case."""
    folder = tmp_path_factory.mktemp("toy")
    (folder / "toy_cases.py").write_text(TOY)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(scripts))
        patch.syspath_prepend(str(folder))
        options = bench["case"].Options(seed=3, threads=1, quick=False, output=str(folder / "out"))
        path = bench["harness"].run_engine("toy", "toy_cases", options, names=["first"])
    assert {str(found.relative_to(folder / "out")) for found in (folder / "out").rglob("*.*")} == {
        "toy.md",
        "toy/first.json",
    }
    return path.read_text()


def row(text: str, name: str) -> list[str]:
    """Return the cells of the table's row that begins with a name."""
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {name} |")]
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_rows_that_differ_are_void_and_missing_or_failed_peers_are_named(toy_page: str) -> None:
    assert row(toy_page, "ours")[-1] == "yes"
    assert row(toy_page, "alike")[2:] == ["2", "2", "1", "-", "yes"]
    assert row(toy_page, "different")[-1] == "void: result differs from 1 by more than 0.001"
    assert row(toy_page, "absent")[2:] == ["0", "-", "-", "-", "missing: a-peer-that-nobody-has is not installed"]
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


def test_the_page_states_machine_versions_seed_threads_runs_and_what_is_not_measured(toy_page: str) -> None:
    for wanted in (f"torch {torch.__version__}", "Seed 3.", "Not measured here: second", f"{os.cpu_count()} cores"):
        assert wanted in toy_page
    assert row(toy_page, "")[2] == "runs"
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
    bench: dict[str, ModuleType], scripts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "crashing_cases.py").write_text(
        "import os\nfrom bench.case import Case, Contender\n"
        "def cases(options):\n"
        "    return [Case('crash', '', ('s',), (Contender('ours', '', lambda: os._exit(9)),), memory=('ours',))]\n"
    )
    monkeypatch.syspath_prepend(str(scripts))
    monkeypatch.syspath_prepend(str(tmp_path))
    options = bench["case"].Options(seed=0, threads=1, quick=True, output=str(tmp_path / "out"))
    text = bench["harness"].run_engine("crash", "crashing_cases", options).read_text()
    assert row(text, "ours")[-1] == "failed: the process that measures ended with status 9"
    assert "**Quick:" in text


def test_the_command_refuses_an_unknown_case(scripts: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(scripts / "benchmark.py"), "lm", "--case", "gaus_25_16_5", "--output", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(scripts.parent)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "gauss_25_16_5" in ended.stderr
    assert len(ended.stderr.splitlines()) <= 3
    assert list(tmp_path.iterdir()) == []
