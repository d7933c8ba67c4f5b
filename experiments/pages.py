"""The ledger for the terminal: a table, the sentences at its end, and a Markdown page."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import pandas as pd

from experiments.ledger import ITEMS, KINDS, Row, coverage, verdict_counts
from experiments.outcome import Outcome
from marketnn.report.page import TableBlock, cell_text
from marketnn.tracking.files import write_text

TITLE = "What of the two papers can be reproduced"
MAX_NUMBERS = 3


def headlines(outcome: Outcome) -> list[str]:
    """Say in sentences how many rows have each verdict, how much is covered, and what failed."""
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in verdict_counts(outcome.rows).items())
    counts = coverage(outcome.rows)
    kinds = ", ".join(f"{there} of {all_} {kind.lower()}s" for kind, (there, all_) in counts.items())
    covered = sum(there for there, _ in counts.values())
    return [
        f"{len(outcome.rows)} rows: {verdicts}.",
        f"{covered} of the papers' {len(ITEMS)} items have a row: {kinds}.",
        *(f"{name} failed: {message}" for name, message in outcome.failures.items()),
    ]


def terminal_table(rows: Sequence[Row]) -> str:
    """Return the verdicts as aligned text, one line per row: the first number compared, and how many there are besides."""
    cells = [["paper", "item", "verdict", "ours", "published", "of what"]]
    cells += [[row.paper, row.item, row.verdict, *first_number(row)] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells
    )


def first_number(row: Row) -> tuple[str, str, str]:
    """Return our value and the published one of the first number compared, and its name with the count of the others."""
    if not row.published:
        return "", "", "not computed"
    name = next(iter(row.published))
    more = f" (+{len(row.published) - 1})" if len(row.published) > 1 else ""
    ours = cell_text(row.ours[name]) if name in row.ours else "none"
    return ours, cell_text(row.published[name]), name + more


def write_markdown(path: Path, outcome: Outcome) -> None:
    """Write the Markdown page; it holds no times, so that equal rows make equal bytes."""
    parts = [f"# {TITLE}", *(f"- {line}" for line in headlines(outcome))]
    for paper, kind in itertools.product(sorted({row.paper for row in outcome.rows}), (*KINDS, "")):
        chosen = [row for row in outcome.rows if (row.paper, row.kind) == (paper, kind)]
        if chosen:
            title = f"{kind}s" if kind else "Further claims"
            parts += [f"## Paper {paper}: {title.lower()}", TableBlock(title, _frame(chosen)).markdown()]
    parts.append("## Experiments")
    for name, report in outcome.reports.items():
        links = " ".join(f"[{run.name}]({link(run, path)})" for run in report.runs)
        parts.append(
            " ".join(filter(None, [f"- `{name}`: {report.commands}", report.seeds and f"({report.seeds})", links]))
        )
    parts += ["## Machine and versions", *(f"- {name}: {value}" for name, value in outcome.facts.items())]
    write_text(path, "\n\n".join(parts) + "\n")


def link(run: Path, page: Path) -> str:
    """Return the address of a run's report, relative to the page."""
    relative = os.path.relpath(run / "report.html", page.parent)
    return quote(Path(relative).as_posix())


def compared_first(row: Row) -> list[str]:
    """Name the numbers of a row, those that are compared first."""
    return [*row.published, *(name for name in row.ours if name not in row.published)]


def _frame(rows: Sequence[Row]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "item": row.item,
                "verdict": row.verdict,
                "ours": _numbers(row.ours, compared_first(row)),
                "published": _numbers(row.published, list(row.published)),
                "reason": row.reason,
                "experiment": row.experiment,
            }
            for row in rows
        ]
    )


def _numbers(numbers: Mapping[str, float], names: Sequence[str]) -> str:
    """Write the first few of the named numbers that are there, and how many more there are."""
    there = [name for name in names if name in numbers]
    shown = [f"{name} = {cell_text(numbers[name])}" for name in there[:MAX_NUMBERS]]
    more = len(there) - len(shown)
    return "; ".join(shown) + (f" (+{more})" if more else "")
