"""Gain and lift: what contacting the likeliest rows first finds (paper A, figure 4.5's use)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from marketnn.classify.labels import Vector, binary_labels, probabilities
from marketnn.errors import InputError
from marketnn.seed import numpy_generator


def gain_table(
    y: Vector,
    probability: Vector,
    *,
    n_bins: int = 10,
    n_resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Cut rows, highest probability first, into groups of equal size and count the positives.

    Rows of equal probability stand in the order in which they came. The lift's interval is the bootstrap's, positives and rows
    of a group drawn again.

    Args:
        y: (n,) 0/1, both.
        probability: (n,) of class 1.
        n_bins: groups, at most n.
        n_resamples, level, seed: of the bootstrap.

    Returns:
        A row per group: ``group`` (1 the likeliest), ``rows``, ``positives``, ``rate``, ``share`` of all rows so far, ``gain``
        (share of all positives so far), ``lift`` (rate over the overall rate), ``lift_low``, ``lift_high``.

    Raises:
        InputError: labels other than 0 and 1, one class, probabilities outside [0, 1], or a number out of range.
    """
    labels = binary_labels(y)
    p = probabilities(probability, labels.size)
    if not 1 <= n_bins <= len(p) or n_resamples < 1 or not 0 < level < 1:
        raise InputError(
            f"n_bins={n_bins} must be 1 to {len(p)}, n_resamples={n_resamples} at least 1 and level={level:g} between 0 and 1."
        )
    order = np.argsort(-p, kind="stable")
    edge = np.round(np.arange(n_bins + 1) * len(p) / n_bins).astype(int)
    positives = np.add.reduceat(labels[order], edge[:-1])
    rows = np.diff(edge)
    rate, overall = positives / rows, labels.mean()
    # Drawing n rows again draws each group's rows and positives from a multinomial law.
    cells = np.concatenate([positives, rows - positives])
    drawn = numpy_generator(seed).multinomial(len(p), cells / len(p), size=n_resamples)
    hits, misses = drawn[:, :n_bins], drawn[:, n_bins:]
    with np.errstate(divide="ignore", invalid="ignore"):
        lift = hits / (hits + misses) / (hits.sum(axis=1, keepdims=True) / len(p))
    low, high = np.nanquantile(lift, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return pd.DataFrame(
        {
            "group": np.arange(1, n_bins + 1),
            "rows": rows,
            "positives": positives,
            "rate": rate,
            "share": edge[1:] / len(p),
            "gain": np.cumsum(positives) / positives.sum(),
            "lift": rate / overall,
            "lift_low": low,
            "lift_high": high,
        }
    )
