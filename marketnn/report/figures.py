"""Figures as functions of numbers: no global state, labels and units on every axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

BLUE, RED, GREY, GREEN, ORANGE = "#2b6cb0", "#c53030", "#8896a5", "#2f855a", "#b7791f"
LABEL_LENGTH = 40


def label(name: object, length: int = LABEL_LENGTH) -> str:
    """Return a name from the data as it is to be drawn: on one line, shortened, and never read as mathematics."""
    text = " ".join(str(name).split())
    return (text if len(text) <= length else text[: length - 1] + "…").replace("$", r"\$")


def roc_figure(fpr: np.ndarray, tpr: np.ndarray, auc: float, operating_point: tuple[float, float]) -> Figure:
    """Draw the ROC curve with the chance line and the point of the threshold in use (fpr, tpr)."""
    figure, axes = _figure(5.4, 5.0)
    axes.plot(fpr, tpr, color=BLUE, label=f"model, AUC {auc:.3f}")
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="chance, AUC 0.500")
    axes.plot(*operating_point, "o", color=RED, label="threshold in use")
    axes.set(xlabel="false positive rate", ylabel="true positive rate", xlim=(0, 1), ylim=(0, 1.01), aspect="equal")
    axes.legend(loc="lower right")
    return figure


def threshold_figure(curve: pd.DataFrame, threshold: float, target_precision: float) -> Figure:
    """Draw precision and recall against the threshold, and the precision looked for as a line.

    Args:
        curve: columns threshold, precision, recall.
        threshold: the one in use.
        target_precision: the horizontal line.
    """
    figure, axes = _figure(7.5, 4.4)
    axes.plot(curve["threshold"], curve["precision"], color=BLUE, label="precision")
    axes.plot(curve["threshold"], curve["recall"], color=GREEN, label="recall")
    axes.axhline(
        target_precision,
        color=RED,
        linestyle="--",
        linewidth=1,
        label=f"precision {target_precision:.2%}",
    )
    axes.axvline(threshold, color=GREY, linestyle=":", label=f"threshold in use, {threshold:g}")
    axes.set(xlabel="threshold on the probability", ylabel="precision, recall", xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def calibration_figure(table: pd.DataFrame) -> Figure:
    """Draw the observed rate against the predicted probability, one point per bin of ``calibration_table``."""
    figure, axes = _figure(5.4, 5.0)
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="perfectly calibrated")
    axes.plot(table["mean_probability"], table["observed_rate"], "o-", color=BLUE, label="model, equal groups")
    axes.set(xlabel="mean predicted probability", ylabel="observed rate", xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.legend(loc="upper left")
    return figure


def effects_figure(
    effects: pd.DataFrame,
    n_most: int = 20,
    *,
    xlabel: str = "effect on the log odds per standard deviation, 95 % interval",
    raising: str = RED,
    lowering: str = GREEN,
) -> Figure:
    """Draw effects with their intervals, the strongest on top.

    Args:
        effects: indexed by variable; columns effect, low, high.
        n_most: how many are drawn.
        xlabel: what an effect is.
        raising, lowering: colours of positive and of other effects.
    """
    shown = effects.reindex(effects["effect"].abs().sort_values(ascending=False).index).head(n_most)[::-1]
    figure, axes = _figure(7.5, 0.9 + 0.28 * len(shown))
    place = np.arange(len(shown))
    colours = [raising if value > 0 else lowering for value in shown["effect"]]
    axes.hlines(place, shown["low"], shown["high"], color=GREY, linewidth=1.5)
    axes.scatter(shown["effect"], place, color=colours, zorder=3, s=22)
    axes.axvline(0, color=GREY, linestyle=":")
    axes.set_yticks(place, [label(name) for name in shown.index])
    axes.set_xlabel(xlabel)
    return figure


def bars_figure(labels: Sequence[str], series: Mapping[str, Sequence[float]], ylabel: str) -> Figure:
    """Draw groups of bars, one bar per series in each group, with the values on top."""
    figure, axes = _figure(1.8 + 1.5 * len(labels), 3.8)
    width = 0.8 / len(series)
    for place, ((name, values), colour) in enumerate(zip(series.items(), (BLUE, RED, GREEN, GREY), strict=False)):
        bars = axes.bar(
            np.arange(len(labels)) + (place - (len(series) - 1) / 2) * width, values, width, label=name, color=colour
        )
        axes.bar_label(bars, fmt="{:,.0f}", fontsize=8, padding=2)
    axes.set_xticks(range(len(labels)), [label(name) for name in labels])
    axes.set_ylabel(ylabel)
    axes.margins(y=0.12)
    axes.legend()
    return figure


def predicted_figure(actual: np.ndarray, predicted: np.ndarray, name: str) -> Figure:
    """Draw predicted (n,) against actual values (n,), and the line on which they agree.

    Args:
        actual, predicted: in the same unit.
        name: what they are.
    """
    figure, axes = _figure(5.4, 5.0)
    ends = [min(actual.min(), predicted.min()), max(actual.max(), predicted.max())]
    axes.plot(ends, ends, color=GREY, linestyle=":", label="perfectly predicted")
    axes.scatter(actual, predicted, s=14, color=BLUE, alpha=0.5, linewidths=0, label="test rows")
    axes.set(xlabel=f"{label(name)}, actual", ylabel=f"{label(name)}, predicted", aspect="equal")
    axes.legend(loc="upper left")
    return figure


def training_figure(history: Mapping[str, Sequence[float]], best_epoch: int) -> Figure:
    """Draw the losses per epoch and, where the optimiser has one, the damping below them, on logarithmic axes.

    Args:
        history: ``epoch``, ``loss``, and if any ``validation_loss`` and ``damping``, one value per epoch.
        best_epoch: the epoch whose weights were kept.
    """
    rows = 2 if "damping" in history else 1
    figure = Figure(figsize=(7.5, 1.2 + 2.4 * rows), layout="constrained")
    panels = np.atleast_1d(figure.subplots(rows, 1, sharex=True))
    drawn = [[("loss", "training", BLUE), ("validation_loss", "validation", RED)], [("damping", "damping μ", GREEN)]]
    for axes, curves, ylabel in zip(panels, drawn, ("mean squared error, scaled", "damping μ"), strict=False):
        for name, label, colour in curves:
            if name in history:
                axes.plot(history["epoch"], history[name], color=colour, label=label)
        axes.axvline(best_epoch, color=GREY, linestyle=":", label=f"weights kept: epoch {best_epoch}")
        axes.set(ylabel=ylabel)
        # A loss of zero throughout has no place on a logarithmic axis.
        if any(max(history[name]) > 0 for name, _, _ in curves if name in history):
            axes.set(yscale="log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter(NullFormatter())
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].legend(loc="upper right")
    panels[-1].set_xlabel("epoch")
    return figure


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
