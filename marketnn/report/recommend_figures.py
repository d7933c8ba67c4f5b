"""Figures of the recommender: models compared, what drives acceptance, and what tiers and offers are worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from marketnn.report.figures import BLUE, GREEN, GREY, ORANGE, RED, label

COLOURS = (BLUE, RED, GREEN, ORANGE, "#6b46c1", "#2c7a7b", "#97266d", GREY)


def comparison_figure(value: pd.DataFrame, low: pd.DataFrame, high: pd.DataFrame) -> Figure:
    """Draw every measure (column) as a group of bars, one per model (row), with intervals (paper A, figure 4.6).

    Args:
        value, low, high: models x measures, between 0 and 1; a missing end leaves the interval out.
    """
    figure = Figure(figsize=(1.5 + 1.7 * len(value.columns), 4.2), layout="constrained")
    axes = _plain(figure.subplots())
    width = 0.84 / len(value)
    for place, name in enumerate(value.index):
        x = np.arange(len(value.columns)) + (place - (len(value) - 1) / 2) * width
        reach = np.nan_to_num([value.loc[name] - low.loc[name], high.loc[name] - value.loc[name]]).clip(0)
        axes.bar(x, value.loc[name], width, color=COLOURS[place % len(COLOURS)], label=label(name))
        axes.errorbar(x, value.loc[name], yerr=reach, fmt="none", ecolor="#1a202c", elinewidth=1, capsize=2)
    axes.set_xticks(range(len(value.columns)), [str(name) for name in value.columns])
    axes.set(ylabel="on the test rows", ylim=(0, 1))
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def roc_curves_figure(curves: Mapping[str, tuple[np.ndarray, np.ndarray, float]]) -> Figure:
    """Draw the ROC curves of several models (paper A, figure 4.5).

    Args:
        curves: model -> false positive rates, true positive rates, AUC.
    """
    figure = Figure(figsize=(5.8, 5.4), layout="constrained")
    axes = _plain(figure.subplots())
    for (name, (fpr, tpr, auc)), colour in zip(curves.items(), _cycle(len(curves)), strict=True):
        axes.plot(fpr, tpr, color=colour, linewidth=1.4, label=f"{label(name)}, AUC {auc:.3f}")
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="chance, AUC 0.500")
    axes.set(xlabel="false positive rate", ylabel="true positive rate", xlim=(0, 1), ylim=(0, 1.01), aspect="equal")
    axes.legend(loc="lower right", fontsize=9)
    return figure


def importance_figure(gain: pd.Series, permutation: pd.Series, spread: pd.Series, n_most: int = 15) -> Figure:
    """Draw the features of largest importance in training, and beside them what shuffling each costs on the test rows.

    Args:
        gain: feature -> share of the model's own importance, summing to 1 (paper A, table 4.2).
        permutation: feature -> fall of the AUC when the feature is shuffled.
        spread: standard deviation of that over repetitions.
        n_most: how many features are drawn.
    """
    shown = gain.sort_values(ascending=False).index[:n_most][::-1]
    figure = Figure(figsize=(9.5, 1.1 + 0.28 * len(shown)), layout="constrained")
    left, right = (_plain(axes) for axes in figure.subplots(1, 2, sharey=True))
    place = np.arange(len(shown))
    left.barh(place, gain[shown], color=BLUE)
    left.set_yticks(place, [label(name, 34) for name in shown])
    left.set_xlabel("share of the model's own importance")
    right.barh(place, permutation[shown], xerr=spread[shown], color=GREEN, error_kw={"elinewidth": 1})
    right.axvline(0, color=GREY, linewidth=1)
    right.set_xlabel("fall of the test AUC when shuffled")
    return figure


def contributions_figure(contributions: pd.DataFrame, features: pd.DataFrame, n_most: int = 12) -> Figure:
    """Draw how much each feature adds to each row's log odds (its SHAP value), coloured by the feature's value.

    Args:
        contributions: (n, d) to the log odds.
        features: (n, d) the rows' values, columns of the same names.
        n_most: how many features are drawn, those of the largest mean size first.
    """
    shown = contributions.abs().mean().sort_values(ascending=False).index[:n_most][::-1]
    figure = Figure(figsize=(8.2, 1.2 + 0.36 * len(shown)), layout="constrained")
    axes = _plain(figure.subplots())
    for place, name in enumerate(shown):
        value = contributions[name].to_numpy()
        points = axes.scatter(
            value,
            place + _swarm(value),
            c=_rank(features[name]),
            cmap="coolwarm",
            norm=Normalize(0, 1),
            s=5,
            linewidths=0,
        )
    axes.axvline(0, color=GREY, linewidth=1)
    axes.set_yticks(range(len(shown)), [label(name, 34) for name in shown])
    axes.set_xlabel("contribution to the log odds of acceptance")
    bar = figure.colorbar(points, ax=axes, ticks=[0.02, 0.98], aspect=30)
    bar.ax.set_yticklabels(["low", "high"])
    bar.set_label("value of the feature", labelpad=-14)
    bar.outline.set_visible(False)
    return figure


def gain_figure(gains: pd.DataFrame) -> Figure:
    """Draw the share of acceptances found among the rows scored highest, and the lift of every group, with intervals.

    Args:
        gains: a row per group of rows, highest probability first: ``share`` of the rows up to it, ``gain``, ``lift``,
            ``lift_low``, ``lift_high``.
    """
    figure = Figure(figsize=(9.5, 4.2), layout="constrained")
    left, right = (_plain(axes) for axes in figure.subplots(1, 2))
    left.plot([0, *gains["share"]], [0, *gains["gain"]], "o-", color=BLUE, markersize=4, label="model")
    left.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="chance")
    left.set(
        xlabel="rows contacted, highest probability first", ylabel="acceptances found", xlim=(0, 1), ylim=(0, 1.02)
    )
    for axis in (left.xaxis, left.yaxis):
        axis.set_major_formatter(PercentFormatter(1))
    left.legend(loc="lower right")
    place = np.arange(1, len(gains) + 1)
    reach = [gains["lift"] - gains["lift_low"], gains["lift_high"] - gains["lift"]]
    right.bar(place, gains["lift"], yerr=reach, color=BLUE, capsize=2, error_kw={"elinewidth": 1})
    right.axhline(1, color=GREY, linestyle=":")
    right.set(xlabel="group of equal size, highest probability first", ylabel="lift over the mean rate", xticks=place)
    return figure


def reliability_figure(before: pd.DataFrame, after: pd.DataFrame | None) -> Figure:
    """Draw observed rates against predicted probabilities, before and after calibration.

    Args:
        before, after: ``calibration_table``s; ``after`` is ``None`` where nothing was calibrated.
    """
    figure = Figure(figsize=(5.8, 5.4), layout="constrained")
    axes = _plain(figure.subplots())
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="perfectly calibrated")
    axes.plot(before["mean_probability"], before["observed_rate"], "s--", color=ORANGE, label="as the model says")
    if after is not None:
        axes.plot(after["mean_probability"], after["observed_rate"], "o-", color=BLUE, label="after calibration")
    axes.set(xlabel="mean predicted probability", ylabel="observed rate", xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.legend(loc="upper left")
    return figure


def tiers_figure(tiers: pd.DataFrame, bounds: Sequence[float]) -> Figure:
    """Draw the rows of each tier, and how many of them accepted against what the tier promises.

    Args:
        tiers: a row per tier: ``tier``, ``rows``, ``hit_rate``, ``low``, ``high`` (missing in an empty tier).
        bounds: probabilities at which tiers begin and end, one more than there are tiers.
    """
    figure = Figure(figsize=(9.0, 3.8), layout="constrained")
    left, right = (_plain(axes) for axes in figure.subplots(1, 2))
    place = np.arange(len(tiers))
    names = [f"tier {tier}" for tier in tiers["tier"]]
    left.bar_label(left.bar(place, tiers["rows"], color=BLUE), fmt="{:,.0f}", padding=2)
    left.set_xticks(place, names)
    left.set_ylabel("test rows")
    left.margins(y=0.12)
    for index, (low, high) in enumerate(pairwise(bounds)):
        right.fill_between(
            [index - 0.4, index + 0.4],
            low,
            high,
            color=GREY,
            alpha=0.25,
            linewidth=0,
            label=None if index else "promised",
        )
    # Where all accepted, or none, rounding may put an end of the interval beyond the rate.
    reach = [(tiers["hit_rate"] - tiers["low"]).clip(lower=0), (tiers["high"] - tiers["hit_rate"]).clip(lower=0)]
    right.errorbar(place, tiers["hit_rate"], yerr=reach, fmt="o", color=RED, capsize=3, label="observed, 95 % interval")
    right.set_xticks(place, names)
    right.set(ylabel="share that accepted", ylim=(0, 1.02), xlim=(-0.6, len(tiers) - 0.4))
    right.legend(loc="upper left")
    return figure


def policy_figure(policies: pd.DataFrame) -> Figure:
    """Draw what policies are worth, with intervals.

    Args:
        policies: a row per policy: ``policy``, ``value``, ``low``, ``high``.
    """
    shown = policies[::-1]
    figure = Figure(figsize=(8.2, 1.2 + 0.45 * len(shown)), layout="constrained")
    axes = _plain(figure.subplots())
    reach = [shown["value"] - shown["low"], shown["high"] - shown["value"]]
    axes.errorbar(shown["value"], np.arange(len(shown)), xerr=reach, fmt="o", color=BLUE, ecolor=GREY, capsize=3)
    axes.set_yticks(range(len(shown)), [label(name, 60) for name in shown["policy"]])
    axes.set(xlabel="value per row, in the unit of the revenue", ylim=(-0.6, len(shown) - 0.4))
    return figure


def _swarm(value: np.ndarray, n_bins: int = 60, height: float = 0.38) -> np.ndarray:
    """Spread points (n,) sideways where many share a value: alternately above and below, at most ``height`` away."""
    edges = np.linspace(value.min(), value.max(), n_bins + 1)
    bins = np.searchsorted(edges[1:-1], value)
    order = np.argsort(bins, kind="stable")
    counts = np.bincount(bins, minlength=n_bins)
    rank = np.empty(len(value))
    rank[order] = np.arange(len(value)) - np.repeat(np.cumsum(counts) - counts, counts)
    signed = np.ceil(rank / 2) * np.where(rank % 2, 1, -1)
    return height * signed / max(counts.max() / 2, 1)


def _rank(feature: pd.Series) -> np.ndarray:
    """Return where each value (n,) stands, from 0 for the least to 1 for the largest; one half where all are equal."""
    rank = feature.rank().to_numpy()
    width = rank.max() - rank.min()
    return (rank - rank.min()) / width if width > 0 else np.full(len(rank), 0.5)


def _cycle(n: int) -> list[str]:
    return [COLOURS[index % len(COLOURS)] for index in range(n)]


def _plain(axes: Axes) -> Axes:
    axes.spines[["top", "right"]].set_visible(False)
    return axes
