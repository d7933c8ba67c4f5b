"""Permutation importance against its definition, beside a classifier's own account."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from marketnn import registry
from marketnn.classify import importance_table, permutation_importance
from marketnn.errors import InputError


def table(n: int, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    generator = np.random.default_rng(seed)
    X = pd.DataFrame(generator.normal(size=(n, 3)), columns=["noise", "weak", "strong"])
    odds = 2 * X["strong"] - 0.5 * X["weak"]
    return X, (generator.random(n) < 1 / (1 + np.exp(-odds))).astype(int)


@pytest.fixture(scope="module")
def classifier():
    return registry.build("classifier", {"name": "logistic"}).fit(*table(1000, 0))


def test_shuffling_a_feature_costs_what_independence_costs(classifier) -> None:
    X, y = table(4000, 1)
    found = permutation_importance(classifier, X, y, n_repeats=10, seed=2)
    assert found.index.tolist() == ["noise", "weak", "strong"]
    generator = np.random.default_rng(7)
    whole = roc_auc_score(y, classifier.predict_proba(X))
    for name in X.columns:
        drops = [
            whole - roc_auc_score(y, classifier.predict_proba(X.assign(**{name: generator.permutation(X[name])})))
            for _ in range(10)
        ]
        spread = np.hypot(found.loc[name, "sd"], np.std(drops)) / np.sqrt(9)
        assert abs(found.loc[name, "mean"] - np.mean(drops)) < 5 * spread + 1e-4


def test_a_seed_repeats(classifier) -> None:
    X, y = table(300, 1)
    first, second = (permutation_importance(classifier, X, y, seed=4) for _ in range(2))
    pd.testing.assert_frame_equal(first, second)


def test_both_accounts_side_by_side(classifier) -> None:
    X, y = table(2000, 1)
    both = importance_table(classifier, X, y)
    assert both.index.tolist() == ["strong", "weak", "noise"]
    assert both.columns.tolist() == ["importance", "permutation", "permutation_sd"]
    assert both["importance"].sum() == pytest.approx(1)
    assert both["permutation"].is_monotonic_decreasing
    assert both.loc["strong", "permutation"] > 0.2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c, X, y: permutation_importance(c, X, y, n_repeats=0), "n_repeats=0"),
        (lambda c, X, y: permutation_importance(c, X, np.ones(len(y))), "both classes"),
        (lambda c, X, y: permutation_importance(c, X[["weak"]], y), "the columns are not the fitted ones"),
        (
            lambda c, X, y: permutation_importance(registry.build("classifier", {"name": "cart"}), X, y),
            "the classifier cart is not fitted",
        ),
    ],
)
def test_unusable_input_is_named(classifier, call, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call(classifier, *table(100, 1))
