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
        significant: the features kept for what follows, in table order.
        fell_back: whether none had a small enough p, so that those with the smallest stand in.
        left_out: column -> why it has no coefficient.
    """

    result: LogisticResult
    significant: list[str]
    fell_back: bool
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
        InputError: no column is left.
    """
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
            if error.kind == "complete":
                raise
            left_out.update(dict.fromkeys(error.columns, "some of its values have one outcome only"))
    kept = significant(result, level, correction)
    fell_back = not kept
    if fell_back:
        by_p = result.table["p_value"].drop("const").sort_values(kind="stable").index[:fallback_features]
        kept = [name for name in result.table.index if name in by_p]
    return Drivers(result, kept, fell_back, left_out)


def _dependence(others: list[str]) -> str:
    if not others:
        return "the same in every training row"
    shown = ", ".join(others[:3]) + (", ..." if others[3:] else "")
    return f"follows from {shown}"
