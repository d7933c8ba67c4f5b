"""Figures of segments: what tells them apart, where they lie, how the algorithms got there, who holds the value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from marketnn.report.figures import BLUE, GREEN, GREY, ORANGE, RED, label

LINES = (BLUE, RED, GREEN, ORANGE, "#6b46c1", "#0987a0", GREY)
SEGMENTS = colormaps["tab10"]


def map_figure(points: np.ndarray, explained: Sequence[float], labels: np.ndarray, names: Sequence[str]) -> Figure:
    """Draw rows on their first two principal components, coloured by segment.

    Args:
        points: (n, 2).
        explained: the share of the variance that each component holds.
        labels: (n,) indices into ``names``.
        names: of the segments.
    """
    figure, axes = _figure(7.2, 4.8)
    for place, name in enumerate(names):
        mine = points[labels == place]
        axes.scatter(mine[:, 0], mine[:, 1], s=8, alpha=0.6, linewidths=0, color=SEGMENTS(place % 10), label=name)
    axes.set(
        xlabel=f"first principal component ({explained[0]:.0%} of the variance)",
        ylabel=f"second principal component ({explained[1]:.0%})",
    )
    figure.legend(loc="outside right center", markerscale=2)
    return figure


def rounds_figure(histories: Mapping[str, Sequence[float]]) -> Figure:
    """Draw what each algorithm lowers, round by round, as a multiple of what it ends at: a line per algorithm.

    Args:
        histories: the algorithm, and what it lowers -> values, one per round.
    """
    figure, axes = _figure(7.2, 4.2)
    for (name, history), colour in zip(histories.items(), LINES, strict=False):
        rounds = np.arange(1, len(history) + 1)
        axes.plot(rounds, np.asarray(history) / (history[-1] or 1.0), color=colour, label=name)
        axes.plot(rounds[-1], 1, "o", color=colour, markersize=5)
    axes.set(xlabel="round, swap or sample", ylabel="multiple of the final value")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(loc="upper right")
    return figure


def errors_figure(errors: Mapping[str, float]) -> Figure:
    """Draw the final total error of each algorithm as bars from 0."""
    figure, axes = _figure(1.8 + 1.3 * len(errors), 3.8)
    bars = axes.bar(range(len(errors)), list(errors.values()), width=0.6, color=[BLUE, *[GREY] * (len(errors) - 1)])
    axes.bar_label(bars, fmt="{:.4g}", fontsize=8, padding=2)
    axes.set_xticks(range(len(errors)), list(errors))
    axes.set_ylabel("total error, scaled units")
    axes.margins(y=0.12)
    return figure


def lorenz_figure(
    row_share: np.ndarray, value_share: np.ndarray, gini: float, groups: Mapping[str, tuple[float, float]], name: str
) -> Figure:
    """Draw the share of a value that the greatest rows hold (paper B, fig. 3), with groups marked.

    Args:
        row_share, value_share: (n + 1,) each from 0 to 1, greatest values first.
        gini: for the legend.
        groups: name -> (share of the rows, share of the value).
        name: of the value.
    """
    figure, axes = _figure(8.4, 4.6)
    axes.plot(row_share, value_share, color=BLUE, label=f"greatest rows first, Gini {gini:.3f}")
    axes.plot(1 - row_share, 1 - value_share, color=BLUE, linestyle="--", linewidth=1, label="smallest first (Lorenz)")
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="equal shares")
    for (group, point), colour in zip(groups.items(), (RED, ORANGE, GREEN), strict=False):
        axes.plot(*point, "o", color=colour, label=f"{group}: {point[0]:.1%} hold {point[1]:.1%}")
    axes.set(xlabel="share of the rows", ylabel=f"share of {label(name)}", xlim=(0, 1), ylim=(0, 1.01))
    _percent(axes)
    figure.legend(loc="outside right center")
    return figure


def pareto_figure(means: Sequence[float], cumulative: Sequence[float], name: str) -> Figure:
    """Draw tenths of the rows, greatest first: the mean of a value as bars and its cumulative share as a line.

    Args:
        means: of each tenth.
        cumulative: share of the value held by this tenth and those before it.
        name: of the value.
    """
    figure, axes = _figure(7.2, 4.2)
    tenths = np.arange(1, len(means) + 1)
    bars = axes.bar(tenths, means, color=BLUE, width=0.7)
    texts = [f"{mean:,.0f}" if mean >= 100 else f"{mean:.3g}" for mean in means]
    axes.bar_label(bars, texts, fontsize=7, padding=2)
    axes.set(xlabel="tenths of the rows, greatest values first", ylabel=f"mean {label(name)}")
    axes.set_xticks(tenths)
    axes.margins(y=0.12)
    right = axes.twinx()
    right.plot(tenths, cumulative, "o-", color=RED, markersize=4)
    right.set_ylabel(f"cumulative share of {label(name)}", color=RED)
    right.set_ylim(0, 1.05)
    right.yaxis.set_major_formatter(PercentFormatter(1))
    right.spines[["top"]].set_visible(False)
    return figure


def _percent(axes: Axes) -> None:
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.yaxis.set_major_formatter(PercentFormatter(1))


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
