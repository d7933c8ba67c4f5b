"""Made-up units with 24 indices in five dimensions and a score whose noise is known, so that the best possible R² is too.

The paper's own indices and scores are lost. These have its form: a unit's indices share a general and a dimension's quality;
the score is their entropy-weighted mean, two synergies between dimensions, and normal noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, xlogy

from marketnn.seed import numpy_generator

DIMENSIONS = {"FIN": "++--+", "CUS": "+++-+", "PRO": "-+++-", "LRN": "++++-", "PAR": "++--"}
INDICES = tuple(f"{name}{place}" for name, signs in DIMENSIONS.items() for place in range(1, len(signs) + 1))
DIRECTION = np.array([1 if sign == "+" else -1 for signs in DIMENSIONS.values() for sign in signs])
SYNERGIES = (("FIN5", "CUS2"), ("PRO2", "PAR1"))
SYNERGY = 0.3
GENERAL, SHARED = 0.3, 0.2  # shares of an index's variance that come from the unit's and the dimension's quality
NOISE = 0.02


@dataclass(frozen=True)
class ScorecardSample:
    """Units and their scores.

    Attributes:
        indices: (n, 24) in [0, 100]; of those with direction -1 less is better.
        truth: (n,) the score without noise, in [0, 1].
        score: (n,) with noise, clipped to [0, 1].
        ceiling: R² of the truth against the score, which no model can beat but by chance.
    """

    indices: np.ndarray
    truth: np.ndarray
    score: np.ndarray
    ceiling: float


def scorecard_sample(n: int, seed: int, noise: float = NOISE) -> ScorecardSample:
    """Draw ``n`` units; ``noise`` is the standard deviation of the score around the truth."""
    rng = numpy_generator(seed)
    general = rng.standard_normal((n, 1))
    shared = rng.standard_normal((n, len(DIMENSIONS)))
    own = rng.standard_normal((n, len(INDICES)))
    dimension = np.repeat(np.arange(len(DIMENSIONS)), [len(signs) for signs in DIMENSIONS.values()])
    quality = ndtr(
        np.sqrt(GENERAL) * general + np.sqrt(SHARED) * shared[:, dimension] + np.sqrt(1 - GENERAL - SHARED) * own
    )
    place = {name: column for column, name in enumerate(INDICES)}
    synergy = sum(quality[:, place[a]] * quality[:, place[b]] for a, b in SYNERGIES)
    truth = (quality @ entropy_weights(quality) + SYNERGY * synergy) / (1 + SYNERGY * len(SYNERGIES))
    score = np.clip(truth + noise * rng.standard_normal(n), 0, 1)
    indices = 100 * np.where(DIRECTION > 0, quality, 1 - quality)
    ceiling = 1 - float(np.mean((score - truth) ** 2) / np.var(score))
    return ScorecardSample(indices, truth, score, ceiling)


def entropy_weights(benefit: np.ndarray) -> np.ndarray:
    """Return the weight (d,) of each index: the less even its values are among the units, the more it tells.

    Args:
        benefit: (n, d), not negative, more is better.
    """
    share = benefit / benefit.sum(axis=0)
    divergence = 1 + xlogy(share, share).sum(axis=0) / np.log(len(benefit))
    return divergence / divergence.sum()
