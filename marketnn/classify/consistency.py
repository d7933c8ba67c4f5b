"""Whether the numbers that several classifiers were given on one test set can belong together; what a misprint would explain.

One test set has one number of rows and one of positives, F1 is the harmonic mean of precision and recall, and no ROC curve that
passes through (f, t) has an area below t (1 - f). From accuracy a, precision p and recall r the share of positives follows:

    pi = (1 - a) / ((1 - r) + r (1 - p) / p)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

CELLS = ("tp", "tn", "fp", "fn")
SWAPPED = 10.0  # how many times closer together the shares of positives must be for columns to count as swapped
NEAR = 0.02  # relative distance from what the other numbers imply, within which a cell counts as intact
F1_TOLERANCE = 5e-4


@dataclass(frozen=True)
class Finding:
    """Something that cannot be as printed.

    Attributes:
        model: whose; empty for all.
        kind: ``columns``, ``cell``, ``f1``, ``rows``, ``positives`` or ``auc``.
        what: in words.
        printed, repaired: the number as printed and what would fit; ``None`` where no number is meant.
    """

    model: str
    kind: str
    what: str
    printed: float | None = None
    repaired: float | None = None


def implied_prevalence(accuracy: pd.Series, precision: pd.Series, recall: pd.Series) -> pd.Series:
    """Return the share of positives that accuracy, precision and recall (each between 0 and 1) imply, by model."""
    return (1 - accuracy) / ((1 - recall) + recall * (1 - precision) / precision)


def auc_floor(recall: float, false_positive_rate: float) -> float:
    """Return the least area below a ROC curve that passes through this point and never falls."""
    return recall * (1 - false_positive_rate)


def columns_swapped(metrics: pd.DataFrame) -> bool:
    """Say whether precision and recall have changed places: only then do all models have one test set.

    Args:
        metrics: a row per model; ``accuracy, precision, recall`` between 0 and 1.
    """
    printed = implied_prevalence(metrics["accuracy"], metrics["precision"], metrics["recall"])
    swapped = implied_prevalence(metrics["accuracy"], metrics["recall"], metrics["precision"])
    return bool(np.ptp(printed) > SWAPPED * np.ptp(swapped))


def repaired_metrics(metrics: pd.DataFrame) -> pd.DataFrame:
    """Return the metrics with precision and recall where they belong."""
    if not columns_swapped(metrics):
        return metrics
    return metrics.assign(precision=metrics["recall"], recall=metrics["precision"])


def implied_cells(metrics: pd.DataFrame, positives: float, n: float) -> pd.DataFrame:
    """Return the cells ``tp, tn, fp, fn`` that precision and recall imply on n rows, by model."""
    tp = metrics["recall"] * positives
    fp = tp * (1 - metrics["precision"]) / metrics["precision"]
    return pd.DataFrame({"tp": tp, "tn": n - positives - fp, "fp": fp, "fn": positives - tp})[list(CELLS)]


def repair_digits(printed: int, expected: float, near: float = NEAR) -> int | None:
    """Return the number nearest to ``expected`` that one digit lost or one too many turns into ``printed``.

    Returns:
        ``printed`` itself where it is near enough; ``None`` where no such number is.
    """

    def distance(number: int) -> float:
        return abs(number - expected) / max(abs(expected), 1.0)

    if distance(printed) <= near:
        return printed
    text = str(printed)
    inserted = {text[:i] + digit + text[i:] for i in range(len(text) + 1) for digit in "0123456789"}
    deleted = {text[:i] + text[i + 1 :] for i in range(len(text))} - {""}
    best = min({int(candidate) for candidate in inserted | deleted}, key=lambda number: (distance(number), number))
    return best if distance(best) <= near else None


def audit(
    cells: pd.DataFrame | None = None,
    metrics: pd.DataFrame | None = None,
    *,
    auc: Mapping[str, float] | None = None,
    n: int | None = None,
) -> list[Finding]:
    """List what cannot be as printed.

    Args:
        cells: a row per model, ``tp, tn, fp, fn`` as printed.
        metrics: a row per model, ``accuracy, precision, recall, f1`` between 0 and 1, as printed.
        auc: model -> area under the ROC curve.
        n: rows of the test set; by default what the positives and their implied share make.
    """
    findings: list[Finding] = []
    prevalence = None
    if metrics is not None:
        findings += _metric_findings(metrics)
        metrics = repaired_metrics(metrics)
        prevalence = float(implied_prevalence(metrics["accuracy"], metrics["precision"], metrics["recall"]).median())
    if cells is not None:
        findings += _column_findings(cells)
        if any(finding.kind == "columns" for finding in _column_findings(cells)):
            cells = cells.rename(columns={"fp": "fn", "fn": "fp"})
        findings += _total_findings(cells)
        if metrics is not None and prevalence is not None:
            positives = float((cells["tp"] + cells["fn"]).median())
            expected = implied_cells(metrics, positives, positives / prevalence if n is None else n)
            findings += _cell_findings(cells, expected)
    if auc is not None and metrics is not None and prevalence is not None:
        findings += _auc_findings(metrics, prevalence, auc)
    return findings


def _metric_findings(metrics: pd.DataFrame) -> list[Finding]:
    found = []
    if columns_swapped(metrics):
        found.append(
            Finding(
                "", "columns", "precision and recall have changed places: only then is there one share of positives"
            )
        )
    elif np.ptp(implied_prevalence(metrics["accuracy"], metrics["precision"], metrics["recall"])) > NEAR:
        found.append(Finding("", "positives", "the models' numbers imply different shares of positives"))
    harmonic = 2 * metrics["precision"] * metrics["recall"] / (metrics["precision"] + metrics["recall"])
    for model, distance in (metrics["f1"] - harmonic).abs().items():
        if distance > F1_TOLERANCE:
            what = "F1 is not the harmonic mean of precision and recall"
            found.append(Finding(str(model), "f1", what, float(metrics.at[model, "f1"]), float(harmonic[model])))
    return found


def _column_findings(cells: pd.DataFrame) -> list[Finding]:
    """Find the column that makes the positives constant: misprints apart, so by the median's distance."""
    spread = {
        name: float(((cells["tp"] + cells[name]) / (cells["tp"] + cells[name]).median() - 1).abs().median())
        for name in ("fp", "fn")
    }
    if SWAPPED * spread["fp"] < spread["fn"]:
        what = "the columns of false positives and false negatives have changed places: only then are the positives constant"
        return [Finding("", "columns", what)]
    return []


def _total_findings(cells: pd.DataFrame) -> list[Finding]:
    found = []
    for kind, totals in (
        ("rows", cells[list(CELLS)].sum(axis=1)),
        ("positives", cells["tp"] + cells["fn"]),
    ):
        usual = float(totals.median())
        for model, total in totals.items():
            if abs(total - usual) > NEAR * usual:
                found.append(Finding(str(model), kind, f"{kind} differ from the other models'", float(total), usual))
    return found


def _cell_findings(cells: pd.DataFrame, expected: pd.DataFrame) -> list[Finding]:
    found = []
    for model in cells.index:
        for cell in CELLS:
            printed = int(cells.at[model, cell])
            repaired = repair_digits(printed, float(expected.at[model, cell]))
            if repaired is None:
                what = f"{cell} is far from {expected.at[model, cell]:,.0f}, which precision and recall imply"
                found.append(Finding(str(model), "cell", what, printed))
            elif repaired != printed:
                lost = "lost a digit" if repaired > printed else "has a digit too many"
                found.append(Finding(str(model), "cell", f"{cell} {lost}", printed, repaired))
    return found


def _auc_findings(metrics: pd.DataFrame, prevalence: float, auc: Mapping[str, float]) -> list[Finding]:
    found = []
    for model, area in auc.items():
        t, p = float(metrics.at[model, "recall"]), float(metrics.at[model, "precision"])
        floor = auc_floor(t, t * prevalence * (1 - p) / p / (1 - prevalence))
        if area < floor:
            found.append(Finding(model, "auc", "no curve through the model's point has so small an area", area, floor))
    return found
