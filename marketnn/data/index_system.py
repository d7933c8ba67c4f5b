"""The indices of a scorecard as data: dimension, name, formula, direction, unit (paper A, Fig. 3.1).

A YAML names dimensions in order, under each its indices by code. The paper's own list is lost; ``default`` and ``green`` come
along, and a user's own file is read the same way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, cast, get_args

import numpy as np
import pandas as pd

from marketnn.errors import InputError, unknown_name
from marketnn.plain_yaml import read_yaml

Direction = Literal["benefit", "cost", "interval"]
_PACKAGED = Path(__file__).parent / "index_systems"
_KEYS = {"name", "formula", "direction", "unit", "low", "high"}


@dataclass(frozen=True)
class Index:
    """One index.

    Attributes:
        code: names its column.
        dimension: the group it belongs to.
        name, formula, unit: for people.
        direction: ``benefit``, more is better; ``cost``, less is; ``interval``, within [low, high] is best.
        low, high: a usual range in the unit, or, for an interval, the best one.
    """

    code: str
    dimension: str
    name: str
    formula: str
    direction: Direction
    unit: str
    low: float
    high: float


@dataclass(frozen=True)
class IndexSystem:
    """The indices of a scorecard, in order.

    Attributes:
        indices: at least one; codes are distinct.
    """

    indices: tuple[Index, ...]

    @classmethod
    def load(cls, source: str | Path) -> Self:
        """Read ``default``, ``green``, or a YAML file.

        Raises:
            InputError: no such file, not a YAML of dimensions and indices, or an index that lacks something; the message names
                the file, the index and what to write.
        """
        path = _PACKAGED / f"{source}.yaml" if str(source) in packaged() else Path(source)
        if not path.is_file():
            raise unknown_name("index system", str(source), [*packaged(), "a path to a YAML file"])
        read = read_yaml(path)
        if not isinstance(read, Mapping) or not all(isinstance(entries, Mapping) for entries in read.values()):
            raise InputError(
                f"{path}: write dimensions, and under each its indices by code, as the ones that come along have them."
            )
        indices = [
            _index(path, str(dimension), str(code), entry)
            for dimension, entries in read.items()
            for code, entry in entries.items()
        ]
        codes = [index.code for index in indices]
        twice = next((code for code in codes if codes.count(code) > 1), None)
        if twice is not None or not indices:
            raise InputError(
                f"{path}: index '{twice}' stands twice; rename one." if twice else f"{path}: there is no index in it."
            )
        return cls(tuple(indices))

    @classmethod
    def default(cls) -> Self:
        """Return the 24 indices with partners and channel as the fifth dimension."""
        return cls.load("default")

    @classmethod
    def green(cls) -> Self:
        """Return the 24 indices with the green level as the fifth dimension."""
        return cls.load("green")

    @property
    def codes(self) -> list[str]:
        """The indices' codes."""
        return [index.code for index in self.indices]

    @property
    def dimensions(self) -> dict[str, list[str]]:
        """Dimension -> the codes of its indices."""
        found: dict[str, list[str]] = {}
        for index in self.indices:
            found.setdefault(index.dimension, []).append(index.code)
        return found

    @property
    def signs(self) -> pd.Series:
        """By code: 1 where more is better, -1 where less is, 0 for an interval."""
        return pd.Series(
            {index.code: {"benefit": 1, "cost": -1, "interval": 0}[index.direction] for index in self.indices}
        )

    def table(self) -> pd.DataFrame:
        """List the indices, one per row."""
        return pd.DataFrame([vars(index) for index in self.indices])

    def require(self, columns: Sequence[str], source: str) -> None:
        """Refuse a table whose columns are not the indices.

        Raises:
            InputError: an index has no column, or a column is no index; the message names it and the repair.
        """
        for code in self.codes:
            if code not in columns:
                raise InputError(
                    f"{source}: index {code} has no column; there are {', '.join(map(str, columns[:8]))}. "
                    "Add the column, or take the index out of the index system."
                )
        for name in columns:
            if name not in self.codes:
                raise InputError(
                    f"{source}: column '{name}' is no index of the system; add it there with its direction, or pass "
                    f"data.drop=[{name}]."
                )

    def quality(self, x: pd.DataFrame) -> pd.DataFrame:
        """Return every index as quality between 0 and 1, 1 the best of the rows (eq. 2.8, turned round where less is better).

        An interval index is 1 within [low, high] and falls linearly to 0 at the row farthest outside. An index that is the same
        in all rows is 0, as in eq. 2.8.

        Args:
            x: (n, d), the codes among its columns.

        Raises:
            InputError: an index has no column, or a value is not finite.
        """
        missing = [code for code in self.codes if code not in x.columns]
        if missing:
            raise InputError(f"index {missing[0]} has no column among {', '.join(map(str, x.columns[:8]))}.")
        values = x[self.codes].to_numpy(dtype=float)
        if not np.isfinite(values).all():
            row, column = np.argwhere(~np.isfinite(values))[0]
            raise InputError(
                f"index {self.codes[column]} is {values[row, column]} in row {row + 1}; drop or fill such rows."
            )
        columns = [_quality(index, column) for index, column in zip(self.indices, values.T, strict=True)]
        return pd.DataFrame(np.column_stack(columns), index=x.index, columns=self.codes)

    def dimension_scores(self, quality: pd.DataFrame, weights: Mapping[str, float] | None = None) -> pd.DataFrame:
        """Average qualities within each dimension (n, dimensions).

        Args:
            quality: of ``quality``.
            weights: code -> weight, from 0 on; equal by default.

        Raises:
            InputError: a weight is missing, negative or not finite, or all of a dimension are 0.
        """
        given = dict.fromkeys(self.codes, 1.0) if weights is None else weights
        scores = {}
        for dimension, codes in self.dimensions.items():
            weight = np.array([given.get(code, np.nan) for code in codes], dtype=float)
            if not (np.isfinite(weight).all() and (weight >= 0).all() and weight.sum() > 0):
                raise InputError(
                    f"the weights of {dimension} ({', '.join(codes)}) must be numbers from 0 on, not all 0."
                )
            scores[dimension] = quality[codes].to_numpy() @ (weight / weight.sum())
        return pd.DataFrame(scores, index=quality.index)


def packaged() -> list[str]:
    """Name the index systems that come along."""
    return sorted(file.stem for file in _PACKAGED.glob("*.yaml"))


def _index(path: Path, dimension: str, code: str, entry: Any) -> Index:
    where = f"{path}: index {code}"
    if not isinstance(entry, Mapping):
        raise InputError(f"{where}: write name, formula, direction, unit, low and high for it.")
    for key in entry:
        if key not in _KEYS:
            raise unknown_name("key", f"{code}.{key}", [f"{code}.{name}" for name in sorted(_KEYS)])
    direction = entry.get("direction")
    if direction not in get_args(Direction):
        raise InputError(f"{where}: direction is {direction!r}; write benefit (more is better), cost or interval.")
    low, high = entry.get("low", 0.0), entry.get("high", 1.0)
    if (
        isinstance(low, bool)
        or isinstance(high, bool)
        or not all(isinstance(end, (int, float)) for end in (low, high))
        or low >= high
    ):
        raise InputError(f"{where}: low={low!r} and high={high!r} must be numbers, low the smaller.")
    if direction == "interval" and not {"low", "high"} <= set(entry):
        raise InputError(f"{where}: an interval index needs low and high, between which it is best.")
    texts = {key: str(entry.get(key, "")) for key in ("formula", "unit")}
    return Index(
        code,
        dimension,
        str(entry.get("name", code)),
        texts["formula"],
        cast(Direction, direction),
        texts["unit"],
        float(low),
        float(high),
    )


def _quality(index: Index, values: np.ndarray) -> np.ndarray:
    if index.direction == "interval":
        away = np.maximum(np.maximum(index.low - values, values - index.high), 0.0)
        return 1 - away / away.max() if away.max() > 0 else np.ones_like(values)
    spread = values.max() - values.min()
    if spread == 0:
        return np.zeros_like(values)
    return (values - values.min()) / spread if index.direction == "benefit" else (values.max() - values) / spread
