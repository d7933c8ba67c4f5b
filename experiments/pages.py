"""The ledger for readers: a table for the terminal, a Markdown page and an HTML page."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pandas as pd
from markupsafe import Markup

from experiments.ledger import ITEMS, KINDS, Row, coverage, verdict_counts
from marketnn.report.page import FigureBlock, Section, TableBlock, TextBlock, cell_text, render_page
from marketnn.tracking.files import write_text

TITLE = "What of the two papers can be reproduced"
MAX_NUMBERS = 3


@dataclass(frozen=True)
class Outcome:
    """What a call of ``python -m experiments`` found.

    Attributes:
        rows: the ledger, sorted.
        figures: of all experiments.
        runs: the run folders.
        failures: experiment -> message, of those that failed.
        tensorboard: the command that shows the run folders.
    """

    rows: Sequence[Row]
    figures: Sequence[FigureBlock]
    runs: Sequence[Path]
    failures: Mapping[str, str]
    tensorboard: str


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
    for row in rows:
        name = next(iter(row.published))
        more = f" (+{len(row.published) - 1})" if len(row.published) > 1 else ""
        ours = cell_text(row.ours[name]) if name in row.ours else "none"
        cells.append([row.paper, row.item, row.verdict, ours, cell_text(row.published[name]), name + more])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells
    )


def write_markdown(path: Path, outcome: Outcome) -> None:
    """Write the Markdown page."""
    parts = [f"# {TITLE}", *(f"- {line}" for line in headlines(outcome))]
    for title, tables in _tables(outcome.rows).items():
        parts.append(f"## {title}")
        for table in tables:
            parts += [f"### {table.caption}", table.markdown()]
    if outcome.runs:
        parts += ["## Run folders", *(f"- [{run.name}]({_link(run, path)})" for run in outcome.runs)]
        parts.append(f"TensorBoard: `{outcome.tensorboard}`")
    write_text(path, "\n\n".join(parts) + "\n")


def write_html(path: Path, outcome: Outcome) -> None:
    """Write the HTML page: everything in the file but the run folders, which it links to."""
    sections = [Section(title, list(tables)) for title, tables in _tables(outcome.rows).items()]
    if outcome.figures:
        sections.append(Section("Figures", list(outcome.figures)))
    if outcome.runs:
        links = [Markup('<a href="{}">{}</a>').format(_link(run, path), run.name) for run in outcome.runs]
        sections.append(Section("Run folders", [TextBlock(link) for link in links]))
    facts = {
        "every number": "reproduction.json, with its tolerance",
        "as printed": "experiments/published",
        "TensorBoard": outcome.tensorboard,
    }
    write_text(path, render_page(TITLE, facts, headlines(outcome), sections))


def _tables(rows: Sequence[Row]) -> dict[str, list[TableBlock]]:
    """Return for each paper a table of each kind that has rows."""
    tables: dict[str, list[TableBlock]] = {}
    for paper, kind in itertools.product(sorted({row.paper for row in rows}), (*KINDS, "")):
        chosen = [row for row in rows if (row.paper, row.kind) == (paper, kind)]
        if chosen:
            block = TableBlock(f"{kind}s" if kind else "Further claims", _frame(chosen))
            tables.setdefault(f"Paper {paper}", []).append(block)
    return tables


def _frame(rows: Sequence[Row]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "item": row.item,
                "verdict": row.verdict,
                "ours": _numbers(row.ours, _compared_first(row)),
                "published": _numbers(row.published, list(row.published)),
                "reason": row.reason,
                "experiment": row.experiment,
            }
            for row in rows
        ]
    )


def _compared_first(row: Row) -> list[str]:
    return [name for name in row.published if name in row.ours] + [
        name for name in row.ours if name not in row.published
    ]


def _numbers(numbers: Mapping[str, float], names: Sequence[str]) -> str:
    """Write the first few of the named numbers, and how many more there are."""
    shown = [f"{name} = {cell_text(numbers[name])}" for name in names[:MAX_NUMBERS] if name in numbers]
    more = len(numbers) - len(shown)
    return "; ".join(shown) + (f" (+{more})" if more else "")


def _link(run: Path, page: Path) -> str:
    """Return the address of a run's report, relative to the page."""
    relative = os.path.relpath(run / "report.html", page.parent)
    return quote(Path(relative).as_posix())
