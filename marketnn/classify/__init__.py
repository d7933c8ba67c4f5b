"""Classification: logistic inference, classifiers compared, and how good probabilities are."""

from marketnn.classify.actions import ExpectedProfit, expected_profit_action
from marketnn.classify.calibration import Calibration, fit_calibration
from marketnn.classify.collinearity import CollinearityError
from marketnn.classify.comparison import Comparison, compare_classifiers
from marketnn.classify.consistency import Finding, audit
from marketnn.classify.evaluation import (
    calibration_table,
    confusion_report,
    ranking_report,
    reach_precision,
    threshold_curve,
)
from marketnn.classify.gains import gain_table
from marketnn.classify.importance import importance_table, permutation_importance
from marketnn.classify.intervals import bootstrap_intervals
from marketnn.classify.leakage import LeakageReport, leakage_report, single_feature_auc
from marketnn.classify.logistic import LogisticResult, fit_logistic, significant
from marketnn.classify.policy import PolicyValue, policy_value
from marketnn.classify.separation import SeparationError
from marketnn.classify.tiers import RecommendationTiers, channel_saving, hit_rates, recommendation_tier

__all__ = [
    "Calibration",
    "CollinearityError",
    "Comparison",
    "ExpectedProfit",
    "Finding",
    "LeakageReport",
    "LogisticResult",
    "PolicyValue",
    "RecommendationTiers",
    "SeparationError",
    "audit",
    "bootstrap_intervals",
    "calibration_table",
    "channel_saving",
    "compare_classifiers",
    "confusion_report",
    "expected_profit_action",
    "fit_calibration",
    "fit_logistic",
    "gain_table",
    "hit_rates",
    "importance_table",
    "leakage_report",
    "permutation_importance",
    "policy_value",
    "ranking_report",
    "reach_precision",
    "recommendation_tier",
    "significant",
    "single_feature_auc",
    "threshold_curve",
]
