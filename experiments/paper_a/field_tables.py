"""Tables 3.1-3.5 of paper A, the fields of customers and offers: each is in the dictionary and in the made-up offers."""

from __future__ import annotations

from experiments.claims import Claims
from experiments.experiment import Findings, Workspace
from experiments.ledger import Row, compare
from marketnn.data.field_dictionary import NAMED, fields, normalised_name
from marketnn.data.offers import draw_campaign
from marketnn.errors import InputError

NAME = "paper_a/field_tables"


def run(workspace: Workspace) -> Findings:
    """Look every printed field up."""
    columns = frozenset(draw_campaign(1_000).frame.columns)
    return Findings(tuple(table_row(workspace.claims, item, columns) for item in NAMED))


def table_row(claims: Claims, item: str, columns: frozenset[str]) -> Row:
    """Compare a printed table with the dictionary.

    Args:
        claims: the printed tables.
        item: which of them.
        columns: of the made-up offers.
    """
    printed = claims.printed["A"][item]["fields"]
    ours: dict[str, float] = {name: int(_stands_in(name, item, columns)) for name in printed}
    ours["fields"] = sum(field.table == item for field in fields().values())
    published = {**dict.fromkeys(printed, 1), "fields": len(printed)}
    return compare(
        "A", item, NAME, ours=ours, published=published, tolerance=0.0, reason=claims.finding("A", item), in_kind=True
    )


def _stands_in(printed: str, item: str, columns: frozenset[str]) -> bool:
    """Whether the dictionary has the field in the same table, and the made-up offers have it as a column."""
    try:
        field = fields()[normalised_name(printed)]
    except InputError:
        return False
    return field.table == item and field.name in columns
