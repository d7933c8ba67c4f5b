"""Bootstrap intervals and lift, against resampling row by row with scikit-learn's measures."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from marketnn.classify import bootstrap_intervals, gain_table
from marketnn.classify.intervals import MEASURES, _measures
from marketnn.errors import InputError

RNG = np.random.default_rng(1)
P = np.round(RNG.random(300), 2)  # with ties
Y = (RNG.random(300) < P).astype(int)


def test_weighted_measures_are_those_of_the_repeated_rows() -> None:
    order = np.argsort(-P, kind="stable")
    count = RNG.integers(0, 4, size=(5, len(P)))
    found = _measures(P[order], Y[order], count, 0.4)
    for row, weights in enumerate(count):
        y, p = np.repeat(Y[order], weights), np.repeat(P[order], weights)
        called = p >= 0.4
        expected = [
            metrics.roc_auc_score(y, p),
            metrics.average_precision_score(y, p),
            metrics.accuracy_score(y, called),
            metrics.precision_score(y, called),
            metrics.recall_score(y, called),
            metrics.f1_score(y, called),
            metrics.balanced_accuracy_score(y, called),
            metrics.brier_score_loss(y, p),
        ]
        np.testing.assert_allclose(found[:, row], expected, rtol=1e-12)


def test_intervals_hold_the_value_and_agree_with_a_plain_loop() -> None:
    table = bootstrap_intervals(Y, P, n_resamples=600, seed=3)
    assert list(table.index) == list(MEASURES)
    assert (table["low"] <= table["value"]).all()
    assert (table["value"] <= table["high"]).all()
    rng = np.random.default_rng(8)
    aucs = []
    for _ in range(600):
        rows = rng.integers(len(Y), size=len(Y))
        aucs.append(metrics.roc_auc_score(Y[rows], P[rows]))
    assert table.loc["auc", ["low", "high"]].tolist() == pytest.approx(np.quantile(aucs, [0.025, 0.975]), abs=0.01)
    again = bootstrap_intervals(Y, P, n_resamples=600, seed=3)
    assert again.equals(table)


def test_gain_counts_and_ends_at_one() -> None:
    table = gain_table(Y, P, n_bins=10, seed=0)
    assert table["rows"].tolist() == [30] * 10
    assert table["positives"].sum() == Y.sum()
    assert table["gain"].iloc[-1] == pytest.approx(1)
    assert table["share"].tolist() == pytest.approx(np.arange(1, 11) / 10)
    best = np.sort(P)[-30:]
    assert table["rate"].iloc[0] == pytest.approx(Y[np.argsort(-P, kind="stable")[:30]].mean())
    assert best.min() >= np.sort(P)[::-1][29]
    np.testing.assert_allclose(table["lift"], table["rate"] / Y.mean())
    assert ((table["lift_low"] <= table["lift"]) & (table["lift"] <= table["lift_high"])).all()


def test_bad_numbers() -> None:
    with pytest.raises(InputError, match="n_resamples=0"):
        bootstrap_intervals(Y, P, n_resamples=0)
    with pytest.raises(InputError, match="both classes"):
        bootstrap_intervals(np.zeros(10), P[:10])
    with pytest.raises(InputError, match="n_bins=301"):
        gain_table(Y, P, n_bins=301)
