"""How good the chosen model is, and what it rests on: all of it on test rows, which taught it nothing.

Shapes: n test rows, d features.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from marketnn.classify import (
    bootstrap_intervals,
    calibration_table,
    gain_table,
    importance_table,
)
from marketnn.pipeline.recommend.model import RecommendModel
from marketnn.seed import child_seed, numpy_generator

N_SHOWN, N_SHUFFLED = 2000, 10_000


@dataclass(frozen=True)
class Evidence:
    """The chosen model on the test rows.

    Attributes:
        y: (n,) 1 for accepted.
        score, probability: (n,) before and after calibration.
        intervals: a row per measure: ``value, low, high``, by the bootstrap.
        gains: ``gain_table``'s, highest probability first.
        reliability_before, reliability: predicted against observed rates, before and after calibration.
        importance: a row per feature, the most important first: its share in training, and what shuffling it costs on at most
            10,000 rows.
        contributions: to the log odds of at most 2,000 rows, (rows, d + 1) with ``bias``; ``None`` where the classifier
            tells none.
        features: the encoded values of those rows.
    """

    y: np.ndarray
    score: np.ndarray
    probability: np.ndarray
    intervals: pd.DataFrame
    gains: pd.DataFrame
    reliability_before: pd.DataFrame
    reliability: pd.DataFrame
    importance: pd.DataFrame
    contributions: pd.DataFrame | None
    features: pd.DataFrame


def gather(model: RecommendModel, encoded: pd.DataFrame, y: np.ndarray, *, n_resamples: int, seed: int) -> Evidence:
    """Judge the model on rows that it has not seen.

    Args:
        model: fitted and calibrated.
        encoded: (n, d) the test rows.
        y: (n,) 1 for accepted.
        n_resamples: of the bootstrap.
        seed: of the bootstrap, of the shuffles, and of the rows that are shuffled and shown.
    """
    score = model.score(encoded)
    probability = model.calibrated(score)
    generator = numpy_generator(child_seed(seed, "rows"))
    order = generator.permutation(len(encoded))
    shown, shuffled = np.sort(order[:N_SHOWN]), np.sort(order[:N_SHUFFLED])
    return Evidence(
        y=y,
        score=score,
        probability=probability,
        intervals=bootstrap_intervals(
            y, probability, threshold=model.threshold, n_resamples=n_resamples, seed=child_seed(seed, "bootstrap")
        ),
        gains=gain_table(y, probability, n_resamples=n_resamples, seed=child_seed(seed, "gain")),
        reliability_before=calibration_table(y, score),
        reliability=calibration_table(y, probability),
        importance=importance_table(
            model.classifier, encoded.iloc[shuffled], y[shuffled], seed=child_seed(seed, "permutation")
        ),
        contributions=model.classifier.contributions(encoded.iloc[shown]),
        features=encoded.iloc[shown],
    )
