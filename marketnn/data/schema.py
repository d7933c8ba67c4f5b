"""What each column is: roles, how they are inferred, and what is wrong with a column before a model sees it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pandas as pd

MAX_CATEGORIES = 100
# A text column with more distinct values per row than this names rows rather than describing them.
IDENTIFIER_SHARE = 0.9
MIN_ROWS_OF_EXAMPLE = 10  # a value that fewer rows have tells of a person
MIN_ROWS_TO_JUDGE = 20  # below this, distinct values are no evidence of an identifier

_INFERRED = ("numbers", "text")  # reasons that rest on the values alone
_OTHER_NUMBER = re.compile(r"(?!\d+$)[-+]?\s*[$€£¥]?\s*\d[\d.,' ]*\s*[%$€£¥]?")
_CODE_NAME = re.compile(r"(^|[_\s.-])(id|uuid|guid)$")
_ID_NAME = re.compile(
    r"(^|[_\s.-])(id|ids|uuid|guid|phone|email|msisdn|rownames)$"
    r"|^(customer|client|user|member|household|account|session|order|invoice)_?(id|no|number|key)$"
    r"|^id([_\s.-]|$)"
)


class Role(StrEnum):
    """What a column is used for."""

    ID = "id"
    TARGET = "target"
    NUMERIC = "numeric"
    CATEGORICAL = "categorical"
    LEAKAGE = "leakage"
    EXCLUDED = "excluded"


@dataclass(frozen=True)
class Column:
    """One column of a table as the schema sees it.

    Attributes:
        reason: how the role came about (``declared: data.id``, ``numbers``, ``named like an id, every value different``, ...).
        example: what many rows have: the commonest value, of ten rows at least, or a number column's median to three digits.
            Empty for columns that are not used, and for those that name rows: they may hold names and addresses.
        problem: what keeps the column from being used, with the repair; ``None`` when nothing does.
    """

    name: str
    role: Role
    reason: str
    n_distinct: int
    n_missing: int
    example: str
    problem: str | None = None


@dataclass(frozen=True)
class Schema:
    """The columns of a table in file order."""

    columns: tuple[Column, ...]

    def names(self, *roles: Role) -> list[str]:
        """List the columns that have one of these roles, in file order."""
        return [column.name for column in self.columns if column.role in roles]

    @property
    def features(self) -> list[str]:
        """The columns a model may use."""
        return self.names(Role.NUMERIC, Role.CATEGORICAL)

    def frame(self) -> pd.DataFrame:
        """Show the schema as a table, one row per column."""
        return pd.DataFrame(
            {
                "column": [column.name for column in self.columns],
                "role": [column.role.value for column in self.columns],
                "why": [column.reason for column in self.columns],
                "distinct": [column.n_distinct for column in self.columns],
                "missing": [column.n_missing for column in self.columns],
                "example": [column.example for column in self.columns],
                "problem": [column.problem or "" for column in self.columns],
            }
        )


def infer_schema(
    frame: pd.DataFrame,
    *,
    target: str | None = None,
    ids: Sequence[str] = (),
    categorical: Sequence[str] = (),
    leakage: Sequence[str] = (),
    drop: Sequence[str] = (),
) -> Schema:
    """Give each column a role: what the caller declares first, then what the values say.

    Args:
        frame: typed columns (numbers as float64, everything else as text), missing values as NaN.
        target: the column to predict.
        ids: columns that name rows.
        categorical: numbers that are codes, or text that must not be read as numbers.
        leakage: columns known only after the outcome; kept out of every model and said so.
        drop: columns left out at the caller's wish.
    """
    declared = {
        **dict.fromkeys(drop, (Role.EXCLUDED, "left out: data.drop")),
        **dict.fromkeys(leakage, (Role.LEAKAGE, "known only after the outcome: data.leakage")),
        **dict.fromkeys(ids, (Role.ID, "declared: data.id")),
        **({target: (Role.TARGET, "declared: data.target")} if target else {}),
    }
    columns = []
    for name in frame.columns:
        role, reason = declared.get(name) or _infer_role(name, frame[name], name in categorical)
        columns.append(_describe(name, frame[name], role, reason))
    return Schema(tuple(columns))


def refreshed(schema: Schema, frame: pd.DataFrame) -> Schema:
    """Keep every column's role and count its values anew, after rows have left the frame."""
    return Schema(tuple(_describe(c.name, frame[c.name], c.role, c.reason) for c in schema.columns))


def is_number(values: pd.Series) -> bool:
    """Say whether a column holds numbers (dates and truth values do not count)."""
    return pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype)


def _shown(present: pd.Series) -> str:
    """The first value, as a person would write it."""
    if present.empty:
        return ""
    first = present.iloc[0]
    return str(int(first)) if is_number(present) and float(first).is_integer() else str(first)


@dataclass(frozen=True)
class _Distinct:
    """The different values of a column.

    Attributes:
        value: (m,) they, numbers in ascending order.
        count: (m,) how many rows have each.
    """

    value: pd.Index
    count: np.ndarray

    @classmethod
    def of(cls, present: pd.Series) -> _Distinct:
        """Count the values that are there."""
        if not is_number(present):
            counts = present.value_counts(sort=False)
            return cls(counts.index, counts.to_numpy())
        # Sorting takes a fraction of the time and memory of a hash table as long as the column.
        ordered = np.sort(present.to_numpy(dtype=float))
        starts = np.flatnonzero(np.diff(ordered, prepend=np.nan) != 0)
        return cls(pd.Index(ordered[starts]), np.diff(starts, append=len(ordered)))

    def commonest(self, present: pd.Series) -> pd.Series:
        """Return the commonest value as a column of one, the first to appear of several."""
        often = self.value[self.count == self.count.max()]
        return often[:1].to_series() if len(often) == 1 else present[present.isin(often)].iloc[:1]


def _example(present: pd.Series, distinct: _Distinct) -> str:
    """Show what a column holds without showing what anybody has."""
    if len(present) and distinct.count.max() >= MIN_ROWS_OF_EXAMPLE:
        return _shown(distinct.commonest(present))
    if is_number(present) and len(present) >= MIN_ROWS_OF_EXAMPLE:
        return f"{present.median():.3g}"
    return ""


def _describe(name: str, values: pd.Series, role: Role, reason: str) -> Column:
    present = values.dropna()
    distinct = _Distinct.of(present)
    used = role in (Role.TARGET, Role.NUMERIC, Role.CATEGORICAL)
    return Column(
        name=name,
        role=role,
        reason=reason,
        n_distinct=len(distinct.value),
        n_missing=len(values) - len(present),
        example=_example(present, distinct) if used else "",
        problem=_problem(name, present, distinct, role, reason) if used else None,
    )


def _infer_role(name: str, values: pd.Series, declared_categorical: bool) -> tuple[Role, str]:
    if declared_categorical:
        return Role.CATEGORICAL, "declared: data.categorical"
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return Role.EXCLUDED, "a date: derive a number from it (days since ...) to use it"
    may_be_id = _ID_NAME.search(_snake(name)) and not (is_number(values) and (values % 1 != 0).any())
    if may_be_id and len(values) > 1 and not values.hasnans and values.is_unique:
        return Role.ID, "named like an id, every value different"
    return (Role.NUMERIC, "numbers") if is_number(values) else (Role.CATEGORICAL, "text")


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _problem(name: str, present: pd.Series, distinct: _Distinct, role: Role, reason: str) -> str | None:
    n_distinct = len(distinct.value)
    if present.empty:
        return f"column '{name}' is empty in every row; pass data.drop=[{name}]."
    if role is Role.TARGET:
        return None
    if n_distinct == 1:
        return f"column '{name}' has the one value '{_shown(present)}' in every row; pass data.drop=[{name}]."
    if reason == "text" and n_distinct > MIN_ROWS_TO_JUDGE and present.astype(str).str.fullmatch(_OTHER_NUMBER).all():
        return (
            f"column '{name}' holds numbers written in another way, such as '{_shown(present)}'; write them like 1234.5, "
            f"or pass data.drop=[{name}]."
        )
    if _names_rows(distinct, len(present), role):
        return (
            f"column '{name}' has {n_distinct:,} different values in {len(present):,} rows: it names rows and describes "
            f"nothing; pass data.id={name} or data.drop=[{name}]."
        )
    if reason in _INFERRED and n_distinct > 2 and _CODE_NAME.search(_snake(name)):
        return (
            f"column '{name}' is named like an id and its values repeat; pass data.id={name}, data.drop=[{name}], or "
            f"data.categorical=[{name}] if it is a category."
        )
    if role is Role.CATEGORICAL and n_distinct > MAX_CATEGORIES:
        return (
            f"column '{name}' has {n_distinct:,} categories, more than {MAX_CATEGORIES}; "
            f"group them, or pass data.drop=[{name}]."
        )
    return None


def _names_rows(distinct: _Distinct, n_rows: int, role: Role) -> bool:
    """Whether a feature is an identifier in disguise: nearly all-distinct text, or whole numbers at equal steps, in any order."""
    if n_rows < MIN_ROWS_TO_JUDGE:
        return False
    if role is Role.CATEGORICAL:
        return len(distinct.value) > IDENTIFIER_SHARE * n_rows
    if len(distinct.value) < n_rows:
        return False
    steps = np.diff(distinct.value.to_numpy(dtype=float))
    return bool(steps[0] >= 1 and np.all(steps == steps[0]))
