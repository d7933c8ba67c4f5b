"""The ledger as one HTML page: sortable without a network, every picture inside the file, every value escaped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from experiments.ledger import VERDICTS, Row, verdict_counts
from experiments.outcome import Outcome
from experiments.pages import TITLE, compared_first, first_number, headlines, link
from marketnn.report.page import cell_text
from marketnn.tracking.files import write_text

BESIDE_A_PICTURE = 12  # numbers; the table of all rows has the others


@dataclass(frozen=True)
class Number:
    """One number of a row as text.

    Attributes:
        name: what it is.
        ours, published, tolerance: as text, empty where there is none.
    """

    name: str
    ours: str
    published: str
    tolerance: str


def write_html(path: Path, outcome: Outcome) -> None:
    """Write the page: everything in the file but the run folders, which it links to."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    page = environment.get_template("reproduction.html.jinja").render(
        title=TITLE,
        headlines=headlines(outcome),
        verdicts={verdict: verdict_counts(outcome.rows)[verdict] for verdict in VERDICTS},
        rows=[(row, *first_number(row), numbers(row)) for row in outcome.rows],
        pictures=[
            (paper, picture.block, _belonging(outcome, paper, picture.items)) for paper, picture in outcome.pictures
        ],
        reports=outcome.reports,
        links={name: [(run.name, link(run, path)) for run in report.runs] for name, report in outcome.reports.items()},
        facts=outcome.facts,
    )
    write_text(path, page)


def numbers(row: Row) -> list[Number]:
    """Return every number of a row, those that are compared first."""
    return [
        Number(
            name,
            cell_text(row.ours.get(name)),
            cell_text(row.published.get(name)),
            cell_text(row.tolerance.get(name)),
        )
        for name in compared_first(row)
    ]


def _belonging(outcome: Outcome, paper: str, items: tuple[str, ...]) -> list[tuple[Row, list[Number], int]]:
    """Return the rows that a picture belongs to, the numbers shown beside it, and how many are not."""
    found = {row.item: row for row in outcome.rows if row.paper == paper}
    return [
        (found[item], numbers(found[item])[:BESIDE_A_PICTURE], max(0, len(numbers(found[item])) - BESIDE_A_PICTURE))
        for item in items
    ]
