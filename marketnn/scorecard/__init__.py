"""The scorecard: indices in dimensions, their weights, and the network that learns a score from them (paper A, section 3.1)."""

from marketnn.data.index_system import Index, IndexSystem
from marketnn.scorecard.weights import AhpWeights, ahp_weights, entropy_weights

__all__ = ["AhpWeights", "Index", "IndexSystem", "ahp_weights", "entropy_weights"]
