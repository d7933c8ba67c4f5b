"""Numbers as people write them: the one place that turns a number column into text."""

from __future__ import annotations

import pandas as pd


def number_texts(values: pd.Series) -> pd.Series:
    """Spell numbers as text without losing a digit: 7 for 7.0, 1234567 for itself; missing values stay."""
    if pd.api.types.is_integer_dtype(values.dtype):
        return values.astype(object).map(str, na_action="ignore")
    return values.astype(object).map(
        lambda number: str(int(number)) if float(number).is_integer() else repr(float(number)), na_action="ignore"
    )
