"""From measured runs to a page of markdown: medians with their spread, void rows, ratios with the goals beside them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bench import machine
from bench.case import Check, Goal
from bench.measure import Record
from bench.results import Section


@dataclass(frozen=True)
class Judged:
    """A goal after the measurement.

    Attributes:
        value: the median or ratio, infinite or 0 where one side never got there, ``None`` when a row that it needs does
            not count or neither side got there.
        verdict: ``met``, ``missed``, ``void``, or empty for a goal without limits.
    """

    value: float | None
    verdict: str


def values(record: Record, measure: str) -> list[float]:
    """Return a measure's values over the runs that have it."""
    return [run[measure] for run in record.runs if measure in run]


def spread(found: Sequence[float]) -> str:
    """Write ``median (min to max)``, the median alone when all are equal, a dash when there are none.

    A run that missed counts as infinite, and how many got there is said.
    """
    if not found:
        return "-"
    middle, low, high = (f"{value:.4g}" for value in (statistics.median(found), min(found), max(found)))
    text = middle if low == high else f"{middle} ({low} to {high})"
    reached = sum(value < math.inf for value in found)
    return text if reached == len(found) else f"{text}; reached by {reached} of {len(found)} runs"


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
        if status[name] != "yes" or not found:
            return Judged(None, "void")
        medians.append(statistics.median(found))
    if goal.over and min(medians) <= 0:  # a rate that is the difference of two timings, in a disturbed run
        return Judged(None, "void")
    value = medians[0] / medians[1] if goal.over else medians[0]
    if math.isnan(value):
        return Judged(None, "void")
    if goal.at_least is None and goal.at_most is None:
        return Judged(value, "")
    met = value >= (-math.inf if goal.at_least is None else goal.at_least)
    met = met and value <= (math.inf if goal.at_most is None else goal.at_most)
    return Judged(value, "met" if met else "missed")


def page(engine: str, sections: Sequence[Section], unmeasured: Sequence[str] = ()) -> str:
    """Write an engine's page: a section for every case that was measured, and the names of the others."""
    lines = [
        f"# Benchmark: {engine}",
        "",
        f"Each section is a case's latest measurement; `python scripts/benchmark.py {engine} --case NAME` replaces that one.",
        "",
        "Median (lowest to highest) of runs taken in turn in one process; a run that does not reach what it should counts as",
        "infinite. A row whose result differs is void, and so is a goal that needs it. Memory is the peak over the start of a",
        "fresh process. Threads are held by the process's affinity and by each library's own setting.",
    ]
    for section in sections:
        lines += ["", *_section(section)]
    if unmeasured:
        lines += ["", f"Not measured here: {', '.join(unmeasured)}."]
    return "\n".join(lines) + "\n"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Write a table as lines of markdown."""
    cells = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells]


def _why_void(check: Check, record: Record, first: Record) -> str | None:
    """Say why a record's results do not count, ``None`` when they do; NaN never counts."""
    found = values(record, check.measure)
    if not found:
        return f"void: no {check.measure}"
    if check.at_most is not None and not _enough([value <= check.at_most for value in found], check.share):
        return f"void: {check.measure} above {check.at_most:g}"
    if check.relative is not None:
        expected = values(first, check.measure)
        if not expected:
            return "void: nothing to compare with"
        target = statistics.median(expected)
        if not _enough([abs(value - target) <= check.relative * abs(target) for value in found], check.share):
            return f"void: {check.measure} differs from {target:.6g} by more than {check.relative:g}"
    return None


def _enough(good: Sequence[bool], share: float) -> bool:
    """Whether the share of the runs is good; the whole of them exactly, whatever the rounding."""
    return sum(good) >= math.ceil(share * len(good) - 1e-9)


def _section(section: Section) -> list[str]:
    case, status = section.case, statuses(section)
    columns = [*case.columns, *([machine.MEMORY] if case.memory else [])]
    lines = [f"## {case.name}, {section.threads} {'thread' if section.threads == 1 else 'threads'}", "", case.text]
    if section.quick:
        lines += ["", "**Quick: sizes and seconds are scaled down to try the case; these are no measurements.**"]
    rows = []
    for contender in case.contenders:
        record = section.records[contender.name]
        timed = sum(machine.MEMORY not in run for run in record.runs)
        measured = [spread(values(record, column)) for column in columns]
        rows.append([contender.name, contender.settings, str(timed), *measured, status[contender.name]])
    installed = ", ".join(f"{name} {version or 'missing'}" for name, version in section.versions.items())
    lines += [
        "",
        *table(["", "settings", "runs", *columns, "counts"], rows),
        "",
        f"Seed {section.seed}. Threads: {section.stated}. {section.machine}. {installed}.",
    ]
    goals = [goal for goal in case.goals if goal.threads in (None, section.threads)]
    if goals:
        rows = [_goal_row(goal, judge(goal, section), section.quick) for goal in goals]
        lines += ["", *table(["ratio", "measured", "goal", "verdict"], rows)]
    return lines


def goal_cells(goal: Goal, judged: Judged) -> tuple[str, str, str]:
    """Write what a goal compares, what came out, and what it should be."""
    unit = "x" if goal.over else ""
    limits = [(">=", goal.at_least), ("<=", goal.at_most)]
    return (
        f"{goal.measure}: {goal.of}{f' / {goal.over}' if goal.over else ''}",
        "-" if judged.value is None else f"{judged.value:.3g}{unit if math.isfinite(judged.value) else ''}",
        " and ".join(f"{sign} {limit:.3g}{unit}" for sign, limit in limits if limit is not None) or "-",
    )


def _goal_row(goal: Goal, judged: Judged, quick: bool) -> list[str]:
    return [*goal_cells(goal, judged), "not judged" if quick else judged.verdict or "-"]
