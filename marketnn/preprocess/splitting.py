"""Training and test rows: stratified, and with identical customers on one side.

A customer whose twin is in the training rows is no test of anything; in a table with many exact duplicates a random split
flatters every model. Where so many rows are equal that too few distinct ones are left to split, the columns are too coarse
for that: equal rows are then different customers, and every row is split on its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from marketnn.errors import InputError
from marketnn.preprocess.twins import twin_groups

MIN_GROUPS = 5


@dataclass(frozen=True)
class Split:
    """Positions of the training and test rows.

    Attributes:
        train, test: 0-based positions, ascending.
        n_duplicates: rows whose features equal an earlier row's.
        together: whether these stay on that row's side.
    """

    train: np.ndarray
    test: np.ndarray
    n_duplicates: int
    together: bool


def stratified_split(features: pd.DataFrame, y: np.ndarray, *, test_share: float = 0.2, seed: int = 0) -> Split:
    """Split rows into training and test rows with the same share of positives, duplicates kept together.

    Args:
        features: (n, d) the columns that make two rows duplicates when they all agree.
        y: (n,) 0/1.
        test_share: the share of distinct rows that goes to the test side, between 0 and 1.
        seed: of the shuffle.

    Raises:
        InputError: ``test_share`` outside (0, 1), or a class with too few distinct rows for both sides.
    """
    if not 0 < test_share < 1:
        raise InputError(f"test_share={test_share} must lie between 0 and 1, such as 0.2.")
    group = twin_groups(features)
    n_duplicates = len(group) - len(np.unique(group))
    together = _group_classes(group, y).min() >= MIN_GROUPS
    if not together:
        group = np.arange(len(group))
        if _group_classes(group, y).min() < 2:
            raise InputError(f"the target has {int(y.sum())} positive rows of {len(y)}: too few for a split.")
    # Twins may disagree about the outcome; a group then counts as what most of its rows are.
    group_class = (np.bincount(group, weights=y) / np.bincount(group) >= 0.5).astype(int)
    try:
        train_groups, _ = train_test_split(
            np.arange(len(group_class)), test_size=test_share, stratify=group_class, random_state=seed
        )
    except ValueError as error:
        raise InputError(
            f"{len(group_class)} distinct rows cannot be split with test_share={test_share}: {error}"
        ) from error
    in_train = np.isin(group, train_groups)
    return Split(np.flatnonzero(in_train), np.flatnonzero(~in_train), n_duplicates, together)


def _group_classes(group: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Count the groups of either class (2,), a group being what most of its rows are."""
    return np.bincount(np.bincount(group, weights=y) / np.bincount(group) >= 0.5, minlength=2)
