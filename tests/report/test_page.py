"""Cells as people read them, long tables cut, everything escaped."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketnn.report.page import MAX_ROWS, Section, TableBlock, TextBlock, cell_text, render_page


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1234567, "1,234,567"),
        (np.int64(5), "5"),
        (0.123456, "0.1235"),
        (12345.678, "12,345.7"),
        (3.0, "3"),
        (np.nan, ""),
        (None, ""),
        (True, "yes"),
        (1e-9, "1e-09"),
        ("text", "text"),
    ],
)
def test_cells(value: object, text: str) -> None:
    assert cell_text(value) == text


def test_long_tables_name_their_file() -> None:
    page = render_page("t", {}, [], [Section("s", [TableBlock("c", pd.DataFrame({"a": range(100)}), "tables/a.csv")])])
    assert page.count("<tr>") == MAX_ROWS + 1
    assert f"{100 - MAX_ROWS} more rows in tables/a.csv" in page


@given(st.text(alphabet="<>&\"'ab ", min_size=1, max_size=20))
def test_no_value_becomes_markup(value: str) -> None:
    frame = pd.DataFrame({value: [value]})
    page = render_page(value, {value: value}, [value], [Section(value, [TextBlock(value), TableBlock(value, frame)])])
    empty = render_page("", {"": ""}, [""], [Section("", [TextBlock(""), TableBlock("", pd.DataFrame({"": [""]}))])])
    assert page.count("<") == empty.count("<")
    assert page.count('"') == empty.count('"')
