"""Numbers as people write them."""

from __future__ import annotations

import pandas as pd


def number_texts(values: pd.Series) -> pd.Series:
    """Spell numbers as text without losing a digit: 7 for 7.0, 1234567 for itself; missing values stay."""
    # A column has few different numbers where its texts are wanted: each is spelt once.
    texts = {number: _text(number) for number in values.dropna().unique()}
    return values.astype(object).map(texts.__getitem__, na_action="ignore")


def _text(number: float) -> str:
    return str(int(number)) if float(number).is_integer() else repr(float(number))


def counted(number: int, noun: str) -> str:
    """Write a number with its noun: ``1 row``, ``1,200 rows``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
