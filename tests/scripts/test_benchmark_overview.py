"""The front page of the benchmarks: a row per goal with its spread, from stored results alone."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import pytest

CASES = """
from bench.case import Case, Check, Contender, Goal


def cases(options):
    contenders = tuple(Contender(name, "", lambda: dict) for name in ("ours", "theirs", "wrong", "disturbed"))
    goals = [Goal("s", of=name, over="ours", at_least=2.5) for name in ("theirs", "wrong", "disturbed")]
    goals += [Goal("s", of="ours", at_most=1.5), Goal("s", of="theirs", over="ours")]
    return [
        Case("race", "Toy.", ("s",), contenders, Check("result", relative=1e-3), tuple(goals)),
        Case("never", "Toy.", ("s",), contenders[:1]),
    ]
"""


@pytest.fixture
def engine(
    bench: dict[str, ModuleType], scripts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, dict[str, str]]:
    """A folder with a stored case of an engine on one thread, and the same on two; and the engine's module."""
    (tmp_path / "race_cases.py").write_text(CASES)
    monkeypatch.syspath_prepend(str(scripts))
    monkeypatch.syspath_prepend(str(tmp_path))
    module, case = __import__("race_cases"), bench["case"]
    seconds = {"ours": [1.0, 2.0], "theirs": [3.0, 4.0], "wrong": [9.0], "disturbed": [-1.0]}
    records = {
        name: bench["measure"].Record([{"s": s, "result": 2.0 if name == "wrong" else 1.0} for s in found])
        for name, found in seconds.items()
    }
    folder = tmp_path / "benchmarks"
    for threads, place in ((1, folder), (2, folder / "two_threads")):
        first = module.cases(case.Options(0, threads, False, ""))[0]
        section = bench["results"].Section(first, 0, threads, False, "", "a machine", {}, records)
        bench["results"].save(place / "race" / "race.json", section)
    return folder, {"race": "race_cases"}


def test_every_goal_has_a_row_with_its_spread(
    bench: dict[str, ModuleType], engine: tuple[Path, dict[str, str]]
) -> None:
    text = bench["overview"].overview(*engine)
    link = "[race](race.md#race-1-thread)"
    assert f"| {link} | s: theirs / ours | 2.33x (1.5 to 4) | >= 2.5x | missed |" in text
    assert f"| {link} | s: wrong / ours | - (void: result differs from 1 by more than 0.001) | >= 2.5x | void |" in text
    assert f"| {link} | s: disturbed / ours | - | >= 2.5x | void |" in text
    assert f"| {link} | s: ours | 1.5 (1 to 2) | <= 1.5 | met |" in text
    assert "[race, 2 threads](two_threads/race.md#race-2-threads)" in text
    assert "2 goals met, 2 missed." in text
    assert len(re.findall(r"^\| \[", text, re.MULTILINE)) == 8
    assert text.endswith("\nMeasured on a machine.\n")


def test_pages_are_written_from_what_is_stored(
    bench: dict[str, ModuleType], engine: tuple[Path, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, engines = engine
    monkeypatch.setattr(bench["harness"], "engines", lambda: engines)
    path = bench["harness"].write_pages(folder)
    assert path.read_text() == bench["overview"].overview(*engine)
    assert "Not measured here: never." in (folder / "race.md").read_text()
    for link, anchor in re.findall(r"\]\((\S+\.md)#(\S+)\)", path.read_text()):
        headings = re.findall(r"^## (.*)$", (folder / link).read_text(), re.MULTILINE)
        assert anchor in {heading.replace(",", "").replace(" ", "-") for heading in headings}


def test_the_committed_pages_are_those_of_the_stored_results(bench: dict[str, ModuleType], scripts: Path) -> None:
    folder = scripts.parent / "benchmarks"
    assert (folder / "README.md").read_text() == bench["overview"].overview(folder, bench["harness"].engines())
