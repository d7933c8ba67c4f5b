"""Samples whose columns are distributed as the whole table's (paper B, section II.B, step 1).

A draw is accepted when every column's two-sample Kolmogorov-Smirnov distance to the whole table is small enough.
"""

from __future__ import annotations

import math

import numpy as np

CRITICAL = 1.36  # of the Kolmogorov distribution at 5 %


def representative_sample(
    x: np.ndarray, ordered: np.ndarray, size: int, *, limit: float | None, max_draws: int, rng: np.random.Generator
) -> tuple[np.ndarray, float]:
    """Draw rows without replacement until their distribution is near the table's; the nearest draw if none is near enough.

    Args:
        x: (n, d) the table.
        ordered: (n, d) its columns, each in ascending order.
        size: rows per sample, at most n.
        limit: on the columns' largest distance; ``None`` is ``1.36 / sqrt(size)``, the 5 % point for one column.
        max_draws: draws at most.
        rng: of the draws.

    Returns:
        Row numbers (size,) and their distance.
    """
    limit = CRITICAL / math.sqrt(size) if limit is None else limit
    best, best_distance = np.arange(0), math.inf
    for _ in range(max_draws):
        rows = rng.choice(len(x), size=size, replace=False)
        distance = max(ks_distance(column, part) for column, part in zip(ordered.T, x[rows].T, strict=True))
        if distance < best_distance:
            best, best_distance = rows, distance
        if best_distance <= limit:
            break
    return best, best_distance


def ks_distance(ordered: np.ndarray, sample: np.ndarray) -> float:
    """Return the largest difference between the distribution functions of a column and of some of its values.

    Between two sampled values only the column's own function rises, so it suffices to look at and just before each of them.

    Args:
        ordered: (n,) the column, ascending.
        sample: (m,) values drawn from it.
    """
    value, count = np.unique(sample, return_counts=True)
    reached = np.cumsum(count) / len(sample)
    before = reached - count / len(sample)
    at = np.searchsorted(ordered, value, side="right") / len(ordered)
    just_before = np.searchsorted(ordered, value, side="left") / len(ordered)
    return float(max(np.abs(reached - at).max(), np.abs(before - just_before).max()))
