"""What every pipeline says of the rows it was given: what was noticed, what each column is, and how repeats were split."""

from __future__ import annotations

from marketnn.data import Table
from marketnn.preprocess import Encoded
from marketnn.tracking import Run


def record_columns(table: Table, encoded: Encoded, out: Run) -> None:
    """Record the notes on reading and encoding a table, and its columns with their roles."""
    for note in (*table.notes, *encoded.met.notes):
        out.text(note)
    out.table("columns", table.schema.frame().drop(columns="problem"), "Columns and their roles")


def repeats_text(n_duplicates: int, together: bool, inputs: str) -> str:
    """Say how a split treated rows that repeat another row's inputs.

    Args:
        n_duplicates, together: of the split.
        inputs: what the inputs are called, such as ``features``.
    """
    if together:
        return f"the {n_duplicates:,} rows that repeat another row's {inputs} stay on that row's side."
    return f"{n_duplicates:,} rows repeat another row's {inputs}, so many that each is split on its own."
