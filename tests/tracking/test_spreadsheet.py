"""Exported tables hold no formula, and their numbers come back as they were."""

from __future__ import annotations

import csv
import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketnn.tracking.spreadsheet import csv_text, harmless


@pytest.mark.parametrize(
    "cell",
    [
        "=1+1",
        "+cmd|' /C calc'!A0",
        "-2+3",
        "@SUM(A1)",
        "\t=1",
        "\n=1",
        "＝1+1",
        '=HYPERLINK("http://x","y")',
        "-",
        "+",
    ],
)
def test_a_formula_becomes_text(cell: str) -> None:
    assert harmless(cell) == f"'{cell}"
    frame = pd.DataFrame({cell: [cell], "kind": pd.Categorical([cell])}, index=pd.Index([cell], name=cell))
    rows = list(csv.reader(io.StringIO(csv_text(frame, index=True), newline="")))
    assert rows == [[f"'{cell}", f"'{cell}", "kind"], [f"'{cell}"] * 3]


def test_a_carriage_return_begins_no_row() -> None:
    text = csv_text(pd.DataFrame({"a": ["one\r=1+1", "\r\n@x"]}))
    assert "\r" not in text
    assert list(csv.reader(io.StringIO(text, newline=""))) == [["a"], ["one\n=1+1"], ["'\n@x"]]


@pytest.mark.parametrize("cell", ["-5", "+4912345", "-.5e-3", "plain", "", "a=b", "'=x", "C-1", -5, -0.5, None, True])
def test_anything_else_stays(cell: object) -> None:
    assert harmless(cell) == cell


@settings(deadline=None)
@given(st.lists(st.floats(allow_nan=False), min_size=1), st.lists(st.integers(-(2**53), 2**53), min_size=1))
def test_numbers_come_back(floats: list[float], integers: list[int]) -> None:
    n = min(len(floats), len(integers))
    frame = pd.DataFrame({"float": floats[:n], "integer": integers[:n]})
    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(csv_text(frame))), frame)


@settings(deadline=None)
@given(st.lists(st.text(min_size=1), min_size=1, max_size=5))
def test_no_text_begins_a_formula(cells: list[str]) -> None:
    read = pd.read_csv(io.StringIO(csv_text(pd.DataFrame({"a": cells}))), dtype=str, keep_default_na=False)
    for cell in read["a"]:
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r")) or cell.lstrip("+-")[:1] in ".0123456789"


def test_what_has_no_formula_is_written_as_pandas_does() -> None:
    frame = pd.DataFrame(
        {
            "object": [1, None, True],
            "day": pd.to_datetime(["2024-01-01", None, "2024-01-03"]),
            "whole": pd.array([1, None, 3], dtype="Int64"),
            "number": [0.1, np.nan, -3.0],
        }
    )
    assert csv_text(frame) == frame.to_csv(index=False, lineterminator="\n")
    assert csv_text(frame, index=True) == frame.to_csv(lineterminator="\n")
    empty = pd.DataFrame(columns=["a", "b"])
    assert csv_text(empty) == "a,b\n"
    assert csv_text(pd.DataFrame(), index=True) == pd.DataFrame().to_csv(lineterminator="\n")


def test_row_labels_of_several_levels_keep_their_names() -> None:
    labels = pd.MultiIndex.from_tuples([("=a", 1), ("b", 2)], names=["kind", "round"])
    frame = pd.DataFrame({"x": [0.5, 1.5]}, index=labels)
    assert csv_text(frame, index=True) == "kind,round,x\n'=a,1,0.5\nb,2,1.5\n"
