"""Intervals for the measures of a classifier, by drawing its test rows again and again.

Shapes: n rows in u distinct probabilities, B resamples.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from marketnn.classify.evaluation import confusion_report, ranking_report
from marketnn.classify.labels import Vector, binary_labels, probabilities
from marketnn.errors import InputError
from marketnn.seed import numpy_generator

MEASURES = ("auc", "average_precision", "accuracy", "precision", "recall", "f1", "balanced_accuracy", "brier")
_BLOCK = 4_000_000  # counts held at a time


def bootstrap_intervals(
    y: Vector,
    probability: Vector,
    *,
    threshold: float = 0.5,
    n_resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Measure a classifier, with percentile intervals of the bootstrap.

    A resample without a positive or without a negative row has no ranking and is left out of the intervals.

    Args:
        y: (n,) 0/1, both.
        probability: (n,) of class 1.
        threshold: rows with at least this probability count as 1.
        n_resamples: B.
        level: of the intervals, between 0 and 1.
        seed: of the draws.

    Returns:
        A row per measure of ``MEASURES``: ``value, low, high``.

    Raises:
        InputError: labels other than 0 and 1, one class, probabilities outside [0, 1], or a number out of range.
    """
    labels = binary_labels(y)
    p = probabilities(probability, labels.size)
    if n_resamples < 1 or not 0 < level < 1:
        raise InputError(f"n_resamples={n_resamples} must be at least 1 and level={level:g} between 0 and 1.")
    order = np.argsort(-p, kind="stable")
    p, labels = p[order], labels[order]
    rng = numpy_generator(seed)
    size = max(1, _BLOCK // len(p))
    drawn = [
        _measures(p, labels, _draws(rng, len(p), min(size, n_resamples - start)), threshold)
        for start in range(0, n_resamples, size)
    ]
    resampled = np.concatenate(drawn, axis=1)
    low, high = np.nanquantile(resampled, [(1 - level) / 2, (1 + level) / 2], axis=1)
    exact = {**confusion_report(labels, p, threshold).as_metrics(), **ranking_report(labels, p).as_metrics()}
    return pd.DataFrame({"value": [exact[name] for name in MEASURES], "low": low, "high": high}, index=list(MEASURES))


def _draws(rng: np.random.Generator, n: int, n_resamples: int) -> np.ndarray:
    """Count how often each row is in each resample (B, n)."""
    return np.stack([np.bincount(rng.integers(n, size=n), minlength=n) for _ in range(n_resamples)])


def _measures(p: np.ndarray, labels: np.ndarray, count_bn: np.ndarray, threshold: float) -> np.ndarray:
    """Return the measures (measures, B) of rows weighted by counts; rows stand by falling probability."""
    n = count_bn.sum(axis=1)
    start_u = np.flatnonzero(np.concatenate([[True], np.diff(p) != 0]))
    positive_bu = np.add.reduceat(count_bn * labels, start_u, axis=1)
    negative_bu = np.add.reduceat(count_bn * (1 - labels), start_u, axis=1)
    above_bu = np.cumsum(positive_bu, axis=1)
    wrong_bu = np.cumsum(negative_bu, axis=1)
    positives, negatives = above_bu[:, -1], wrong_bu[:, -1]
    with np.errstate(divide="ignore", invalid="ignore"):
        # A negative row is below the positives that come before it, and ties count half.
        auc = ((above_bu - positive_bu / 2) * negative_bu).sum(axis=1) / (positives * negatives)
        precision_bu = above_bu / (above_bu + wrong_bu)
        average_precision = np.nansum(precision_bu * positive_bu, axis=1) / positives
        selected = int((p[start_u] >= threshold).sum())
        tp = above_bu[:, selected - 1] if selected else np.zeros_like(positives)
        fp = wrong_bu[:, selected - 1] if selected else np.zeros_like(negatives)
        tn = negatives - fp
        precision = np.where(tp + fp > 0, tp / (tp + fp), 0.0)
        recall = tp / positives
        f1 = np.where(tp > 0, 2 * tp / (positives + tp + fp), 0.0)
        balanced = (recall + tn / negatives) / 2
    brier = (count_bn * (p - labels) ** 2).sum(axis=1) / n
    measures = np.array([auc, average_precision, (tp + tn) / n, precision, recall, f1, balanced, brier])
    measures[:, (positives == 0) | (negatives == 0)] = np.nan
    return measures
