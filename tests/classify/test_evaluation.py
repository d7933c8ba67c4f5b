"""Evaluation by hand-checkable numbers, and what it refuses."""

from __future__ import annotations

import pytest

from marketnn.classify import (
    calibration_table,
    confusion_report,
    ranking_report,
    reach_precision,
    threshold_curve,
)
from marketnn.errors import InputError

Y = [1, 1, 0, 1, 0, 0]
P = [0.9, 0.8, 0.8, 0.4, 0.3, 0.1]


def test_confusion_by_hand() -> None:
    report = confusion_report(Y, P)
    assert (report.tn, report.fp, report.fn, report.tp) == (2, 1, 1, 2)
    assert report.precision == report.recall == report.f1 == report.accuracy == pytest.approx(2 / 3)


def test_a_row_at_the_threshold_is_selected() -> None:
    assert confusion_report(Y, P, threshold=0.4).tp == 3


def test_one_class_has_a_confusion_matrix_but_no_ranking() -> None:
    report = confusion_report([0, 0], [0.2, 0.7])
    assert (report.tn, report.fp, report.precision, report.recall, report.balanced_accuracy) == (1, 1, 0, 0, 0.5)
    with pytest.raises(InputError, match="y is 0 in all 2 rows"):
        ranking_report([0, 0], [0.2, 0.7])


def test_threshold_curve_by_hand() -> None:
    curve = threshold_curve(Y, P)
    assert curve["threshold"].tolist() == [0.9, 0.8, 0.4, 0.3, 0.1]
    assert curve["n_selected"].tolist() == [1, 3, 4, 5, 6]
    assert curve["precision"].tolist() == pytest.approx([1, 2 / 3, 3 / 4, 3 / 5, 1 / 2])
    assert curve["recall"].tolist() == pytest.approx([1 / 3, 2 / 3, 1, 1, 1])


def test_precision_is_reached_at_the_largest_recall() -> None:
    point = reach_precision(Y, P, 0.7)
    assert point is not None
    assert (point.threshold, point.precision, point.recall, point.n_selected) == (0.4, 0.75, 1.0, 4)
    point = reach_precision(Y, P)
    assert point is not None
    assert (point.threshold, point.recall, point.n_selected) == (0.9, pytest.approx(1 / 3), 1)
    assert reach_precision([0, 1], [0.9, 0.1], 0.9) is None


def test_calibration_by_hand() -> None:
    table = calibration_table(Y, P, n_bins=2)
    assert table["n"].tolist() == [3, 3]
    assert table["observed_rate"].tolist() == pytest.approx([1 / 3, 2 / 3])
    assert table["mean_probability"].tolist() == pytest.approx([0.8 / 3, 2.5 / 3])
    assert calibration_table([1, 1, 0], [0.5, 0.5, 0.5]).to_dict("list") == {
        "mean_probability": [0.5],
        "observed_rate": [pytest.approx(2 / 3)],
        "n": [3],
    }


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ranking_report([0, 1], [0.5, 1.2]), r"\[0, 1\], but row 2 hold 1.2"),
        (lambda: ranking_report([0, 1], [float("nan"), 0.2]), "row 1 hold nan"),
        (lambda: ranking_report([0, 1], [0.5]), "y has 2 rows"),
        (lambda: ranking_report([0, 1], ["a", "b"]), "must be numbers"),
        (lambda: confusion_report([0, 2], [0.5, 0.5]), "must be 0 or 1, but holds 0, 2"),
        (lambda: confusion_report([0, 1], [0.5, 0.5], threshold=50), "threshold=50"),
        (lambda: reach_precision([0, 1], [0.5, 0.5], precision=97.29), "precision=97.29"),
        (lambda: calibration_table([0, 1], [0.5, 0.5], n_bins=0), "n_bins=0"),
    ],
)
def test_unusable_input_is_named(call, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()
