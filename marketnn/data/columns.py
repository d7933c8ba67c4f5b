"""From raw columns to typed ones: numbers as float64, everything else as text, missing values as NaN."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd

from marketnn.data.schema import is_number
from marketnn.errors import InputError, rows_text
from marketnn.spelling import number_texts

MISSING = frozenset({"", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "null", "NULL"})
NUMERIC_SHARE = 0.9
EXACT = 2**53  # beyond it float64 skips whole numbers


def type_columns(frame: pd.DataFrame, *, source: str, as_text: Collection[str] = ()) -> pd.DataFrame:
    """Type each column by its values.

    A text column of which at least 90 % of the values present are numbers is a number column; other text in it is an error,
    because it is far more often a typing mistake than a category.

    Args:
        frame: raw columns; text columns may spell missing values as in ``MISSING``.
        source: the file or query, for messages.
        as_text: columns to keep as text whatever they hold (ids, declared categories, columns left out).

    Raises:
        InputError: text among numbers, or infinite values; names column, rows and values.
    """
    return pd.DataFrame({name: _typed(frame[name], name in as_text, source) for name in frame.columns})


def _typed(values: pd.Series, as_text: bool, source: str) -> pd.Series:
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return values
    if pd.api.types.is_bool_dtype(values.dtype):
        values = values.map({True: "yes", False: "no"}) if as_text else values.astype(float)
    if is_number(values):
        return number_texts(values) if as_text else _finite(values.astype(float), source)
    text = values.astype(object)
    text = text.where(text.notna(), "").astype(str).str.strip()
    present = ~text.isin(MISSING)
    text = text.astype(object).where(present, np.nan)
    if not present.any():
        return text.astype(float)
    if as_text:
        return text
    number = pd.to_numeric(text, errors="coerce").astype(float)
    if (number.abs() > EXACT).any() and (number.dropna() % 1 == 0).all():
        return text  # more digits than a number keeps: a name, such as an account
    strange = present & number.isna()
    if strange.sum() > (1 - NUMERIC_SHARE) * present.sum():
        return text
    if strange.any():
        shown = ", ".join(f"'{value}'" for value in text[strange].unique()[:3])
        raise InputError(
            f"{source}: column '{values.name}' holds numbers, but {rows_text(strange.to_numpy())} {_have(strange)} {shown}; "
            f"correct the file, or pass data.categorical=[{values.name}] or data.drop=[{values.name}]."
        )
    return _finite(number, source)


def _finite(number: pd.Series, source: str) -> pd.Series:
    infinite = np.isinf(number.to_numpy())
    if infinite.any():
        raise InputError(
            f"{source}: column '{number.name}' is infinite in {rows_text(infinite)}; "
            f"correct the file, or pass data.drop=[{number.name}]."
        )
    return number


def _have(mask: pd.Series) -> str:
    return "has" if mask.sum() == 1 else "have"
