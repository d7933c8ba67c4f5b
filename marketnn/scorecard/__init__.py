"""The scorecard: indices in dimensions, their weights, and the network that learns a score from them (paper A, section 3.1)."""

from marketnn.data.index_system import Index, IndexSystem
from marketnn.scorecard.measures import GRADES, LOWEST_GRADE, ScoreErrors, grades
from marketnn.scorecard.performance import ImprovementPlan, PerformanceModel
from marketnn.scorecard.score_function import ScoreFunction, learn_score
from marketnn.scorecard.sensitivity import right_share, score_slopes, sensitivities
from marketnn.scorecard.split import ThreeWaySplit, three_way_split, two_way_split
from marketnn.scorecard.training import MAX_SPECTRUM, Fit, fit_network, singular_values
from marketnn.scorecard.weights import AhpWeights, ahp_weights, composite_score, entropy_weights

__all__ = [
    "GRADES",
    "LOWEST_GRADE",
    "MAX_SPECTRUM",
    "AhpWeights",
    "Fit",
    "ImprovementPlan",
    "Index",
    "IndexSystem",
    "PerformanceModel",
    "ScoreErrors",
    "ScoreFunction",
    "ThreeWaySplit",
    "ahp_weights",
    "composite_score",
    "entropy_weights",
    "fit_network",
    "grades",
    "learn_score",
    "right_share",
    "score_slopes",
    "sensitivities",
    "singular_values",
    "three_way_split",
    "two_way_split",
]
