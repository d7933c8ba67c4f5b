"""What every routine of this room asks of its labels and probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import pandas as pd

from marketnn.errors import InputError, rows_text

Vector: TypeAlias = np.ndarray | pd.Series | Sequence[float]


def binary_labels(y: Vector, *, both_classes: bool = True) -> np.ndarray:
    """Return y (n,) as integers 0 and 1, 1 being the positive class.

    Args:
        y: 0/1 or booleans.
        both_classes: refuse labels that are all the same.

    Raises:
        InputError: not one column, empty, missing values, anything but 0 and 1, or one class only.
    """
    values = np.asarray(y)
    if values.ndim != 1 or not values.size:
        raise InputError(f"y must be one column of 0 and 1, not of shape {values.shape}; select the target column.")
    missing = pd.isna(values)
    if missing.any():
        raise InputError(f"y is missing in {rows_text(missing)}; drop these rows.")
    if not np.all((values == 0) | (values == 1)):
        found = ", ".join(map(repr, pd.unique(values)[:4].tolist()))
        raise InputError(f"y must be 0 or 1, but holds {found}; code the positive class as 1 and the other as 0.")
    labels = values.astype(np.int64)
    if both_classes and labels.min() == labels.max():
        raise InputError(f"y is {labels[0]} in all {labels.size:,} rows; both classes, 0 and 1, are needed.")
    return labels


def probabilities(values: Vector, n_rows: int) -> np.ndarray:
    """Return probabilities (n_rows,) of the positive class as float64.

    Raises:
        InputError: another length than y, not numeric, or a value outside [0, 1].
    """
    try:
        probability = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"probabilities must be numbers: {error}.") from error
    if probability.shape != (n_rows,):
        raise InputError(
            f"y has {n_rows:,} rows, but the probabilities have shape {probability.shape}; "
            "pass one probability of class 1 per row."
        )
    wrong = ~((probability >= 0) & (probability <= 1))
    if wrong.any():
        raise InputError(
            f"probabilities lie in [0, 1], but {rows_text(wrong)} hold {probability[wrong][0]:g}; "
            "pass predict_proba's column of class 1, not a score."
        )
    return probability
