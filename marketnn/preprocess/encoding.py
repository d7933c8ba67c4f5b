"""From a table's columns to the numbers a model sees: missing values filled, categories as 0/1 columns.

Everything is learned on the training rows and kept as plain JSON, so that a saved model encodes new customers the same way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from marketnn.errors import InputError, rows_text
from marketnn.spelling import counted, number_texts


@dataclass(frozen=True)
class Met:
    """What rows hold that the training rows did not, in numbers of values; the sum of two describes the rows of both.

    Attributes:
        unknown: category column -> how many rows have a value that the training rows did not; they count as the baseline.
        filled: column -> how many missing values were filled in.
        outside: number column -> how many values lie outside the training rows' range.
    """

    unknown: Mapping[str, int] = field(default_factory=dict)
    filled: Mapping[str, int] = field(default_factory=dict)
    outside: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def beyond(cls, out_of_bounds: pd.DataFrame) -> Met:
        """Return what a scaler met, from its ``out_of_bounds``."""
        counts = out_of_bounds.sum(axis=1)
        return cls(outside={str(name): int(count) for name, count in counts.items() if count})

    def __add__(self, other: Met) -> Met:
        """Add up what two sets of rows hold."""
        return Met(
            Counter(self.unknown) + Counter(other.unknown),
            Counter(self.filled) + Counter(other.filled),
            Counter(self.outside) + Counter(other.outside),
        )

    @property
    def notes(self) -> list[str]:
        """What a reader should know of it, in sentences."""
        unknown = [
            f"{counted(count, 'row')} with a value of '{name}' that no training row has: it counts as the commonest one."
            for name, count in self.unknown.items()
        ]
        filled = [
            f"{counted(count, 'missing value')} of '{name}' filled with the training rows' usual value."
            for name, count in self.filled.items()
        ]
        if not self.outside:
            return [*unknown, *filled]
        total, most = sum(self.outside.values()), max(self.outside, key=lambda name: self.outside[name])
        outside = (
            f"{counted(total, 'value')} outside the range that the training rows had, most of them of '{most}': what is said "
            "of such rows is extrapolated."
        )
        return [*unknown, *filled, outside]


@dataclass(frozen=True)
class Encoded:
    """An encoded frame and what was met on the way.

    Attributes:
        frame: float64, one column per number and one 0/1 column per category but the baseline.
        met: what the training rows did not have.
    """

    frame: pd.DataFrame
    met: Met


@dataclass(frozen=True)
class Encoder:
    """How columns become numbers.

    Attributes:
        numeric: number column -> the training median, which fills missing values.
        categories: category column -> its values, the commonest (the baseline, without a column of its own, and what fills
            missing values) first, the others in alphabetical order.
    """

    numeric: Mapping[str, float]
    categories: Mapping[str, tuple[str, ...]]

    @classmethod
    def fit(cls, frame: pd.DataFrame) -> Encoder:
        """Learn medians and categories from the training rows; text columns are categories.

        Raises:
            InputError: a column without a value, or two columns whose encoded names coincide.
        """
        numeric, categories = {}, {}
        for name in frame.columns:
            values = frame[name]
            if pd.api.types.is_numeric_dtype(values.dtype):
                numeric[name] = float(values.median())
            else:
                counts = values.value_counts()
                if counts.empty:
                    raise InputError(f"column '{name}' is empty in every training row; pass data.drop=[{name}].")
                baseline = min(counts[counts == counts.max()].index)
                categories[name] = (baseline, *sorted(set(counts.index) - {baseline}))
        encoder = cls(numeric, categories)
        columns = [column for encoded in encoder.columns.values() for column in encoded]
        twice = sorted({column for column in columns if columns.count(column) > 1})
        if twice:
            raise InputError(f"two columns would both be encoded as '{twice[0]}'; rename one of them.")
        return encoder

    @property
    def columns(self) -> dict[str, list[str]]:
        """Original column -> the encoded columns it becomes."""
        plain = {name: [name] for name in self.numeric}
        dummies = {name: [f"{name}={value}" for value in values[1:]] for name, values in self.categories.items()}
        return {**plain, **dummies}

    def transform(self, frame: pd.DataFrame, *, source: str = "the table", fill_missing: bool = True) -> Encoded:
        """Encode rows; columns the encoder does not know are ignored.

        Raises:
            InputError: a column is not there or is text where numbers are needed, or a value is missing and
                ``fill_missing`` is off.
        """
        absent = [name for name in (*self.numeric, *self.categories) if name not in frame.columns]
        if absent:
            raise InputError(
                f"{source}: the model needs column{'s' if absent[1:] else ''} {_quoted(absent)}, which are not there."
            )
        parts: dict[str, np.ndarray] = {}
        unknown, filled = {}, {}
        for name, median in self.numeric.items():
            values = frame[name]
            if not pd.api.types.is_numeric_dtype(values.dtype):
                raise InputError(
                    f"{source}: column '{name}' is text ('{values.dropna().iloc[0]}'); the model needs numbers."
                )
            filled[name] = _missing(values, source, fill_missing)
            parts[name] = values.fillna(median).to_numpy(dtype=float)
        for name, known in self.categories.items():
            values = frame[name]
            filled[name] = _missing(values, source, fill_missing)
            text = number_texts(values) if pd.api.types.is_numeric_dtype(values.dtype) else values
            unknown[name] = int((text.notna() & ~text.isin(known)).sum())
            for value in known[1:]:
                parts[f"{name}={value}"] = (text == value).to_numpy(dtype=float)
        return Encoded(
            frame=pd.DataFrame(parts, index=frame.index),
            met=Met(
                unknown={name: count for name, count in unknown.items() if count},
                filled={name: count for name, count in filled.items() if count},
            ),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Encoder:
        """Rebuild an encoder from ``to_dict``."""
        return cls(
            numeric={str(name): float(median) for name, median in values["numeric"].items()},
            categories={str(name): tuple(map(str, known)) for name, known in values["categories"].items()},
        )


def _missing(values: pd.Series, source: str, fill_missing: bool) -> int:
    mask = values.isna().to_numpy()
    if mask.any() and not fill_missing:
        raise InputError(
            f"{source}: column '{values.name}' is missing in {rows_text(mask)}; pass data.missing=median or drop."
        )
    return int(mask.sum())


def _quoted(names: list[str], limit: int = 5) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:limit])
    return f"{shown}, ... ({len(names)} in all)" if len(names) > limit else shown
