"""Rows to learn from: finite numbers with a 0/1 label each, and the part of them that says when to stop.

Shapes: n rows, d features.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from marketnn.classify.labels import Vector, binary_labels
from marketnn.errors import InputError
from marketnn.preprocess.scaling import check_columns, read_matrix
from marketnn.preprocess.splitting import stratified_split

MIN_CLASS_ROWS = 10


@dataclass(frozen=True, eq=False)
class LabelledRows:
    """Features and labels, checked.

    Attributes:
        x: (n, d) float64, finite.
        y: (n,) integers 0 and 1.
        columns: names of the d features.
    """

    x: np.ndarray
    y: np.ndarray
    columns: tuple[str, ...]

    def at(self, positions: np.ndarray) -> LabelledRows:
        """Return some of the rows."""
        return LabelledRows(self.x[positions], self.y[positions], self.columns)


def labelled(X: pd.DataFrame | np.ndarray, y: Vector, columns: tuple[str, ...] | None = None) -> LabelledRows:
    """Check features and labels.

    Args:
        X: (n, d) finite numbers.
        y: (n,) 0/1.
        columns: the names that X must have, in order.

    Raises:
        InputError: not numeric, missing, other columns, unequal lengths, labels that are not 0/1, or all of one class.
    """
    x, names = read_matrix(X)
    if columns is not None:
        check_columns(names, columns, len(columns))
    labels = binary_labels(y)
    if len(labels) != len(x):
        raise InputError(f"X has {len(x):,} rows, but y has {len(labels):,}; pass the labels of the same rows.")
    return LabelledRows(x.double().numpy(), labels, names)


def refuse_rare_class(y: np.ndarray) -> None:
    """Raise where a class has too few rows to learn it and to tell whether it was learned.

    Args:
        y: (n,) 0/1.

    Raises:
        InputError: fewer than ten rows of a class.
    """
    counts = np.bincount(y, minlength=2)
    if counts.min() < MIN_CLASS_ROWS:
        rare = int(counts.argmin())
        raise InputError(
            f"only {counts.min()} of {len(y):,} rows are of class {rare}; at least {MIN_CLASS_ROWS} are needed: "
            "bring more rows, or a target that is less rare."
        )


def hold_out(rows: LabelledRows, share: float, seed: int) -> tuple[LabelledRows, LabelledRows]:
    """Part training rows into those to learn from and those that say when to stop, equal rows on one side.

    Raises:
        InputError: ``share`` outside (0, 1), or too few rows of a class for both sides.
    """
    # One hash stands for a row: comparing all columns would take longer than growing the trees.
    hashes = pd.util.hash_pandas_object(pd.DataFrame(rows.x), index=False)
    split = stratified_split(pd.DataFrame({"row": hashes}), rows.y, test_share=share, seed=seed)
    return rows.at(split.train), rows.at(split.test)
