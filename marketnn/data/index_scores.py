"""Made-up units with the indices of a scorecard and a score whose noise is known, so that the best possible R² is too.

The paper's own indices and scores are lost. These have its form: a unit's indices share a general and a dimension's quality;
the score is their entropy-weighted mean, two synergies between dimensions, and normal noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy.special import ndtr, xlogy

from marketnn.data.index_system import IndexSystem
from marketnn.data.table import Raw, Table, TableOptions, assemble
from marketnn.errors import InputError
from marketnn.seed import numpy_generator

Variant = Literal["default", "green"]

SYNERGIES = (
    ("FIN5", "CUS2"),
    ("PRO2", 0),
)  # pairs of indices that help each other; 0 is the first of the fifth dimension
SYNERGY = 0.3
GENERAL, SHARED = 0.3, 0.2  # shares of an index's variance that come from the unit's and the dimension's quality
NOISE = 0.02


@dataclass(frozen=True, kw_only=True)
class Config(TableOptions):
    """Made-up units with 24 indices in their units, and a ``score`` between 0 and 1.

    Attributes:
        n: units.
        system: ``default`` or ``green``, the fifth dimension.
        noise: standard deviation of the score about what the indices say.
        draw: a whole number; the same one, the same units.
    """

    n: int = 1000
    system: Variant = "default"
    noise: float = NOISE
    draw: int = 0


@dataclass(frozen=True)
class IndexScores:
    """Units and their scores.

    Attributes:
        system: what the indices are.
        indices: (n, 24) in their units, codes as columns.
        truth: (n,) the score without noise, in [0, 1].
        score: (n,) with noise, clipped to [0, 1].
        ceiling: R² of the truth against the score, which no model can beat but by chance.
    """

    system: IndexSystem
    indices: pd.DataFrame
    truth: np.ndarray
    score: np.ndarray
    ceiling: float


def read(config: Config) -> Raw:
    """Draw the units.

    Raises:
        InputError: a number is out of range.
    """
    drawn = draw_index_scores(config.n, config.system, noise=config.noise, seed=config.draw)
    note = f"Made-up units; no model can explain more than {drawn.ceiling:.2%} of their scores' variance, the rest is noise."
    return Raw(drawn.indices.assign(score=drawn.score), config, f"{config.n:,} made-up units", (note,))


def build(config: Config) -> Table:
    """Draw the units into a table.

    Raises:
        InputError: as ``read`` and ``assemble``.
    """
    return assemble(read(config))


def draw_index_scores(n: int, system: str = "default", *, noise: float = NOISE, seed: int = 0) -> IndexScores:
    """Draw ``n`` units with the indices of a system of five dimensions.

    Raises:
        InputError: a number is out of range, or the system lacks an index that the synergies name.
    """
    if n < 2 or seed < 0 or not noise >= 0:
        raise InputError(f"n={n} must be at least 2, draw={seed} at least 0 and noise={noise} not negative.")
    indices = IndexSystem.load(system)
    rng = numpy_generator(seed)
    codes, dimensions = indices.codes, list(indices.dimensions.values())
    general = rng.standard_normal((n, 1))
    shared = rng.standard_normal((n, len(dimensions)))
    own = rng.standard_normal((n, len(codes)))
    dimension = np.repeat(np.arange(len(dimensions)), [len(members) for members in dimensions])
    quality = ndtr(
        np.sqrt(GENERAL) * general + np.sqrt(SHARED) * shared[:, dimension] + np.sqrt(1 - GENERAL - SHARED) * own
    )
    place = {code: column for column, code in enumerate(codes)}
    pairs = [(first, dimensions[4][second] if isinstance(second, int) else second) for first, second in SYNERGIES]
    synergy = sum(quality[:, place[first]] * quality[:, place[second]] for first, second in pairs)
    truth = (quality @ entropy_weights(quality) + SYNERGY * synergy) / (1 + SYNERGY * len(pairs))
    score = np.clip(truth + noise * rng.standard_normal(n), 0, 1)
    low, high = (np.array([getattr(index, end) for index in indices.indices]) for end in ("low", "high"))
    share = np.where(indices.signs.to_numpy() < 0, 1 - quality, quality)
    frame = pd.DataFrame(low + (high - low) * share, columns=codes)
    return IndexScores(indices, frame, truth, score, 1 - float(np.mean((score - truth) ** 2) / np.var(score)))


def entropy_weights(benefit: np.ndarray) -> np.ndarray:
    """Return the weight (d,) of each index: the less even its values are among the units, the more it tells.

    Args:
        benefit: (n, d), not negative, more is better.

    Raises:
        InputError: a value is negative or not finite, an index is 0 in all units, there are fewer than two units, or all
            indices are even.
    """
    benefit = np.asarray(benefit, dtype=float)
    if benefit.ndim != 2 or len(benefit) < 2 or not np.isfinite(benefit).all() or (benefit < 0).any():
        raise InputError("entropy weights need a table of at least two units, of finite numbers from 0 on.")
    total = benefit.sum(axis=0)
    if (total == 0).any():
        raise InputError(f"index number {int(np.argmin(total)) + 1} is 0 in all units; leave it out.")
    share = benefit / total
    divergence = np.maximum(1 + xlogy(share, share).sum(axis=0) / np.log(len(benefit)), 0.0)
    if divergence.sum() == 0:
        raise InputError("all indices are the same in all units: none tells more than another.")
    return divergence / divergence.sum()
