"""From measured runs to a page: which rows count, how goals are judged, what a partial run keeps."""

from __future__ import annotations

import json
import os
import re
import statistics
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


def section(bench: dict[str, ModuleType], results: dict[str, list[float]], **check: float) -> Any:
    """Build a section whose contenders gave these results; one called ``coarse`` may differ by .5."""
    case = bench["case"]
    contenders = tuple(
        case.Contender(name, "", lambda: dict, relative=0.5 if name == "coarse" else None) for name in results
    )
    built = case.Case("c", "", ("r",), contenders, case.Check("r", **check))
    records = {name: bench["measure"].Record([{"r": value} for value in found]) for name, found in results.items()}
    return bench["results"].Section(built, 0, 1, False, "", "", {}, records)


INF = float("inf")


def test_a_run_that_misses_counts_as_infinite(bench: dict[str, ModuleType]) -> None:
    case, judge = bench["case"], bench["table"].judge
    measured = section(bench, {"often": [1.0, INF, INF], "once": [2.0, INF, 4.0], "never": [INF]})
    assert bench["table"].spread([1.0, INF, INF]) == "inf (1 to inf); reached by 1 of 3 runs"
    assert bench["table"].spread([1.0, 2.0]) == "1.5 (1 to 2)"
    verdicts = {
        (of, over): (judge(case.Goal("r", of=of, over=over, at_least=1.5), measured))
        for of, over in [("once", "often"), ("often", "once"), ("never", "often"), ("once", None), ("once", "once")]
    }
    assert [(judged.value, judged.verdict) for judged in verdicts.values()] == [
        (0.0, "missed"),
        (INF, "met"),
        (None, "void"),
        (4.0, "met"),
        (1.0, "missed"),
    ]


def test_a_share_of_the_runs_may_be_enough(bench: dict[str, ModuleType]) -> None:
    results = {"ours": [1.0], "good": [1.0] * 19 + [2.0], "bad": [1.0] * 18 + [2.0, 2.0]}
    found = bench["table"].statuses(section(bench, results, relative=1e-6, share=0.95))
    assert [name for name, status in found.items() if status == "yes"] == ["ours", "good"]


def test_a_section_comes_back_from_its_file(bench: dict[str, ModuleType], tmp_path: Path) -> None:
    path, results = tmp_path / "new" / "c.json", bench["results"]
    measured = section(bench, {"ours": [1.0, INF], "nan": [float("nan")], "gone": [3.0]})
    results.save(path, measured)
    assert results.load(path, measured.case).records["ours"] == measured.records["ours"]
    assert json.loads(path.read_text())["contenders"][0]["runs"] == [{"r": 1.0}, {"r": "inf"}]
    ours, nan, _ = measured.case.contenders
    later = replace(ours, settings="other"), nan, replace(ours, name="added")
    kept = results.load(path, replace(measured.case, text="other", contenders=later))
    assert {name: record.problem for name, record in kept.records.items()} == {
        "ours": None,
        "nan": None,
        "added": "not measured yet",
    }
    assert (kept.case.text, kept.case.contenders[0].settings) == (measured.case.text, "")


def test_a_partial_run_replaces_its_cases_alone(
    bench: dict[str, ModuleType], scripts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "steady_cases.py").write_text(
        "from bench.case import Case, Contender\n"
        "def case(name, s, **options):\n"
        "    ours = Contender('ours', '', lambda: lambda: {'s': s})\n"
        "    return Case(name, '', ('s',), (ours,), repeats=1, **options)\n"
        "def cases(options):\n"
        "    return [case('a', options.seed), case('b', options.seed), case('c', 0.0, slow=True)]\n"
    )
    monkeypatch.syspath_prepend(str(scripts))
    monkeypatch.syspath_prepend(str(tmp_path))

    def in_this_process(module: str, case: Any, options: Any, repeats: int | None, contender: str | None) -> Any:
        return bench["measure"].measure_times(case, repeats), ""

    monkeypatch.setattr(bench["harness"], "_ask", in_this_process)

    def run(seed: int, *names: str) -> list[str]:
        options = bench["case"].Options(seed, 1, False, str(tmp_path / "out"))
        page = bench["harness"].run_engine("steady", "steady_cases", options, names=names).read_text()
        return re.findall(r"^## (\w)|^\| ours \|.*?\| 1 \| (\S+) ", page, re.MULTILINE)

    assert run(1) == [("a", ""), ("", "1"), ("b", ""), ("", "1")]
    assert run(2, "b") == [("a", ""), ("", "1"), ("b", ""), ("", "2")]
    assert run(3, "c", "a") == [("a", ""), ("", "3"), ("b", ""), ("", "2"), ("c", ""), ("", "0")]


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
    write = bench["results"].write_atomically
    write(path, "old")
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", lambda *names: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(OSError, match="disk full"):
            write(path, "new")
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]
    write(path, "new")
    assert path.read_text() == "new"
