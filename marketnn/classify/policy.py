"""What a policy of recommending would have brought, told from offers that were made by chance.

AUC says nothing of that: a model can rank who accepts and still recommend to everybody the same, or the wrong, offer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm

from marketnn.classify.labels import Vector
from marketnn.errors import InputError, rows_text

AS_OFFERED = "as offered"
MATCHING = "recommended, by matching"
WEIGHTED = "recommended, by inverse propensity"
NORMALISED = "recommended, by inverse propensity, normalised"


@dataclass(frozen=True)
class PolicyValue:
    """Mean value per customer under several policies.

    Attributes:
        table: a row per policy: ``policy, value, std_error, low, high, rows`` (the rows it is told from): the recommended offer
            by three estimators, each offer to everybody, and what was done.
        best_single: the offer that is worth most made to everybody.
        n_matched: rows that were made the recommended offer.
    """

    table: pd.DataFrame
    best_single: str
    n_matched: int


def policy_value(
    offered: Vector, value: Vector, recommended: Vector, *, propensity: Vector | None = None, level: float = 0.95
) -> PolicyValue:
    """Estimate what recommending would have brought, where the offer was drawn by chance.

    Matching averages the rows that happened to be made the recommended offer; it is sound where every customer had the same
    chances. Weighting by the inverse of the chance of the offer made is sound for any known chances.

    Args:
        offered: (n,) the offer made.
        value: (n,) what came of it: 0/1, or the revenue.
        recommended: (n,) the policy's offer.
        propensity: (n,) chance with which the row was made the offer that it was made; by default each offer's share of rows.
        level: of the intervals, by the normal law.

    Raises:
        InputError: unequal lengths, values that are not finite, a propensity outside (0, 1], one offer only, or no row that was
            made the recommended offer.
    """
    made, chosen = np.asarray(offered, dtype=object), np.asarray(recommended, dtype=object)
    y = np.asarray(value, dtype=float)
    if not (made.shape == chosen.shape == y.shape and y.ndim == 1 and len(y)):
        raise InputError(
            f"offered {made.shape}, value {y.shape} and recommended {chosen.shape} must be one for each row."
        )
    if not np.isfinite(y).all():
        raise InputError(f"value is {y[~np.isfinite(y)][0]} in {rows_text(~np.isfinite(y))}; drop these rows.")
    shares = pd.Series(made).value_counts(normalize=True).sort_index()
    if len(shares) < 2:
        raise InputError(f"every row was made the offer '{made[0]}'; a policy needs two offers to choose from.")
    chance = shares[made].to_numpy() if propensity is None else np.asarray(propensity, dtype=float)
    wrong = ~((chance > 0) & (chance <= 1)) if chance.shape == y.shape else np.ones(1, dtype=bool)
    if wrong.any():
        raise InputError(
            "propensity must be one number above 0 and at most 1 for each row: no offer can be weighed that nobody got."
        )
    match = made == chosen
    if not match.any():
        raise InputError("no row was made the offer that is recommended for it; nothing can be told of the policy.")
    rows = [
        (MATCHING, *_mean(y[match]), int(match.sum())),
        (WEIGHTED, *_mean(match * y / chance), len(y)),
        (NORMALISED, *_normalised(y, match / chance), int(match.sum())),
        *(
            (f"{offer} to everybody", *_normalised(y, (made == offer) / chance), int((made == offer).sum()))
            for offer in shares.index
        ),
        (AS_OFFERED, *_mean(y), len(y)),
    ]
    table = pd.DataFrame(rows, columns=["policy", "value", "std_error", "rows"])
    reach = norm.ppf((1 + level) / 2) * table["std_error"]
    table.insert(3, "low", table["value"] - reach)
    table.insert(4, "high", table["value"] + reach)
    singles = table.iloc[3:-1]
    return PolicyValue(table, str(shares.index[int(np.argmax(singles["value"]))]), int(match.sum()))


def _mean(values: np.ndarray) -> tuple[float, float]:
    """Return the mean and its standard error; of a single row that is unknown and infinite."""
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.inf
    return float(values.mean()), float(error)


def _normalised(y: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Return the weighted mean and the standard error of that ratio."""
    total = weight.sum()
    mean = float((weight * y).sum() / total)
    return mean, float(np.sqrt(((weight * (y - mean)) ** 2).sum()) / total)
