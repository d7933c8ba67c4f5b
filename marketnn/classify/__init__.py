"""Classification: logistic inference, and how good probabilities are."""

from marketnn.classify.collinearity import CollinearityError
from marketnn.classify.evaluation import (
    calibration_table,
    confusion_report,
    ranking_report,
    reach_precision,
    threshold_curve,
)
from marketnn.classify.logistic import LogisticResult, fit_logistic, significant
from marketnn.classify.separation import SeparationError

__all__ = [
    "CollinearityError",
    "LogisticResult",
    "SeparationError",
    "calibration_table",
    "confusion_report",
    "fit_logistic",
    "ranking_report",
    "reach_precision",
    "significant",
    "threshold_curve",
]
