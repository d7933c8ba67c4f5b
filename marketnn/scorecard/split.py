"""Training, validation and test rows of a table with a score; identical rows stay together.

A row whose twin was trained on is no test. Where so many rows are equal that few distinct ones are left, equal rows are
different units that the columns cannot tell apart, and every row is split on its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from marketnn.errors import InputError
from marketnn.seed import numpy_generator

MIN_DISTINCT = 30
MIN_ROWS = 5


@dataclass(frozen=True)
class ThreeWaySplit:
    """Positions of the rows by use.

    Attributes:
        train, validation, test: 0-based positions, ascending.
        n_duplicates: rows whose features equal an earlier row's.
        together: whether these stay on that row's side.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    n_duplicates: int
    together: bool


def three_way_split(
    features: pd.DataFrame, *, validation_share: float, test_share: float, seed: int = 0
) -> ThreeWaySplit:
    """Split rows at random into training, validation and test rows.

    Args:
        features: (n, d) the columns that make two rows duplicates when they all agree.
        validation_share, test_share: shares of the rows, each above 0, together below 1.
        seed: of the shuffle.

    Raises:
        InputError: shares out of range, or fewer than five rows for one of the three uses.
    """
    if min(validation_share, test_share) <= 0 or validation_share + test_share >= 1:
        raise InputError(
            f"validation_share={validation_share:g} and test_share={test_share:g} must be above 0 and together below 1."
        )
    shares = {"test": test_share, "validation": validation_share, "training": 1.0}
    (test, validation, train), n_duplicates, together = _deal(features, shares, seed)
    return ThreeWaySplit(train, validation, test, n_duplicates, together)


def two_way_split(features: pd.DataFrame, *, validation_share: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Split rows at random into training and validation rows; arguments and errors as in ``three_way_split``."""
    if not 0 < validation_share < 1:
        raise InputError(f"validation_share={validation_share:g} must be above 0 and below 1.")
    (validation, train), _, _ = _deal(features, {"validation": validation_share, "training": 1.0}, seed)
    return train, validation


def _deal(features: pd.DataFrame, shares: Mapping[str, float], seed: int) -> tuple[list[np.ndarray], int, bool]:
    """Deal rows out to uses, the last of which takes what is left; return positions by use, and what is said of twins."""
    group = features.groupby(list(features.columns), dropna=False, sort=False).ngroup().to_numpy()
    n_distinct = len(np.unique(group))
    together = n_distinct >= MIN_DISTINCT
    if not together:
        group = np.arange(len(group))
    order = numpy_generator(seed).permutation(group.max() + 1)
    sizes = np.bincount(group)[order]
    # The share of rows in the groups before one decides its use, so that a use has at most one group too many.
    before = np.empty(len(order))
    before[order] = (np.cumsum(sizes) - sizes) / len(group)
    ends = np.cumsum(list(shares.values()))[:-1]
    use = np.searchsorted(ends, before[group], side="right")
    sides = [np.flatnonzero(use == place) for place in range(len(shares))]
    for name, rows in zip(shares, sides, strict=True):
        if len(rows) < MIN_ROWS:
            raise InputError(
                f"{len(group):,} rows leave {len(rows)} for {name}, which needs at least {MIN_ROWS}; "
                "give more rows, or change the shares."
            )
    return sides, len(features) - n_distinct, together
