"""Numbers as people write them."""

from __future__ import annotations

import pandas as pd


def number_texts(values: pd.Series) -> pd.Series:
    """Spell numbers as text without losing a digit: 7 for 7.0, 1234567 for itself; missing values stay."""
    if pd.api.types.is_integer_dtype(values.dtype):
        return values.astype(object).map(str, na_action="ignore")
    return values.astype(object).map(
        lambda number: str(int(number)) if float(number).is_integer() else repr(float(number)), na_action="ignore"
    )


def counted(number: int, noun: str) -> str:
    """Write a number with its noun: ``1 row``, ``1,200 rows``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
