"""Tables as CSV that a spreadsheet shows and never runs.

A spreadsheet takes a cell that begins with ``=``, ``+``, ``-``, ``@``, a tab or the end of a line for a formula, and a formula
can send the sheet to a stranger. Such a text gets an apostrophe in front, by which spreadsheets know a text; numbers, and texts
that are numbers (``-5``, ``+4912345``), stay as they are.
"""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

_FORMULA = re.compile(r"[=+\-@\t\n＝＋－＠]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def csv_text(frame: pd.DataFrame, *, index: bool = False, header: bool = True) -> str:
    """Return a table as CSV in which no cell, column name or row label is a formula.

    Args:
        frame: any columns.
        index: write the row labels too.
        header: write the column names.
    """
    columns = [_harmless_column(frame.iloc[:, place]) for place in range(frame.shape[1])]
    safe = pd.concat(columns, axis=1) if columns else frame.copy()
    safe.columns = pd.Index([harmless(name) for name in frame.columns], dtype=object)
    safe.index = _harmless_labels(frame.index)
    return safe.to_csv(index=index, header=header, lineterminator="\n")


def harmless(value: Any) -> Any:
    """Put an apostrophe before a text that a spreadsheet would run; numbers, and texts that are numbers, stay.

    A carriage return, which begins a new row even within a text, becomes a line feed, which does not.
    """
    if not isinstance(value, str) or _NUMBER.fullmatch(value):
        return value
    value = value.replace("\r\n", "\n").replace("\r", "\n")
    return f"'{value}" if _FORMULA.match(value) else value


def _harmless_labels(labels: pd.Index) -> pd.Index:
    if isinstance(labels, pd.MultiIndex):
        rows = [tuple(harmless(label) for label in row) for row in labels]
        return pd.MultiIndex.from_tuples(rows, names=[harmless(name) for name in labels.names])
    return pd.Index([harmless(label) for label in labels], name=harmless(labels.name))


def _harmless_column(values: pd.Series) -> pd.Series:
    kind = values.dtype
    if pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_datetime64_any_dtype(kind):
        return values
    return pd.Series([harmless(value) for value in values], index=values.index, dtype=object)
