"""Calibration: from a classifier's scores to probabilities that mean what they say, learnt on rows of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from marketnn.classify.labels import Vector, binary_labels, probabilities
from marketnn.errors import InputError

Method = Literal["isotonic", "platt"]
_EDGE = 1e-12  # scores of 0 and 1 have no log odds


@dataclass(frozen=True)
class Calibration:
    """A rising function of the score.

    Attributes:
        method: ``isotonic`` or ``platt``.
        points: of the isotonic steps, (2, m): scores, ascending, and probabilities, between which lines are drawn; for ``platt``
            intercept and slope of the log odds, (2, 1).
    """

    method: Method
    points: np.ndarray

    def apply(self, score: Vector) -> np.ndarray:
        """Return the calibrated probability (n,) of scores in [0, 1].

        Raises:
            InputError: a score outside [0, 1].
        """
        values = np.asarray(score, dtype=float)
        p = probabilities(values, len(values))
        if self.method == "isotonic":
            return np.interp(p, self.points[0], self.points[1])
        intercept, slope = self.points[:, 0]
        return expit(intercept + slope * logit(p.clip(_EDGE, 1 - _EDGE)))

    def saved(self) -> dict[str, Any]:
        """Return the calibration as JSON values."""
        return {"method": self.method, "points": self.points.tolist()}

    @classmethod
    def restored(cls, saved: Mapping[str, Any]) -> Calibration:
        """Rebuild a calibration from ``saved()``.

        Raises:
            InputError: the values are damaged.
        """
        try:
            method, points = saved["method"], np.asarray(saved["points"], dtype=float)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"the saved calibration is damaged ({error!r}).") from error
        fits = points.ndim == 2 and len(points) == 2 and points.shape[1] > 0 and np.isfinite(points).all()
        if method not in ("isotonic", "platt") or not fits or (method == "isotonic" and (np.diff(points) < 0).any()):
            raise InputError("the saved calibration is damaged: its points are no rising line.")
        return cls(method, points)


def fit_calibration(y: Vector, score: Vector, *, method: Method = "isotonic") -> Calibration:
    """Learn a calibration from rows that neither train nor test the classifier.

    Args:
        y: (n,) 0/1, both.
        score: (n,) in [0, 1].
        method: ``isotonic`` (any rising steps, wants a thousand rows or so) or ``platt`` (logistic on the log odds).

    Raises:
        InputError: an unknown method, one class, labels other than 0 and 1, or scores outside [0, 1].
    """
    labels = binary_labels(y)
    p = probabilities(score, labels.size)
    if method == "isotonic":
        steps = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(p, labels)
        return Calibration(method, np.array([steps.X_thresholds_, steps.y_thresholds_]))
    if method == "platt":
        odds = logit(p.clip(_EDGE, 1 - _EDGE))[:, None]
        line = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(odds, labels)
        return Calibration(method, np.array([line.intercept_, line.coef_[0]]))
    raise InputError(f"method={method} is not possible; choose isotonic or platt.")
