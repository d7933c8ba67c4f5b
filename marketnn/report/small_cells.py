"""Groups too small to show: what is said of three customers may be said of somebody one knows.

A page shows no row about fewer people than the minimum, and no count between 1 and the minimum; 0 may be shown, since it counts
nobody. The whole tables stay in the run folder for the analyst, who has the customers' file anyway.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

MIN_CELL = 10


def without_small(
    frame: pd.DataFrame,
    minimum: int,
    *,
    size: str = "",
    cells: Mapping[str, Sequence[str]] | None = None,
    mask: Any = None,
) -> pd.DataFrame:
    """Return a table without its small groups and counts.

    Args:
        frame: a row per group.
        minimum: the least number of people to be shown.
        size: the column that counts a row's people; rows of fewer are left out. Empty: none is.
        cells: columns that count some of them -> columns that say what those are like; all become ``mask`` where they are few.
        mask: what stands in for a small count, such as a text or NaN.
    """
    kept = frame if not size else frame[~_is_small(frame[size], minimum)]
    masked = kept.copy()
    for column, described in (cells or {}).items():
        small = _is_small(kept[column], minimum)
        for name in (column, *described):
            if small.any():
                masked[name] = masked[name].astype(object).where(~small, mask)
    return masked


def _is_small(counts: pd.Series, minimum: int) -> pd.Series:
    return (counts > 0) & (counts < minimum)
