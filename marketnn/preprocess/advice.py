"""Which scaling suits a table (paper B, section II.A): z-scores where the extremes are outliers, min-max otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from marketnn.preprocess.scaling import read_matrix

FAR = 3.0  # interquartile ranges beyond a quartile: Tukey's "far out"


@dataclass(frozen=True)
class ScalerAdvice:
    """What to scale a table by.

    Attributes:
        scaler: ``standard`` where some feature's extremes are outliers, otherwise ``minmax``.
        reason: in a sentence.
        table: by feature: ``lower``, ``upper`` (the extremes), ``lower_fence``, ``upper_fence`` (three interquartile ranges
            beyond the quartiles) and ``outliers``, the rows beyond a fence.
    """

    scaler: Literal["standard", "minmax"]
    reason: str
    table: pd.DataFrame


def advise_scaler(x: Any) -> ScalerAdvice:
    """Say which scaler a table asks for.

    A feature's extremes set the whole scale of min-max; where they are outliers, all other rows crowd at one end. A feature
    with an interquartile range of 0, such as a rare flag, has no fences.

    Args:
        x: (n, d) numbers, a DataFrame or an array.

    Raises:
        InputError: not a table of finite numbers.
    """
    x_nd, names = read_matrix(x)
    values = x_nd.double().numpy()
    low, high = np.quantile(values, [0.25, 0.75], axis=0)
    reach = np.where(high > low, FAR * (high - low), np.inf)
    beyond = (values < low - reach) | (values > high + reach)
    table = pd.DataFrame(
        {
            "lower": values.min(axis=0),
            "upper": values.max(axis=0),
            "lower_fence": low - reach,
            "upper_fence": high + reach,
            "outliers": beyond.sum(axis=0),
        },
        index=pd.Index(names, name="feature"),
    )
    worst = table["outliers"].idxmax()
    if table.at[worst, "outliers"]:
        count = int(table.at[worst, "outliers"])
        reason = f"{count:,} of {len(values):,} values of {worst} are outliers, which would set min-max's scale."
        return ScalerAdvice("standard", reason, table)
    return ScalerAdvice("minmax", "No feature's extremes are outliers.", table)
