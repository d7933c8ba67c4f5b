"""How far predicted scores are from the actual ones, and what a score is called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

LOWEST_GRADE = "poor"
GRADES = {"excellent": 0.85, "good": 0.70, "medium": 0.55, "pass": 0.40}  # grade -> least relative score


@dataclass(frozen=True)
class ScoreErrors:
    """Errors of predicted scores.

    Attributes:
        rmse: root of the mean squared error, in the score's unit.
        r2: share of the rows' variance that is explained; below 0 where their mean would do better.
        mae: mean absolute error, in the score's unit.
    """

    rmse: float
    r2: float
    mae: float

    @classmethod
    def of(cls, score: np.ndarray, predicted: np.ndarray) -> ScoreErrors:
        """Compare scores (n,) with predictions (n,), at least two rows."""
        return cls(
            rmse=float(root_mean_squared_error(score, predicted)),
            r2=float(r2_score(score, predicted)),
            mae=float(mean_absolute_error(score, predicted)),
        )

    def as_metrics(self, suffix: str = "") -> dict[str, float]:
        """Name the numbers for ``metrics.json``: ``rmse``, or ``rmse_linear`` with the suffix ``_linear``."""
        return {name + suffix: value for name, value in asdict(self).items()}


def grades(relative: np.ndarray, thresholds: Mapping[str, float]) -> np.ndarray:
    """Return the grade (n,) of relative scores, 0 the bottom of the scale and 1 its top.

    Args:
        relative: (n,).
        thresholds: grade -> the least relative score that earns it; what earns none is ``poor``.
    """
    ascending = sorted(thresholds, key=thresholds.__getitem__)
    names = np.array([LOWEST_GRADE, *ascending])
    return names[np.searchsorted([thresholds[name] for name in ascending], relative, side="right")]
