"""Leaks that were put there are found, and what only looks like one is not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from marketnn.classify import leakage_report, single_feature_auc
from marketnn.errors import InputError
from marketnn.preprocess.splitting import Split, stratified_split


def table(n: int = 400) -> tuple[pd.DataFrame, np.ndarray]:
    generator = np.random.default_rng(0)
    y = (generator.random(n) < 0.3).astype(int)
    X = pd.DataFrame(
        {
            "useful": generator.normal(size=n) + y,
            "leak": np.where(y == 1, -1.0, 1.0) + 0.5 * generator.normal(size=n),
            "city": generator.choice(["a", "b", "c"], n),
            "outcome": np.where(y == 1, "yes", "no"),
            "customer": [f"c{row}" for row in range(n)],
        }
    )
    return X, y


def test_a_numbers_own_auc_is_scikit_learns_the_right_way_round() -> None:
    X, y = table()
    auc = single_feature_auc(X, y)
    assert auc["useful"] == pytest.approx(roc_auc_score(y, X["useful"]), abs=1e-12)
    assert auc["leak"] == pytest.approx(1 - roc_auc_score(y, X["leak"]), abs=1e-12)


def test_categories_are_judged_out_of_fold() -> None:
    X, y = table()
    auc = single_feature_auc(X, y)
    assert auc["outcome"] == 1
    assert auc["customer"] == 0.5, "a category of one row each says nothing about other rows"
    assert auc["city"] < 0.55


def test_a_missing_value_can_be_the_leak() -> None:
    _, y = table()
    closed = pd.Series(np.where(y == 1, 7.0, np.nan))
    named = pd.Series(np.where(y == 1, "reason", None))
    auc = single_feature_auc(pd.DataFrame({"closed": closed, "named": named}), y)
    assert auc.tolist() == [1, 1]


def test_the_report_names_the_leaks_worst_first() -> None:
    X, y = table()
    report = leakage_report(X, y, stratified_split(X, y))
    assert report.suspects == ("outcome", "leak")
    assert report.notes[0] == (
        "'outcome' alone predicts the target almost perfectly (AUC 1.000): is it known before the outcome is?"
    )
    assert len(report.notes) == 2
    assert report.n_seen == 0
    assert report.n_test == 80
    assert leakage_report(X, y, stratified_split(X, y), threshold=1.0).suspects == ("outcome",)


def test_only_the_training_rows_are_judged() -> None:
    X, y = table()
    split = stratified_split(X, y)
    X["late"] = 0.0
    X.loc[split.test, "late"] = y[split.test].astype(float)
    assert leakage_report(X, y, split).auc["late"] == 0.5


def test_test_rows_seen_in_training_are_counted() -> None:
    X, y = table(100)
    doubled, labels = pd.concat([X, X.iloc[:30]], ignore_index=True), np.concatenate([y, y[:30]])
    naive = Split(train=np.arange(100), test=np.arange(100, 130), n_duplicates=30, together=False)
    report = leakage_report(doubled, labels, naive)
    assert report.n_seen == report.n_test == 30
    assert report.notes[-1] == "30 of 30 test rows have the same features as a training row."
    assert leakage_report(doubled, labels, stratified_split(doubled, labels)).n_seen == 0


def test_infinite_values_rank_and_empty_columns_say_nothing() -> None:
    _, y = table()
    X = pd.DataFrame({"infinite": np.where(y == 1, np.inf, 0.0), "empty": np.nan, "flag": y == 1})
    assert single_feature_auc(X, y).to_dict() == {"infinite": 1.0, "empty": 0.5, "flag": 1.0}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda X, y: single_feature_auc(X, np.zeros(len(y))), "y is 0 in all 400 rows"),
        (lambda X, y: single_feature_auc(X, np.arange(len(y)) < 9), "only 9 of 400 rows are of class 1; at least 10"),
        (lambda X, y: single_feature_auc(X, y[1:]), "X has 400 rows, but y has 399"),
        (lambda X, y: leakage_report(X, y, stratified_split(X, y), threshold=0.5), "threshold=0.5"),
    ],
)
def test_unusable_input_is_named(call, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call(*table())


def test_the_calls_duration_is_the_most_telling_column(real_data) -> None:
    frame = pd.read_csv(real_data / "bank_additional-full.csv.gz")
    y = (frame.pop("y") == "yes").to_numpy().astype(int)
    report = leakage_report(frame, y, stratified_split(frame, y), threshold=0.8)
    assert report.suspects == ("duration",)
    assert report.auc["duration"] == pytest.approx(0.82, abs=0.01)
    assert report.n_seen == 0
