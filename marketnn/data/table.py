"""A table of customers with its schema: what every pipeline is handed, whatever the source."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import pandas as pd

from marketnn.data.columns import type_columns
from marketnn.data.schema import Role, Schema, infer_schema, refreshed
from marketnn.errors import InputError, rows_text, unknown_name
from marketnn.spelling import number_texts

POSITIVE_WORDS = ("1", "yes", "true", "y", "t", "churn", "churned")


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
class Table:
    """Typed columns and what they are.

    Attributes:
        frame: numbers as float64, everything else as text, missing values as NaN; the index counts the source's rows from 0.
        schema: the role of each column.
        options: what the caller said.
        source: the file, query or packaged table, for messages and reports.
        notes: what was done to the rows on the way, in sentences.
    """

    frame: pd.DataFrame
    schema: Schema
    options: TableOptions
    source: str
    notes: tuple[str, ...] = field(default=())

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
        raise InputError(
            f"{self.source}: column '{name}' is missing in {rows_text(missing[name].to_numpy())}{more}; "
            f"pass data.missing=drop, data.missing=median (features only) or data.drop=[{name}]."
        )

    def binary_target(self) -> tuple[np.ndarray, str]:
        """Return the target as 0/1 (n,) and the name of the class that is 1.

        Raises:
            InputError: no target, one class, more than two, or two classes of which neither is plainly the positive one.
        """
        name = self.options.target
        if name is None:
            raise InputError(f"{self.source}: no target column; pass data.target=... ({_listing(self.frame.columns)}).")
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


def assemble(raw: pd.DataFrame, options: TableOptions, *, source: str, notes: tuple[str, ...] = ()) -> Table:
    """Type the columns of a raw frame and give them roles.

    Raises:
        InputError: duplicate names, no rows, a named column that is not there, text among numbers, infinite values.
    """
    names = [str(name).strip() for name in raw.columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        places = ", ".join(str(place + 1) for place, name in enumerate(names) if name == twice[0])
        raise InputError(
            f"{source}: column name '{twice[0]}' stands {names.count(twice[0])} times (columns {places}); rename."
        )
    if raw.empty:
        raise InputError(f"{source}: there is a header and no rows.")
    raw = raw.set_axis(names, axis="columns").reset_index(drop=True)
    for key in ("target", "id", "drop", "leakage", "categorical"):
        value = getattr(options, key)
        for name in [value] if isinstance(value, str) else value or ():
            if name not in names:
                raise InputError(f"{source}: {unknown_name(f'column in data.{key}', name, names)}")
    as_text = {*options.id, *options.drop, *options.leakage, *options.categorical}
    frame = type_columns(raw, source=source, as_text=as_text)
    schema = infer_schema(
        frame,
        target=options.target,
        ids=options.id,
        categorical=options.categorical,
        leakage=options.leakage,
        drop=options.drop,
    )
    # Numbers that turn out to name rows are shown as the source spells them.
    ids = schema.names(Role.ID)
    frame[ids] = type_columns(raw[ids], source=source, as_text=ids)
    return Table(frame=frame, schema=schema, options=options, source=source, notes=notes)


def class_names(values: pd.Series) -> pd.Series:
    """Spell a target's values as text: 1 for 1.0, and text as it is."""
    return number_texts(values) if pd.api.types.is_numeric_dtype(values.dtype) else values.astype(str)


def _positive_class(classes: list[str], given: str | bool | None, name: str, source: str) -> str:
    if given is not None:
        wanted = str(given).lower()
        for value in classes:
            if value.lower() == wanted:
                return value
        raise InputError(
            f"{source}: data.positive={given} is no value of '{name}'; it has '{classes[0]}' and '{classes[1]}'."
        )
    found = [value for value in classes if value.lower() in POSITIVE_WORDS]
    if len(found) == 1:
        return found[0]
    raise InputError(
        f"{source}: target '{name}' has '{classes[0]}' and '{classes[1]}'; say which one counts as 1: data.positive={classes[1]}."
    )


def _listing(names: pd.Index, limit: int = 8) -> str:
    shown = ", ".join(map(str, names[:limit]))
    return f"columns: {shown}{', ...' if len(names) > limit else ''}"
