"""Does a feature know the answer? Guards against columns that leak the target and against test rows seen in training.

A call's duration, known only once the customer has said yes or no, predicts success far better than anything known before the
call; a model with it looks excellent and recommends nothing.

Shapes: n rows, d features.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from marketnn.classify.classifiers.rows import refuse_rare_class
from marketnn.classify.labels import Vector, binary_labels
from marketnn.errors import InputError
from marketnn.preprocess.splitting import Split
from marketnn.preprocess.twins import twin_groups

ALMOST_PERFECT = 0.95
_FOLDS = 5


@dataclass(frozen=True, eq=False)
class LeakageReport:
    """What looks like a leak.

    Attributes:
        auc: (d,) how well each feature alone predicts the target, largest first.
        threshold: from which AUC on a feature is suspect.
        suspects: the suspect features, the worst first.
        n_test: test rows.
        n_seen: test rows whose features all equal those of a training row.
    """

    auc: pd.Series
    threshold: float
    suspects: tuple[str, ...]
    n_test: int
    n_seen: int

    @property
    def notes(self) -> list[str]:
        """What a reader should know of it, in sentences."""
        leaks = [
            f"'{name}' alone predicts the target almost perfectly (AUC {self.auc[name]:.3f}): "
            "is it known before the outcome is?"
            for name in self.suspects
        ]
        seen = f"{self.n_seen:,} of {self.n_test:,} test rows have the same features as a training row."
        return [*leaks, seen] if self.n_seen else leaks


def single_feature_auc(X: pd.DataFrame, y: Vector, *, seed: int = 0) -> pd.Series:
    """Return each feature's own AUC (d,), at least one half: numbers that rank the wrong way round are turned.

    Categories are ranked by their share of class 1 among the rows of other folds, so that many rare categories do not look
    like knowledge. Where numbers are missing they rank in the middle; whether they are missing
    counts as a feature too, and the better of the two is given.

    Args:
        X: (n, d) numbers and categories, encoded or not, missing values allowed.
        y: (n,) 0/1, at least ten of each.
        seed: of the folds.

    Raises:
        InputError: unequal lengths, labels that are not 0/1, one class only, or fewer than ten rows of a class.
    """
    labels = _target(X, y)
    folds = list(StratifiedKFold(_FOLDS, shuffle=True, random_state=seed).split(labels, labels))
    found = {name: _own_auc(X[name], labels, folds) for name in X.columns}
    return pd.Series(found, name="auc", dtype=float).rename_axis("feature")


def leakage_report(
    X: pd.DataFrame, y: Vector, split: Split, *, threshold: float = ALMOST_PERFECT, seed: int = 0
) -> LeakageReport:
    """Look for features that alone predict the target almost perfectly, and count test rows that were seen in training.

    Args:
        X: (n, d) features of all rows, encoded or not.
        y: (n,) 0/1.
        split: training and test rows; the features are judged on the training rows only.
        threshold: the AUC from which on a feature is suspect, in (0.5, 1].
        seed: of the folds.

    Raises:
        InputError: as ``single_feature_auc``, or a threshold out of range.
    """
    if not 0.5 < threshold <= 1:
        raise InputError(f"threshold={threshold:g} is not possible; pass an AUC above 0.5, at most 1, such as 0.95.")
    labels = _target(X, y)
    auc = single_feature_auc(X.iloc[split.train], labels[split.train], seed=seed)
    auc = auc.sort_values(ascending=False, kind="stable")
    return LeakageReport(
        auc=auc,
        threshold=threshold,
        suspects=tuple(auc.index[auc >= threshold]),
        n_test=len(split.test),
        n_seen=seen_in_training(X, split),
    )


def seen_in_training(X: pd.DataFrame, split: Split) -> int:
    """Count the test rows whose features all equal those of a training row."""
    group_n = twin_groups(X)
    return int(np.isin(group_n[split.test], group_n[split.train]).sum())


def _target(X: pd.DataFrame, y: Vector) -> np.ndarray:
    labels = binary_labels(y)
    if len(labels) != len(X):
        raise InputError(f"X has {len(X):,} rows, but y has {len(labels):,}; pass the labels of the same rows.")
    refuse_rare_class(labels)
    return labels


def _own_auc(values: pd.Series, labels: np.ndarray, folds: list[tuple[np.ndarray, np.ndarray]]) -> float:
    if not pd.api.types.is_numeric_dtype(values.dtype):
        code_n = pd.factorize(values, use_na_sentinel=False)[0]
        # Shares of other folds already point the right way; turned round, the noise in them would look like knowledge.
        return max(float(roc_auc_score(labels, _shares(code_n, labels, folds))), 0.5)
    number_n = pd.Series(values.to_numpy(dtype=float, na_value=np.nan))
    missing_n = number_n.isna()
    rank_n = number_n.rank().fillna((1 + number_n.count()) / 2)  # ranks, which infinite values have as well
    auc = [float(roc_auc_score(labels, order_n)) for order_n in ([rank_n, missing_n] if missing_n.any() else [rank_n])]
    return max(*auc, *(1 - found for found in auc))


def _shares(code_n: np.ndarray, labels: np.ndarray, folds: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Return for each row (n,) its category's share of class 1 in the other folds, of all rows where that is unknown."""
    share_n = np.empty(len(labels))
    n_categories = int(code_n.max()) + 1
    for others, fold in folds:
        count = np.bincount(code_n[others], minlength=n_categories)
        positive = np.bincount(code_n[others], weights=labels[others], minlength=n_categories)
        share_n[fold] = np.where(count > 0, positive / np.maximum(count, 1), labels.mean())[code_n[fold]]
    return share_n
