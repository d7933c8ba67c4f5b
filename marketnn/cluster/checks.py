"""What every clustering estimator checks before it computes: numbers, weights, enough distinct rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import _check_sample_weight, validate_data

from marketnn.errors import InputError, rows_text


def check_rows(X: Any, *, estimator: Any = None, reset: bool = True) -> np.ndarray:
    """Return X (n, d) as a C-ordered array: float32 stays float32, everything else becomes float64.

    Args:
        X: array or DataFrame of numbers.
        estimator: whose features X must have; fitting records their number and names there.
        reset: record (fit) or compare (predict).

    Raises:
        InputError: not a table of numbers, no rows, other features than were fitted, or NaN or infinite values.
        TypeError: sparse, or objects that are no numbers.
    """
    options: dict[str, Any] = {"dtype": [np.float64, np.float32], "order": "C", "ensure_all_finite": False}
    if estimator is None:
        X = _as_input_error(check_array, X, **options)
    else:
        X = _as_input_error(validate_data, estimator, X, reset=reset, **options)
    if not np.isfinite(X).all():
        bad = ~np.isfinite(X).all(axis=1)
        raise InputError(f"X has NaN or infinite values in {rows_text(bad)}; drop those rows or fill the values in.")
    return X


def check_weight(sample_weight: Any, X: np.ndarray) -> np.ndarray:
    """Return the rows' weights (n,) in X's dtype; ``None`` is 1 for each.

    Raises:
        InputError: not one finite, non-negative number per row, or all of them 0.
    """
    weight = _as_input_error(_check_sample_weight, sample_weight, X, dtype=X.dtype, ensure_non_negative=True)
    return np.require(weight, requirements="W")  # torch warns of arrays that it might write to but must not


def check_distinct(X: np.ndarray, n_clusters: int) -> None:
    """Refuse fewer distinct rows than clusters; the first few rows usually settle it.

    Raises:
        InputError: the message names both numbers.
    """
    if len(np.unique(X[: 4 * n_clusters], axis=0)) >= n_clusters:
        return
    n_distinct = len(np.unique(X, axis=0))
    if n_distinct < n_clusters:
        raise InputError(
            f"n_samples={len(X)} with only {n_distinct} distinct rows, but n_clusters={n_clusters}; "
            f"ask for {n_distinct} or fewer."
        )


def _as_input_error(check: Callable[..., np.ndarray], *args: Any, **options: Any) -> np.ndarray:
    try:
        return check(*args, **options)
    except ValueError as error:
        raise InputError(str(error)) from error
