"""Which features a fitted classifier needs: its own account, and what it loses when a feature is shuffled (paper A, table 4.2).

Shapes: n rows, d features.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
from sklearn.inspection import permutation_importance as _permuted
from sklearn.metrics import roc_auc_score

from marketnn.classify.classifiers.classifier import Classifier
from marketnn.classify.classifiers.rows import labelled
from marketnn.classify.labels import Vector
from marketnn.errors import InputError


def permutation_importance(
    classifier: Classifier[Any], X: pd.DataFrame, y: Vector, *, n_repeats: int = 5, seed: int = 0
) -> pd.DataFrame:
    """Return by how much the AUC falls when one feature's values are dealt out to other rows.

    Features that tell the same story hide each other: either alone can be shuffled at no loss.

    Args:
        classifier: fitted.
        X: (n, d) test rows.
        y: (n,) 0/1, both present.
        n_repeats: shuffles of each feature.
        seed: of the shuffles.

    Returns:
        A row per feature, in table order: ``mean`` and ``sd`` over the shuffles (``sd`` divides by their number).

    Raises:
        InputError: a classifier that is not fitted, rows that it cannot predict, one class only, or no shuffle.
    """
    if n_repeats < 1:
        raise InputError(f"n_repeats={n_repeats} is not possible; pass at least 1.")
    labels = labelled(X, y, classifier.columns or None).y
    found = _permuted(classifier, X, labels, scoring=_auc, n_repeats=n_repeats, random_state=seed)
    columns = {"mean": found.importances_mean, "sd": found.importances_std}
    return pd.DataFrame(columns, index=pd.Index(classifier.columns, name="feature"))


def importance_table(
    classifier: Classifier[Any], X: pd.DataFrame, y: Vector, *, n_repeats: int = 5, seed: int = 0
) -> pd.DataFrame:
    """Set a classifier's own importance and the permutation importance side by side.

    Args:
        classifier, X, y, n_repeats, seed: as in ``permutation_importance``.

    Returns:
        A row per feature, the most important first: ``importance`` (shares of 1), ``permutation`` and ``permutation_sd``
        (loss of AUC).

    Raises:
        InputError: as ``permutation_importance``.
    """
    shuffled = permutation_importance(classifier, X, y, n_repeats=n_repeats, seed=seed)
    shuffled.columns = ["permutation", "permutation_sd"]
    table = pd.concat([classifier.importance(), shuffled], axis=1)
    return table.sort_values("importance", ascending=False, kind="stable")


def _auc(classifier: Classifier[Any], X: pd.DataFrame, y: Vector) -> float:
    return float(roc_auc_score(y, classifier.predict_proba(X)))
