"""The front page of the benchmarks: every goal of every engine that was measured, in one table each, from the stored results."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from bench.case import Goal
from bench.results import Section, stored
from bench.table import Judged, goal_cells, judge, statuses, table, values

HEAD = """# Benchmarks

marketnn beside its peers. Each row is a goal: a measure of one contender, or its ratio to another's, as a median with the lowest
and the highest that the runs allow (the extremes of one over the opposite extremes of the other). Contenders take turns in one
process on the same data; a row whose result differs from marketnn's is void. The page that a case links to has every contender,
its settings, versions and runs.

`python scripts/benchmark.py all` measures the cases (`--all` the slow ones too) and writes this page; `--pages` writes the pages
again from the stored results. What was tried and did not pay is in [LOG.md](LOG.md)."""


def overview(folder: Path, engines: Mapping[str, str]) -> str:
    """Write the page from the results under a folder of benchmarks.

    Args:
        folder: with ``<engine>/<case>.json``, and the same below ``<threads>_threads``.
        engines: engine -> the module of its cases.

    Returns:
        Markdown.
    """
    lines = [HEAD]
    machines: set[str] = set()
    for engine, module in engines.items():
        rows: list[list[str]] = []
        for place in [folder, *sorted(folder.glob("*_threads"))]:
            sections, _ = stored(engine, module, place)
            machines |= {section.machine for section in sections}
            page = (place / f"{engine}.md").relative_to(folder)
            rows += [row for section in sections for row in _goal_rows(section, str(page))]
        if rows:
            met, missed = (sum(row[-1] == verdict for row in rows) for verdict in ("met", "missed"))
            lines += ["", f"## {engine}", "", f"{met} goals met, {missed} missed.", ""]
            lines += table(["case", "ratio", "measured", "goal", "verdict"], rows)
    lines += ["", *(f"Measured on {machine}." for machine in sorted(machines))]
    return "\n".join(lines) + "\n"


def ratio_range(goal: Goal, section: Section) -> tuple[float, float]:
    """Return the lowest and the highest that a goal's measure or ratio can have been, over the runs.

    A rate that is the difference of two timings can come out below zero in a disturbed run; it bounds nothing then.
    """
    above = values(section.records[goal.of], goal.measure)
    if goal.over is None:
        return min(above), max(above)
    below = values(section.records[goal.over], goal.measure)
    return max(min(above), 0.0) / max(below), max(above) / min(below) if min(below) > 0 else math.inf


def _goal_rows(section: Section, page: str) -> list[list[str]]:
    case = section.case
    name = case.name if section.threads == 1 else f"{case.name}, {section.threads} threads"
    anchor = f"{case.name}-{section.threads}-thread{'s' if section.threads > 1 else ''}"
    rows = []
    for goal in case.goals:
        limited = (goal.at_least, goal.at_most) != (None, None)
        if limited and goal.threads in (None, section.threads) and not section.quick:
            judged = judge(goal, section)
            what, measured, wanted = goal_cells(goal, judged)
            spread = _spread(goal, section, judged)
            rows.append([f"[{name}]({page}#{anchor})", what, f"{measured}{spread}", wanted, judged.verdict])
    return rows


def _spread(goal: Goal, section: Section, judged: Judged) -> str:
    """Say how far the runs allow the measured value to be, or why there is none."""
    if judged.value is None:
        why = {statuses(section)[name] for name in (goal.of, goal.over) if name} - {"yes"}
        return f" ({'; '.join(sorted(why))})" if why else ""
    low, high = ratio_range(goal, section)
    return "" if low == high else f" ({low:.3g} to {high:.3g})"
