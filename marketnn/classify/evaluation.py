"""How well probabilities predict 0/1 labels: at a threshold, as a ranking, and as probabilities.

Paper A, eq. 4.1 and table 4.4. A row is selected (predicted 1) when its probability is at least the threshold.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from sklearn import metrics

from marketnn.classify.labels import Vector, binary_labels, probabilities
from marketnn.errors import InputError


@dataclass(frozen=True)
class ConfusionReport:
    """The confusion matrix at one threshold and the indicators of paper A, table 4.4.

    Attributes:
        threshold: rows with at least this probability are predicted 1.
        tn: true 0, predicted 0.
        fp: true 0, predicted 1.
        fn: true 1, predicted 0.
        tp: true 1, predicted 1.
        accuracy: (tp + tn) / n.
        precision: tp / (tp + fp) (paper A, eq. 4.1); 0 where nothing is selected.
        recall: tp / (tp + fn); 0 where there are no positives.
        f1: harmonic mean of precision and recall.
        balanced_accuracy: mean recall of the classes that y holds.
    """

    threshold: float
    tn: int
    fp: int
    fn: int
    tp: int
    accuracy: float
    precision: float
    recall: float
    f1: float
    balanced_accuracy: float

    def as_metrics(self) -> dict[str, float]:
        """Return flat name -> number."""
        return asdict(self)


@dataclass(frozen=True)
class RankingReport:
    """What needs no threshold.

    Attributes:
        auc: area under the ROC curve: the chance that a positive outranks a negative, ties counting half.
        average_precision: area under the precision-recall curve, by steps.
        brier: mean squared difference of probability and label.
        log_loss: mean negative log-likelihood.
    """

    auc: float
    average_precision: float
    brier: float
    log_loss: float

    def as_metrics(self) -> dict[str, float]:
        """Return flat name -> number."""
        return asdict(self)


@dataclass(frozen=True)
class PrecisionPoint:
    """A point of the precision-recall curve.

    Attributes:
        threshold: rows with at least this probability are selected.
        precision: share of positives among the selected.
        recall: share of the positives that are selected.
        n_selected: how many rows are selected.
    """

    threshold: float
    precision: float
    recall: float
    n_selected: int


def confusion_report(y: Vector, probability: Vector, threshold: float = 0.5) -> ConfusionReport:
    """Cut probabilities at a threshold and count.

    Args:
        y: labels (n,), 0 or 1; one class alone is allowed.
        probability: probability (n,) of class 1.
        threshold: select rows with at least this probability.

    Raises:
        InputError: labels other than 0 and 1, probabilities or a threshold outside [0, 1], or unequal lengths.
    """
    if not 0 <= threshold <= 1:
        raise InputError(f"threshold={threshold} is not in [0, 1]; 50 % is 0.5.")
    labels, p = _checked(y, probability, both_classes=False)
    predicted = (p >= threshold).astype(np.int64)
    tn, fp, fn, tp = metrics.confusion_matrix(labels, predicted, labels=[0, 1]).ravel().tolist()
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        labels, predicted, average="binary", zero_division=0.0
    )
    recalls = metrics.recall_score(labels, predicted, labels=[0, 1], average="macro", zero_division=np.nan)
    return ConfusionReport(
        threshold=float(threshold),
        tn=tn,
        fp=fp,
        fn=fn,
        tp=tp,
        accuracy=float(metrics.accuracy_score(labels, predicted)),
        precision=float(precision),
        recall=float(recall),
        f1=float(f1),
        balanced_accuracy=float(recalls),
    )


def ranking_report(y: Vector, probability: Vector) -> RankingReport:
    """Judge probabilities without a threshold.

    Args:
        y: labels (n,), both 0 and 1.
        probability: probability (n,) of class 1.

    Raises:
        InputError: one class only, probabilities outside [0, 1], or unequal lengths.
    """
    labels, p = _checked(y, probability)
    return RankingReport(
        auc=float(metrics.roc_auc_score(labels, p)),
        average_precision=float(metrics.average_precision_score(labels, p)),
        brier=float(metrics.brier_score_loss(labels, p)),
        log_loss=float(metrics.log_loss(labels, p)),
    )


def threshold_curve(y: Vector, probability: Vector) -> pd.DataFrame:
    """Return what every threshold buys: one row per distinct probability, the highest first.

    Columns: threshold, precision, recall, f1, n_selected (rows with at least that probability).

    Args:
        y: labels (n,), both 0 and 1.
        probability: probability (n,) of class 1.

    Raises:
        InputError: one class only, probabilities outside [0, 1], or unequal lengths.
    """
    labels, p = _checked(y, probability)
    tied = pd.DataFrame({"threshold": p, "y": labels}).groupby("threshold")["y"].agg(["sum", "size"])
    selected = tied.sort_index(ascending=False).cumsum().reset_index()
    true_positives, n_selected, positives = selected["sum"], selected["size"], labels.sum()
    return pd.DataFrame(
        {
            "threshold": selected["threshold"],
            "precision": true_positives / n_selected,
            "recall": true_positives / positives,
            "f1": 2 * true_positives / (n_selected + positives),
            "n_selected": n_selected,
        }
    )


def reach_precision(y: Vector, probability: Vector, precision: float = 0.9729) -> PrecisionPoint | None:
    """Return the lowest threshold whose precision is at least ``precision``, hence the largest recall it leaves.

    Paper A reports the precision of its churn model, 97.29 % (eq. 4.1), without the recall paid for it. Any ranking
    with clean top scores has a threshold of that precision, so the number means nothing without the recall beside it.

    Args:
        y: labels (n,), both 0 and 1.
        probability: probability (n,) of class 1.
        precision: the precision wanted, in (0, 1].

    Returns:
        The point, or ``None`` where no threshold reaches the precision.

    Raises:
        InputError: one class only, probabilities outside [0, 1], unequal lengths, or ``precision`` outside (0, 1].
    """
    if not 0 < precision <= 1:
        raise InputError(f"precision={precision} is not in (0, 1]; 97.29 % is 0.9729.")
    curve = threshold_curve(y, probability)
    reached = curve[curve["precision"] >= precision]
    if reached.empty:
        return None
    point = reached.iloc[-1]
    return PrecisionPoint(
        threshold=float(point["threshold"]),
        precision=float(point["precision"]),
        recall=float(point["recall"]),
        n_selected=int(point["n_selected"]),
    )


def calibration_table(y: Vector, probability: Vector, n_bins: int = 10) -> pd.DataFrame:
    """Compare predicted probabilities with observed rates in bins of about equal size.

    Bins are cut at quantiles; equal probabilities share a bin, so there may be fewer than ``n_bins``. Columns:
    mean_probability, observed_rate, n; bins in increasing probability.

    Args:
        y: labels (n,), 0 or 1; one class alone is allowed.
        probability: probability (n,) of class 1.
        n_bins: how many bins to cut.

    Raises:
        InputError: labels other than 0 and 1, probabilities outside [0, 1], unequal lengths, or ``n_bins`` below 1.
    """
    if n_bins < 1:
        raise InputError(f"n_bins={n_bins} is not possible; use at least 1.")
    labels, p = _checked(y, probability, both_classes=False)
    # Edges are order statistics: an interpolated quantile can round to just below a tied value and tear it off its bin
    rows_before = -(-np.arange(1, n_bins) * p.size // n_bins)
    edges = np.sort(p)[rows_before - 1]
    frame = pd.DataFrame({"probability": p, "y": labels, "bin": np.searchsorted(edges, p)})
    bins = frame.groupby("bin").agg(
        mean_probability=("probability", "mean"), observed_rate=("y", "mean"), n=("y", "size")
    )
    return bins.reset_index(drop=True)


def _checked(y: Vector, probability: Vector, *, both_classes: bool = True) -> tuple[np.ndarray, np.ndarray]:
    labels = binary_labels(y, both_classes=both_classes)
    return labels, probabilities(probability, labels.size)
