"""From measured runs to a page of markdown: medians with their spread, void rows, ratios with the goals beside them."""

from __future__ import annotations

import math
import os
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from bench import machine
from bench.case import Case, Check, Goal, Options
from bench.measure import Record


@dataclass(frozen=True)
class Section:
    """A case, measured with one number of threads.

    Attributes:
        case: the comparison.
        threads: cores of every contender.
        stated: what each library said it used.
        records: contender -> what it gave.
    """

    case: Case
    threads: int
    stated: str
    records: Mapping[str, Record]


@dataclass(frozen=True)
class Judged:
    """A goal after the measurement.

    Attributes:
        value: the median or ratio, ``None`` when a row that it needs does not count.
        verdict: ``met``, ``missed``, ``void``, or empty for a goal without limits.
    """

    value: float | None
    verdict: str


def values(record: Record, measure: str) -> list[float]:
    """Return a measure's values over the runs that have it."""
    return [run[measure] for run in record.runs if measure in run]


def spread(found: Sequence[float]) -> str:
    """Write ``median (min-max)``, the median alone when all are equal, a dash when there are none."""
    if not found:
        return "-"
    middle, low, high = (f"{value:.4g}" for value in (statistics.median(found), min(found), max(found)))
    return middle if low == high else f"{middle} ({low} to {high})"


def statuses(section: Section) -> dict[str, str]:
    """Return contender -> ``yes``, or ``missing: ...``, ``failed: ...``, ``void: ...``: why its row does not count."""
    case, first = section.case, section.case.contenders[0].name
    found = {}
    for contender in case.contenders:
        record = section.records[contender.name]
        void = None
        if record.problem is None and case.check is not None and contender.checked:
            check = case.check if contender.relative is None else replace(case.check, relative=contender.relative)
            void = _why_void(check, record, section.records[first])
        found[contender.name] = record.problem or void or "yes"
    return found


def judge(goal: Goal, section: Section) -> Judged:
    """Compare a goal with the medians; a row that does not count makes it void."""
    status = statuses(section)
    medians = []
    for name in filter(None, (goal.of, goal.over)):
        found = values(section.records[name], goal.measure)
        if status[name] != "yes" or not found or not math.isfinite(statistics.median(found)):
            return Judged(None, "void")
        medians.append(statistics.median(found))
    value = medians[0] / medians[1] if goal.over else medians[0]
    if goal.at_least is None and goal.at_most is None:
        return Judged(value, "")
    met = value >= (-math.inf if goal.at_least is None else goal.at_least)
    met = met and value <= (math.inf if goal.at_most is None else goal.at_most)
    return Judged(value, "met" if met else "missed")


def page(
    engine: str, sections: Sequence[Section], options: Options, *, command: str, versions: Mapping[str, str | None]
) -> str:
    """Write an engine's page: machine, versions, seed and date, then a section for every case."""
    installed = ", ".join(f"{name} {version or 'missing'}" for name, version in versions.items())
    lines = [
        f"# Benchmark: {engine}",
        "",
        f"- Machine: {machine.describe()}",
        f"- Versions: {installed}",
        f"- Seed: {options.seed}",
        f"- Date: {datetime.now().astimezone():%Y-%m-%d %H:%M %Z}",
        f"- Command: `{command}`",
        "",
        "Median (lowest to highest) of runs taken in turn in one process. A row whose result differs is void, and so is a",
        "goal that needs it. Memory is the peak over the start of a fresh process. Threads are held by the process's",
        "affinity and by each library's own setting.",
    ]
    if options.quick:
        lines += ["", "**Quick: sizes and seconds are scaled down to try the cases; these are no measurements.**"]
    for section in sections:
        lines += ["", *_section(section, options.quick)]
    return "\n".join(lines) + "\n"


def write_atomically(path: Path, text: str) -> None:
    """Write a text file so that a reader, or a crash, never meets half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def _why_void(check: Check, record: Record, first: Record) -> str | None:
    """Say why a record's results do not count, ``None`` when they do; NaN never counts."""
    found = values(record, check.measure)
    if not found:
        return f"void: no {check.measure}"
    if check.at_most is not None and not all(value <= check.at_most for value in found):
        return f"void: {check.measure} above {check.at_most:g}"
    if check.relative is not None:
        expected = values(first, check.measure)
        if not expected:
            return "void: nothing to compare with"
        target = statistics.median(expected)
        if not all(abs(value - target) <= check.relative * abs(target) for value in found):
            return f"void: {check.measure} differs from {target:.6g} by more than {check.relative:g}"
    return None


def _section(section: Section, quick: bool) -> list[str]:
    case, status = section.case, statuses(section)
    columns = [*case.columns, *([machine.MEMORY] if case.memory else [])]
    lines = [
        f"## {case.name}, {section.threads} {'thread' if section.threads == 1 else 'threads'}",
        "",
        case.text,
        "",
        *_table(
            ["", "settings", *columns, "counts"],
            [
                [
                    contender.name,
                    contender.settings,
                    *(spread(values(section.records[contender.name], column)) for column in columns),
                    status[contender.name],
                ]
                for contender in case.contenders
            ],
        ),
        "",
        f"Threads: {section.stated}.",
    ]
    goals = [goal for goal in case.goals if goal.threads in (None, section.threads)]
    if goals:
        rows = [_goal_row(goal, judge(goal, section), quick) for goal in goals]
        lines += ["", *_table(["ratio", "measured", "goal", "verdict"], rows)]
    return lines


def _goal_row(goal: Goal, judged: Judged, quick: bool) -> list[str]:
    unit = "x" if goal.over else ""
    limits = [(">=", goal.at_least), ("<=", goal.at_most)]
    return [
        f"{goal.measure}: {goal.of}{f' / {goal.over}' if goal.over else ''}",
        "-" if judged.value is None else f"{judged.value:.3g}{unit}",
        " and ".join(f"{sign} {limit:.3g}{unit}" for sign, limit in limits if limit is not None) or "-",
        "not judged" if quick else judged.verdict or "-",
    ]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    cells = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells]
