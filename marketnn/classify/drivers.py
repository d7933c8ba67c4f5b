"""Which features drive the outcome: a logistic fit that real tables survive, with everything it left out said aloud.

``fit_logistic`` refuses columns whose coefficients are not determined. Encoded tables are full of them ("no internet service"
stands in six columns), so here they are left out by a rule, one by one, each with its reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from marketnn.classify.collinearity import CollinearityError
from marketnn.classify.logistic import Correction, LogisticResult, fit_logistic, significant
from marketnn.classify.separation import SeparationError
from marketnn.errors import InputError


@dataclass(frozen=True)
class Drivers:
    """The outcome of ``fit_drivers``.

    Attributes:
        result: the fit on the columns that remain.
        kept: the features for what follows, in table order: the significant ones, or where there is none those with the
            smallest p.
        n_significant: how many are significant.
        left_out: column -> why it has no coefficient.
    """

    result: LogisticResult
    kept: list[str]
    n_significant: int
    left_out: Mapping[str, str]


def fit_drivers(
    X: pd.DataFrame,
    y: np.ndarray,
    *,
    level: float = 0.05,
    correction: Correction | None = None,
    fallback_features: int = 5,
) -> Drivers:
    """Fit a logistic regression and select its significant features (paper A, section 4.1).

    Of columns that depend linearly on each other the last in table order is left out. Columns that separate some rows
    (quasi-separation: a rare category without a single leaver) are left out too; a column that separates all rows is a
    leak of the outcome and an error.

    Args:
        X: (n, d) encoded features.
        y: (n,) 0/1.
        level, correction: as in ``significant``.
        fallback_features: how many features with the smallest p to keep when none is significant.

    Raises:
        SeparationError: the classes are separated completely.
        InputError: no column is left, or ``fallback_features`` is below 1.
    """
    if fallback_features < 1:
        raise InputError(f"fallback_features={fallback_features} must be at least 1.")
    left_out: dict[str, str] = {}
    order = list(X.columns)
    while True:
        columns = [name for name in order if name not in left_out]
        if not columns:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in list(left_out.items())[:2])
            raise InputError(f"no feature is left for the logistic analysis ({reasons}).")
        try:
            result = fit_logistic(X[columns], y)
            break
        except CollinearityError as error:
            for dependency in error.columns:
                if not dependency & set(left_out):
                    last = max(dependency, key=order.index)
                    left_out[last] = _dependence(sorted(dependency - {last}, key=order.index))
        except SeparationError as error:
            if error.kind == "complete" or not error.columns:
                raise
            left_out.update(dict.fromkeys(error.columns, "with it, some rows have an outcome that is certain"))
    kept = significant(result, level, correction)
    n_significant = len(kept)
    if not kept:
        by_p = result.table["p_value"].drop("const").sort_values(kind="stable").index[:fallback_features]
        kept = [name for name in result.table.index if name in by_p]
    return Drivers(result, kept, n_significant, left_out)


def _dependence(others: list[str]) -> str:
    if not others:
        return "the same in every training row"
    shown = ", ".join(others[:3]) + (", ..." if others[3:] else "")
    return f"follows from {shown}"
