"""Fitness scores: each customer's probability of an order with each project (the P of paper B, eq. 4-13).

An outcome column is learnt by the LMBP network, one network per column; a propensity column is taken as it is. A project whose
basis is the segment gets the segment's mean of either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import brier_score_loss, roc_auc_score

from marketnn import registry
from marketnn.data.projects import Project
from marketnn.errors import InputError
from marketnn.pipeline.omnichannel.config import Config
from marketnn.pipeline.omnichannel.outcomes import Outcome
from marketnn.pipeline.parts import Parts
from marketnn.preprocess import MinMaxScaler
from marketnn.scorecard import ScoreFunction, ThreeWaySplit, learn_score, three_way_split
from marketnn.seed import child_seed


@dataclass(frozen=True)
class Scorer:
    """A learnt column.

    Attributes:
        function: from the chosen columns to the probability.
        history: losses by epoch.
        best_epoch: the epoch whose weights were kept.
        quality: of the test customers: auc, brier, rate_brier (of the mean rate for everybody), n_test, positives.
        actual, predicted: of the test customers.
    """

    function: ScoreFunction
    history: dict[str, list[float]]
    best_epoch: int
    quality: dict[str, float]
    actual: np.ndarray
    predicted: np.ndarray


@dataclass(frozen=True)
class Fitness:
    """Scores of all customers.

    Attributes:
        probability: (n, J).
        scorers: column -> what was learnt from it.
        rates: (J, k) the segments' means that a project by segment uses; NaN in the rows of the others.
        split: who taught, stopped and tested; ``None`` where nothing was learnt.
    """

    probability: np.ndarray
    scorers: dict[str, Scorer]
    rates: np.ndarray
    split: ThreeWaySplit | None


def score_key(project: Project) -> str:
    """Name what a project's scores come from: its column, and from where on that is an order."""
    return project.column if project.above is None else f"{project.column} above {project.above:g}"


def fitness(
    chosen: pd.DataFrame,
    labels: np.ndarray,
    n_segments: int,
    projects: Sequence[Project],
    outcomes: Sequence[Outcome],
    config: Config,
    parts: Parts,
    source: str,
) -> Fitness:
    """Score every customer for every project.

    Args:
        chosen: (n, d) encoded features.
        labels: (n,) segments.
        n_segments: k, of which some may be empty.
        projects: J.
        outcomes: of their columns.
        config: training.
        parts: network, optimiser, device, seed.
        source: for messages.

    Raises:
        InputError: too few customers, a network whose output leaves [0, 1], or as the training.
    """
    scorers: dict[str, Scorer] = {}
    split = None
    if any(outcome.learnt for outcome in outcomes):
        split = _split(chosen, config, parts, source)
    for project, outcome in zip(projects, outcomes, strict=True):
        key = score_key(project)
        if outcome.learnt and split is not None and key not in scorers and project.basis == "score":
            scorers[key] = _learn(chosen, outcome.values, split, config, parts, key)
    everybody = np.arange(len(chosen))
    probability = np.empty((len(chosen), len(projects)))
    rates = np.full((len(projects), n_segments), np.nan)
    for place, (project, outcome) in enumerate(zip(projects, outcomes, strict=True)):
        if project.basis == "segment":
            taught = everybody if split is None or not outcome.learnt else np.delete(everybody, split.test)
            rates[place] = segment_rates(outcome.values[taught], labels[taught], n_segments)
            probability[:, place] = rates[place, labels]
        elif outcome.learnt:
            probability[:, place] = scorers[score_key(project)].function.scores(chosen).clip(0, 1)
        else:
            probability[:, place] = outcome.values
    return Fitness(probability, scorers, rates, split)


def segment_rates(values: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """Return the mean (k,) of each segment; the mean of all counts as one customer more, so that no segment is without."""
    size = np.bincount(labels, minlength=k)
    return (np.bincount(labels, weights=values, minlength=k) + values.mean()) / (size + 1)


def _split(chosen: pd.DataFrame, config: Config, parts: Parts, source: str) -> ThreeWaySplit:
    if parts.network.get("output", "sigmoid") != "sigmoid":
        raise InputError(f"network.output={parts.network['output']} leaves [0, 1]; probabilities need sigmoid.")
    try:
        return three_way_split(
            chosen,
            validation_share=config.validation_share,
            test_share=config.test_share,
            seed=child_seed(parts.seed, "split"),
        )
    except InputError as error:
        raise InputError(f"{source}: {error}") from error


def _learn(chosen: pd.DataFrame, y: np.ndarray, split: ThreeWaySplit, config: Config, parts: Parts, key: str) -> Scorer:
    single = config.members == 1 or parts.optimizer["name"] == "lbfgs"
    function, fit = learn_score(
        (chosen.iloc[split.train], y[split.train]),
        (chosen.iloc[split.validation], y[split.validation]),
        scaler=MinMaxScaler(),
        network=registry.build("network", parts.network),
        optimizer=registry.build("optimizer", parts.optimizer),
        score_range=(0.0, 1.0),
        score_margin=0.0,
        thresholds={},
        device=parts.torch_device(),
        members=None if single else config.members,
        seed=child_seed(parts.seed, f"network of {key}"),
        max_epochs=config.max_epochs,
        max_fail=config.max_fail,
        checkpoints=parts.checkpoints,
    )
    actual = y[split.test]
    predicted = function.scores(chosen.iloc[split.test]).clip(0, 1)
    quality = {
        "n_test": len(actual),
        "positives": int(actual.sum()),
        "brier": float(brier_score_loss(actual, predicted, pos_label=1)),
        "rate_brier": float(np.square(actual - y[split.train].mean()).mean()),
    }
    if 0 < actual.sum() < len(actual):
        quality["auc"] = float(roc_auc_score(actual, predicted))
    return Scorer(function, fit.history, fit.best_epoch, quality, actual, predicted)
