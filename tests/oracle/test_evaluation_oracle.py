"""The evaluation of probabilities against scikit-learn and brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics
from sklearn.calibration import calibration_curve

from marketnn.classify import calibration_table, confusion_report, ranking_report, reach_precision, threshold_curve
from marketnn.seed import numpy_generator

Scored = tuple[np.ndarray, np.ndarray]


@st.composite
def scored(draw: st.DrawFn) -> Scored:
    """Labels of both classes and probabilities with many ties."""
    n = draw(st.integers(2, 40))
    y = draw(st.lists(st.integers(0, 1), min_size=n, max_size=n).filter(lambda labels: len(set(labels)) == 2))
    p = draw(st.lists(st.integers(0, 12), min_size=n, max_size=n))
    return np.array(y), np.array(p) / 12


@settings(deadline=None)
@given(data=scored(), threshold=st.sampled_from([0.0, 0.25, 0.5, 1.0]))
def test_confusion_equals_counting_and_scikit_learn(data: Scored, threshold: float) -> None:
    y, p = data
    ours, chosen = confusion_report(y, p, threshold), p >= threshold
    counts = [
        (~chosen & (y == 0)).sum(),
        (chosen & (y == 0)).sum(),
        (~chosen & (y == 1)).sum(),
        (chosen & (y == 1)).sum(),
    ]
    assert [ours.tn, ours.fp, ours.fn, ours.tp] == counts
    assert ours.accuracy == pytest.approx(metrics.accuracy_score(y, chosen))
    assert ours.balanced_accuracy == pytest.approx(metrics.balanced_accuracy_score(y, chosen))
    assert ours.precision == pytest.approx(counts[3] / (counts[1] + counts[3]) if chosen.any() else 0)
    assert ours.recall == pytest.approx(counts[3] / (counts[2] + counts[3]))
    harmonic = 2 * ours.precision * ours.recall / (ours.precision + ours.recall) if counts[3] else 0
    assert ours.f1 == pytest.approx(harmonic)
    assert ours.as_metrics()["tp"] == counts[3]


@settings(deadline=None)
@given(data=scored())
def test_auc_is_mann_whitney_with_half_ties(data: Scored) -> None:
    y, p = data
    difference = p[y == 1][:, None] - p[y == 0]
    assert ranking_report(y, p).auc == pytest.approx(((difference > 0) + 0.5 * (difference == 0)).mean(), abs=1e-12)


@settings(deadline=None, max_examples=50)
@given(data=scored())
def test_auc_identities(data: Scored) -> None:
    y, p = data
    auc = ranking_report(y, p).auc
    assert ranking_report(y, p**3 / 2).auc == pytest.approx(auc, abs=1e-12)
    assert auc + ranking_report(1 - y, p).auc == pytest.approx(1, abs=1e-12)
    for threshold in p:
        recall, false_rate = (p[y == 1] >= threshold).mean(), (p[y == 0] >= threshold).mean()
        assert auc >= recall * (1 - false_rate) - 1e-12


def test_ranking_report_equals_scikit_learn() -> None:
    generator = numpy_generator(0)
    p = generator.random(500).round(2)
    y = (generator.random(500) < p).astype(int)
    ours = ranking_report(y, p).as_metrics()
    assert ours == pytest.approx(
        {
            "auc": metrics.roc_auc_score(y, p),
            "average_precision": metrics.average_precision_score(y, p),
            "brier": np.mean((y - p) ** 2),
            "log_loss": metrics.log_loss(y, p),
        }
    )


@settings(deadline=None, max_examples=30)
@given(data=scored())
def test_threshold_curve_equals_scikit_learn_and_counting(data: Scored) -> None:
    y, p = data
    curve = threshold_curve(y, p)
    precision, recall, thresholds = metrics.precision_recall_curve(y, p)
    np.testing.assert_array_equal(curve["threshold"], thresholds[::-1])
    np.testing.assert_allclose(curve["precision"], precision[:-1][::-1])
    np.testing.assert_allclose(curve["recall"], recall[:-1][::-1])
    assert curve["n_selected"].tolist() == [(p >= threshold).sum() for threshold in curve["threshold"]]
    np.testing.assert_allclose(curve["f1"], [confusion_report(y, p, threshold).f1 for threshold in curve["threshold"]])


@settings(deadline=None)
@given(data=scored(), precision=st.sampled_from([0.3, 0.5, 0.75, 0.9729, 1.0]))
def test_reach_precision_equals_trying_every_threshold(data: Scored, precision: float) -> None:
    y, p = data
    good = [threshold for threshold in p if y[p >= threshold].mean() >= precision]
    point = reach_precision(y, p, precision)
    if not good:
        assert point is None
        return
    chosen = p >= min(good)
    assert point is not None
    assert (point.threshold, point.n_selected) == (min(good), chosen.sum())
    assert point.precision == pytest.approx(y[chosen].mean())
    assert point.recall == pytest.approx(y[chosen].sum() / y.sum())


@pytest.mark.parametrize("n_bins", [1, 2, 5, 10])
def test_calibration_equals_scikit_learn(n_bins: int) -> None:
    generator = numpy_generator(0)
    p = generator.random(500)
    y = (generator.random(500) < p**2).astype(int)
    ours = calibration_table(y, p, n_bins)
    observed, predicted = calibration_curve(y, p, n_bins=n_bins, strategy="quantile")
    np.testing.assert_allclose(ours["observed_rate"], observed)
    np.testing.assert_allclose(ours["mean_probability"], predicted)
    assert ours["n"].tolist() == [500 // n_bins] * n_bins


@settings(deadline=None)
@given(data=scored(), n_bins=st.integers(1, 12))
def test_calibration_bins_are_runs_of_whole_ties(data: Scored, n_bins: int) -> None:
    y, p = data
    table = calibration_table(y, p, n_bins)
    ends = table["n"].cumsum().to_numpy()
    order = np.sort(p)
    assert len(table) <= n_bins
    assert (ends[-1], (table["n"] * table["observed_rate"]).sum()) == (len(y), pytest.approx(y.sum()))
    assert (order[ends[:-1] - 1] < order[ends[:-1]]).all()
    np.testing.assert_allclose(np.add.reduceat(order, [0, *ends[:-1]]), table["n"] * table["mean_probability"])
