"""Several classifiers on the same test rows, over several splits (paper A, table 4.4).

In the paper the confusion matrices of four models do not add up to the same positives; here every model of a split learns
from the same rows and is tested on the same rows.

Shapes: n rows, d features, S splits.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy import stats

from marketnn import registry
from marketnn.classify.classifiers.classifier import Progress
from marketnn.classify.classifiers.rows import refuse_rare_class
from marketnn.classify.evaluation import confusion_report, ranking_report
from marketnn.classify.labels import Vector, binary_labels
from marketnn.errors import InputError
from marketnn.preprocess.encoding import Encoder
from marketnn.preprocess.splitting import Split, stratified_split

METRICS = (
    "auc",
    "accuracy",
    "precision",
    "recall",
    "f1",
    "balanced_accuracy",
    "average_precision",
    "brier",
)


@dataclass(frozen=True, eq=False)
class Comparison:
    """How well each model predicts, split by split.

    Attributes:
        scores: a row per (model, seed), a column per metric; rows with a probability of .5 or more are predicted 1.
        seconds: (model, seed) -> seconds of the fit.
        test_rows: seed -> positions of the test rows, the same for every model.
        probability: model -> probabilities of class 1 of the first seed's test rows.
    """

    scores: pd.DataFrame
    seconds: pd.Series
    test_rows: Mapping[int, np.ndarray]
    probability: Mapping[str, np.ndarray]

    @property
    def best(self) -> str:
        """The model with the highest mean AUC."""
        return str(self.scores["auc"].groupby(level="model", sort=False).mean().idxmax())

    @property
    def summary(self) -> pd.DataFrame:
        """A row per (model, metric): mean, sd, and the 95 % t-interval ci_low, ci_high of the mean over the splits.

        The splits share rows, so the interval says what another split would change, not what other customers would; with
        one split there is none (NaN).
        """
        return _over_seeds(self.scores)

    @property
    def paired(self) -> pd.DataFrame:
        """The same of each other model's score less the best model's on the same split."""
        best = self.scores.xs(self.best, level="model")
        others = self.scores.drop(index=self.best, level="model")
        return _over_seeds(others - best.loc[others.index.get_level_values("seed")].to_numpy())


def compare_classifiers(
    X: pd.DataFrame,
    y: Vector,
    classifiers: Mapping[str, Mapping[str, Any]],
    *,
    seeds: Sequence[int] = (0,),
    test_share: float = 0.2,
    groups: Vector | None = None,
    device: str | torch.device = "auto",
    progress: Progress | None = None,
) -> Comparison:
    """Fit and test classifiers on the same rows.

    Args:
        X: (n, d) features as they are: categories become columns and missing numbers medians by what each split's training
            rows say.
        y: (n,) 0/1, at least ten of each.
        classifiers: what to call a model -> its settings with a ``name``, as ``registry.build("classifier", ...)`` takes them.
        seeds: one split each; the seed of the fits as well.
        test_share: share of the rows to test on.
        groups: (n,) rows of the same group stay on one side; without groups, rows with the same features do.
        device: where to compute.
        progress: called with a model's name, fits done and fits planned.

    Raises:
        InputError: data, settings or groups that cannot be used, no model, or no seed or the same one twice.
    """
    labels = binary_labels(y)
    for name, given in {"y": labels, "groups": groups}.items():
        if given is not None and len(given) != len(X):
            raise InputError(f"X has {len(X):,} rows, but {name} has {len(given):,}; pass one value per row.")
    refuse_rare_class(labels)
    if not classifiers:
        raise InputError("there is no classifier to compare; pass such as {'xgboost': {'name': 'xgboost'}}.")
    if not seeds or len(set(seeds)) < len(seeds):
        raise InputError(f"seeds={list(seeds)} must be different numbers, at least one, such as 0, 1, 2.")
    scores, seconds, test_rows, probability = {}, {}, {}, {}
    for seed in seeds:
        split = _split(X, labels, groups, test_share, seed)
        test_rows[seed] = split.test
        encoder = Encoder.fit(X.iloc[split.train])
        train_frame, test_frame = (encoder.transform(X.iloc[rows]).frame for rows in (split.train, split.test))
        for model, settings in classifiers.items():
            classifier = registry.build("classifier", settings)
            start = time.perf_counter()
            classifier.fit(train_frame, labels[split.train], seed=seed, device=device)
            seconds[model, seed] = time.perf_counter() - start
            predicted = classifier.predict_proba(test_frame)
            scores[model, seed] = _score(labels[split.test], predicted)
            if seed == seeds[0]:
                probability[model] = predicted
            if progress:
                progress(model, len(scores), len(seeds) * len(classifiers))
    # Model by model, as given, not in the order of the fits.
    order = pd.MultiIndex.from_product([classifiers, seeds], names=["model", "seed"])
    return Comparison(
        scores=pd.DataFrame([scores[key] for key in order], index=order),
        seconds=pd.Series([seconds[key] for key in order], index=order, name="seconds"),
        test_rows=test_rows,
        probability=probability,
    )


def _split(X: pd.DataFrame, labels: np.ndarray, groups: Vector | None, test_share: float, seed: int) -> Split:
    if groups is None:
        return stratified_split(X, labels, test_share=test_share, seed=seed)
    split = stratified_split(pd.DataFrame({"group": np.asarray(groups)}), labels, test_share=test_share, seed=seed)
    if not split.together:
        raise InputError(
            "groups: too few groups of a class to split between training and test; "
            "pass finer groups, or none to keep only equal rows together."
        )
    return split


def _score(labels: np.ndarray, probability: np.ndarray) -> dict[str, float]:
    found = {
        **ranking_report(labels, probability).as_metrics(),
        **confusion_report(labels, probability).as_metrics(),
    }
    return {name: found[name] for name in METRICS}


def _over_seeds(scores: pd.DataFrame) -> pd.DataFrame:
    """Return mean, sd and 95 % t-interval over the seeds, a row per (model, metric)."""
    by_model = scores.groupby(level="model", sort=False)
    mean, sd, count = (part.stack() for part in (by_model.mean(), by_model.std(), by_model.count()))
    reach = stats.t.ppf(0.975, np.maximum(count - 1, 1)) * sd / np.sqrt(count)
    table = pd.DataFrame({"mean": mean, "sd": sd, "ci_low": mean - reach, "ci_high": mean + reach})
    return table.rename_axis(index=["model", "metric"])
