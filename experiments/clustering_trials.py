"""The clustering algorithms of paper A on equal terms: the same scaled rows, the same number of clusters, many seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from marketnn.data.points import draw_points
from marketnn.pipeline.segment.clustering import Clustering, cluster
from marketnn.preprocess import MinMaxScaler

NEAR = 1e-3  # a total error so near to the best one counts as the best

Trials = Mapping[str, list[Clustering]]


def scaled_points(settings: Mapping[str, Any]) -> np.ndarray:
    """Draw points by the keys ``n, dimensions, groups, separation, draw`` and scale them by eq. 2.8."""
    x, _ = draw_points(
        settings["n"],
        settings["dimensions"],
        settings.get("groups", 0),
        settings.get("separation", 0.0),
        seed=settings["draw"],
    )
    return MinMaxScaler().fit_transform(x)


def run_trials(
    x: np.ndarray, algorithms: Mapping[str, Mapping[str, Any]], n_clusters: int, seeds: Iterable[int]
) -> Trials:
    """Cluster the same rows with every algorithm, once per seed.

    Args:
        x: (n, d) scaled.
        algorithms: what it is called -> ``name`` and settings of the algorithm.
        n_clusters: k.
        seeds: one per run.
    """
    seeds = list(seeds)
    return {
        called: [cluster(x, settings, n_clusters, device="cpu", seed=seed, silhouette_rows=0) for seed in seeds]
        for called, settings in algorithms.items()
    }


def summary(trials: Trials) -> pd.DataFrame:
    """Describe the total errors and the rounds of each algorithm: a row per algorithm."""
    best = min(trial.total_error for runs in trials.values() for trial in runs)
    rows = {}
    for called, runs in trials.items():
        errors = np.array([trial.total_error for trial in runs])
        rounds = np.array([trial.n_rounds for trial in runs])
        rows[called] = {
            "mean": errors.mean(),
            "sd": errors.std(),
            "least": errors.min(),
            "greatest": errors.max(),
            "variation": errors.std() / errors.mean(),
            "share_at_best": (errors <= best * (1 + NEAR)).mean(),
            "rounds": rounds.mean(),
            "rounds_q1": np.quantile(rounds, 0.25),
            "rounds_q3": np.quantile(rounds, 0.75),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("algorithm")
