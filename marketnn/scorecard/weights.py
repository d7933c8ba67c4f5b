"""Weights of indices, from how much they tell apart (entropy) or from judgements of pairs (analytic hierarchy process)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from marketnn.data.index_scores import entropy_weights
from marketnn.errors import InputError

__all__ = ["AhpWeights", "ahp_weights", "composite_score", "entropy_weights"]

# Mean consistency index of random judgements by the number of indices (Saaty 1980, The Analytic Hierarchy Process).
RANDOM_INDEX = (0.0, 0.0, 0.58, 0.90, 1.12, 1.24, 1.32, 1.41, 1.45, 1.49)
CONSISTENT = 0.1
_RECIPROCAL = 1e-6
_SUM_TO_ONE = 1e-6


@dataclass(frozen=True)
class AhpWeights:
    """What judgements of pairs come to.

    Attributes:
        weights: (d,), sum 1: the principal eigenvector.
        eigenvalue: the greatest one, d where all judgements agree.
        consistency_index: ``(eigenvalue - d) / (d - 1)``; 0 for d < 3.
        consistency_ratio: that over the mean index of random judgements; up to 0.1 is taken as consistent.
    """

    weights: np.ndarray
    eigenvalue: float
    consistency_index: float
    consistency_ratio: float


def ahp_weights(judgements: Any, *, accept_inconsistent: bool = False) -> AhpWeights:
    """Weigh indices by judgements of pairs.

    Args:
        judgements: (d, d), d up to 10; the entry (i, j) says how many times as important i is as j, (j, i) its reciprocal.
        accept_inconsistent: return weights whatever the consistency ratio.

    Raises:
        InputError: not a square matrix of positive numbers, not reciprocal (the message names the pair), or a consistency ratio
            above 0.1.
    """
    a = np.asarray(judgements, dtype=float)
    if a.ndim != 2 or a.shape[0] != a.shape[1] or not 1 <= len(a) <= len(RANDOM_INDEX):
        raise InputError(
            f"judgements have shape {a.shape}; they must be square, with 1 to {len(RANDOM_INDEX)} indices."
        )
    if not (np.isfinite(a).all() and (a > 0).all()):
        row, column = np.argwhere(~(np.isfinite(a) & (a > 0)))[0]
        raise InputError(f"judgement ({row + 1}, {column + 1}) is {a[row, column]:g}; judgements are positive numbers.")
    away = np.abs(a * a.T - 1)
    if away.max() > _RECIPROCAL:
        row, column = np.unravel_index(away.argmax(), away.shape)
        raise InputError(
            f"judgements ({row + 1}, {column + 1}) = {a[row, column]:g} and ({column + 1}, {row + 1}) = {a[column, row]:g} are "
            f"not reciprocal; write {1 / a[row, column]:g} for the second."
        )
    values, vectors = np.linalg.eig(a)
    principal = int(values.real.argmax())
    weights = np.abs(vectors[:, principal].real)
    eigenvalue, d = float(values[principal].real), len(a)
    index = max(eigenvalue - d, 0.0) / (d - 1) if d > 2 else 0.0
    ratio = index / RANDOM_INDEX[d - 1] if d > 2 else 0.0
    if ratio > CONSISTENT and not accept_inconsistent:
        raise InputError(
            f"the judgements contradict each other: consistency ratio {ratio:.3f}, at most {CONSISTENT} is taken as consistent. "
            "Judge the pairs again, or pass accept_inconsistent=True."
        )
    return AhpWeights(weights / weights.sum(), eigenvalue, index, ratio)


def composite_score(quality: pd.DataFrame, weights: Mapping[str, float] | pd.Series) -> pd.Series:
    """Return the weighted mean quality (n,) of every row: the label where no expert has given one.

    Args:
        quality: (n, d) of ``IndexSystem.quality``.
        weights: code -> weight, from 0 on, sum 1.

    Raises:
        InputError: an index without a weight, a weight without an index, one that is negative or not finite, or another sum.
    """
    given = pd.Series(weights, dtype=float)
    apart = sorted(set(map(str, given.index)) ^ set(map(str, quality.columns)))
    if apart:
        side = "has no weight" if apart[0] in quality.columns else "has a weight but is no column"
        raise InputError(f"index {apart[0]} {side}; give every column one weight.")
    wrong = given[~(np.isfinite(given) & (given >= 0))]
    if len(wrong):
        raise InputError(f"the weight of {wrong.index[0]} is {wrong.iloc[0]:g}; weights are numbers from 0 on.")
    if abs(given.sum() - 1) > _SUM_TO_ONE:
        raise InputError(f"the weights sum to {given.sum():g}, not to 1; divide each by that sum.")
    return quality @ given[quality.columns]
