"""A table of customers with its schema: what every pipeline is handed, whatever the source."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from marketnn.data.columns import type_columns
from marketnn.data.schema import Role, Schema, infer_schema, is_number, refreshed
from marketnn.errors import InputError, rows_text, unknown_name
from marketnn.spelling import number_texts

_OPPOSITES = {"yes": "no", "y": "n", "true": "false", "t": "f", "1": "0"}


@dataclass(frozen=True)
class TableOptions:
    """What a caller may say about any table; each source adds where to read it.

    Attributes:
        target: the column to predict.
        positive: the target's value that counts as 1 (churned, bought); found by itself for yes/no, true/false and 1/0.
        id: columns that name rows; never a feature.
        drop: columns to leave out.
        leakage: columns known only after the outcome; left out of every model and listed as such.
        categorical: columns to read as categories although they hold numbers.
        missing: ``error``; ``drop`` the rows; ``median`` (numbers by the training rows' median, text by their commonest value).
    """

    target: str | None = None
    positive: str | bool | None = None
    id: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    leakage: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    missing: Literal["error", "drop", "median"] = "error"


@dataclass(frozen=True)
class Raw:
    """What a source read, before columns are typed.

    Attributes:
        frame: the columns as they came.
        options: what the caller said of them.
        source: the file, query or packaged table, for messages and reports.
        notes: what a reader should know of the source, in sentences.
        first_row: how many of the source's rows come before these, where they are a piece of them; ``None`` for a whole.
    """

    frame: pd.DataFrame
    options: TableOptions
    source: str
    notes: tuple[str, ...] = ()
    first_row: int | None = None

    @property
    def where(self) -> str:
        """The source, and which rows of it, for messages that count rows from 1 within them."""
        if self.first_row is None:
            return self.source
        return f"{self.source}, within rows {self.first_row + 1:,} to {self.first_row + len(self.frame):,}"


@dataclass(frozen=True)
class Table:
    """Typed columns and what they are.

    Attributes:
        frame: numbers as float64, everything else as text, missing values as NaN; the index counts the source's rows from 0.
        schema: the role of each column.
        options: what the caller said.
        source: the file, query or packaged table, for reports.
        notes: what was done to the rows on the way, in sentences.
        where: the source as messages name it, ``source`` unless the rows are a piece of it.
    """

    frame: pd.DataFrame
    schema: Schema
    options: TableOptions
    source: str
    notes: tuple[str, ...] = ()
    where: str = ""

    @property
    def features(self) -> pd.DataFrame:
        """The columns a model may use."""
        return self.frame[self.schema.features]

    @property
    def row_numbers(self) -> np.ndarray:
        """The source's row number of each row, counting from 1 (the header not included)."""
        return self.frame.index.to_numpy() + 1

    def ready(self) -> Table:
        """Apply the missing-value policy and check that every feature can be used.

        Raises:
            InputError: an unusable column, missing values under ``missing=error``, or no rows or features left.
        """
        self._check_columns()
        used = self.schema.names(Role.TARGET, Role.NUMERIC, Role.CATEGORICAL)
        missing = self.frame[used].isna()
        # An unknown outcome cannot be filled in, so the median policy covers the features alone.
        blocking = missing[self.schema.names(Role.TARGET)] if self.options.missing == "median" else missing
        incomplete = blocking.any(axis=1).to_numpy()
        if not incomplete.any():
            return self
        if self.options.missing != "drop":
            self.refuse_missing(list(blocking.columns))
        if incomplete.all():
            raise InputError(
                f"{self.source}: every row has a missing value; pass data.missing=median or data.drop=[...]."
            )
        by_column = missing.sum()
        worst = ", ".join(f"'{name}' {count:,}" for name, count in by_column[by_column > 0].items())
        note = f"{incomplete.sum():,} of {len(self.frame):,} rows with a missing value were left out ({worst})."
        kept = self.frame[~incomplete]
        table = replace(self, frame=kept, schema=refreshed(self.schema, kept), notes=(*self.notes, note))
        table._check_columns()
        return table

    def refuse_missing(self, columns: list[str]) -> None:
        """Raise an error if one of these columns has a missing value.

        Raises:
            InputError: naming the column with most of them, its rows and the repair.
        """
        missing = self.frame[columns].isna()
        counts = missing.sum()
        if not counts.any():
            return
        name = counts.idxmax()
        others = int((counts > 0).sum()) - 1
        more = f", and {others} more column{'s' if others > 1 else ''}" if others else ""
        repair = "" if name == self.options.target else f", data.missing=median or data.drop=[{name}]"
        raise InputError(
            f"{self.where or self.source}: column '{name}' is missing in {rows_text(missing[name].to_numpy())}{more}; "
            f"pass data.missing=drop{repair}."
        )

    def binary_target(self) -> tuple[np.ndarray, str]:
        """Return the target as 0/1 (n,) and the name of the class that is 1.

        Raises:
            InputError: no target, one class, more than two, or two classes of which neither is plainly the positive one.
        """
        name = self._target()
        text = class_names(self.frame[name])
        classes = sorted(text.unique())
        if len(classes) != 2:
            shown = ", ".join(f"'{value}'" for value in classes[:4]) + (", ..." if len(classes) > 4 else "")
            count = "one class" if len(classes) == 1 else f"{len(classes):,} classes"
            raise InputError(
                f"{self.source}: target '{name}' has {count} ({shown}); two are needed, such as yes and no."
            )
        positive = _positive_class(classes, self.options.positive, name, self.source)
        return (text == positive).to_numpy(dtype=np.int64), positive

    def numeric_target(self) -> np.ndarray:
        """Return the target as numbers (n,).

        Raises:
            InputError: no target, a target that is text, or the same number in every row.
        """
        name = self._target()
        values = self.frame[name]
        if not is_number(values):
            raise InputError(
                f"{self.source}: target '{name}' is text, such as '{values.dropna().iloc[0]}'; "
                f"a number is needed: pass data.target=..., or write it as one."
            )
        if values.nunique() == 1:
            raise InputError(
                f"{self.source}: target '{name}' is {values.iloc[0]:g} in every row; there is nothing to predict."
            )
        return values.to_numpy(dtype=float)

    def _target(self) -> str:
        if self.options.target is None:
            raise InputError(f"{self.source}: no target column; pass data.target=... ({_listing(self.frame.columns)}).")
        return self.options.target

    def _check_columns(self) -> None:
        problems = [column.problem for column in self.schema.columns if column.problem]
        if problems:
            more = (
                f"\n({len(problems) - 1} more columns cannot be used: pipeline=inspect lists them.)"
                if problems[1:]
                else ""
            )
            raise InputError(f"{self.source}: {problems[0]}{more}")
        if not self.schema.features:
            raise InputError(f"{self.source}: no column is left to be a feature; see pipeline=inspect.")


def assemble(raw: Raw, *, categories: Collection[str] = (), ids: Collection[str] = ()) -> Table:
    """Type the columns of a raw frame and give them roles.

    Args:
        raw: what a source read.
        categories, ids: columns that are such where the frame has them (a saved model knows them).

    Raises:
        InputError: duplicate names, no rows, a named column that is not there or has two roles, text among numbers, infinite
            values.
    """
    options, source = raw.options, raw.where
    names = [str(name).strip() for name in raw.frame.columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        places = ", ".join(str(place + 1) for place, name in enumerate(names) if name == twice[0])
        raise InputError(
            f"{source}: column name '{twice[0]}' stands {names.count(twice[0])} times (columns {places}); rename."
        )
    if raw.frame.empty:
        raise InputError(f"{source}: there is a header and no rows.")
    _check_names(options, names, source)
    frame = raw.frame.set_axis(names, axis="columns").reset_index(drop=True)
    ids = [*options.id, *(name for name in ids if name in names and name not in options.id)]
    categories = [*options.categorical, *(name for name in categories if name in names)]
    as_text = {*ids, *categories, *options.drop, *options.leakage}
    typed = type_columns(frame, source=source, as_text=as_text)
    schema = infer_schema(
        typed, target=options.target, ids=ids, categorical=categories, leakage=options.leakage, drop=options.drop
    )
    # Numbers that turn out to name rows are shown as the source spells them.
    found = schema.names(Role.ID)
    typed[found] = type_columns(frame[found], source=source, as_text=found)
    typed.index += raw.first_row or 0
    return Table(typed, schema, options, raw.source, raw.notes, source)


def _check_names(options: TableOptions, names: list[str], source: str) -> None:
    """Check that every column the caller names is there, and has one role."""
    role_of: dict[str, str] = {}
    for key in ("target", "id", "drop", "leakage", "categorical"):
        value = getattr(options, key)
        for name in [value] if isinstance(value, str) else value or ():
            if name not in names:
                raise InputError(f"{source}: {unknown_name(f'column in data.{key}', name, names)}")
            if name in role_of:
                raise InputError(
                    f"{source}: column '{name}' stands in data.{role_of[name]} and in data.{key}; choose one."
                )
            role_of[name] = key


def class_names(values: pd.Series) -> pd.Series:
    """Spell a target's values as text: 1 for 1.0, and text as it is."""
    return number_texts(values) if pd.api.types.is_numeric_dtype(values.dtype) else values.astype(str)


def _positive_class(classes: list[str], given: str | bool | None, name: str, source: str) -> str:
    shown = f"{source}: target '{name}' has '{classes[0]}' and '{classes[1]}'"
    if given is not None:
        wanted = {"true", "yes", "1"} if given is True else {"false", "no", "0"} if given is False else {str(given)}
        exact = [
            value
            for value in classes
            if value in wanted or _as_number(value) in {_as_number(w) for w in wanted} - {None}
        ]
        found = exact or [value for value in classes if value.lower() in {w.lower() for w in wanted}]
        if len(found) == 1:
            return found[0]
        raise InputError(f"{shown}; data.positive={given} is neither.")
    lower = [value.lower() for value in classes]
    for positive, negative in _OPPOSITES.items():
        if sorted(lower) == sorted([positive, negative]):
            return classes[lower.index(positive)]
    raise InputError(f"{shown}; say which one counts as 1: data.positive={classes[1]}.")


def _as_number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _listing(names: pd.Index, limit: int = 8) -> str:
    shown = ", ".join(map(str, names[:limit]))
    return f"columns: {shown}{', ...' if len(names) > limit else ''}"
