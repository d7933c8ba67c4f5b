"""Rows as people read them."""

from __future__ import annotations

import numpy as np
import pytest

from marketnn.errors import rows_text, unknown_name


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        (np.array([False, True, False]), "row 2"),
        (np.array([9, 26, 42]), "3 rows (10, 27, 43)"),
        (np.arange(1200), "1,200 rows (1, 2, 3, ...)"),
    ],
)
def test_rows(rows: np.ndarray, text: str) -> None:
    assert rows_text(rows) == text


def test_unknown_names_list_what_exists() -> None:
    assert str(unknown_name("fruit", "aple", ["pear", "apple"])) == (
        "unknown fruit 'aple'. Did you mean 'apple'?\nThere are: apple, pear."
    )
    assert str(unknown_name("fruit", "x", [])) == "unknown fruit 'x'.\nThere are: none."
