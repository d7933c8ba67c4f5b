"""Figures of a marketing plan: features, projects before and after, limits and their prices, resources, quarters."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from marketnn.report.figures import BLUE, GREEN, GREY, ORANGE, RED, label
from marketnn.report.segment_figures import SEGMENTS

_PER_LINE = 3
_ANNOTATED = 16  # columns up to which a map of numbers shows them


def correlation_figure(correlation: pd.DataFrame, threshold: float) -> Figure:
    """Draw the correlations of features (d, d); strong ones are framed (paper B, fig. 1)."""
    values = correlation.to_numpy()
    d = len(values)
    side = 2.6 + (0.52 * d if d <= _ANNOTATED else 0.3 * min(d, 3 * _ANNOTATED))
    figure = Figure(figsize=(side + 0.9, side), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(values, cmap="RdBu_r", vmin=-1, vmax=1)
    names = [label(name, 22) for name in correlation.columns]
    axes.set_xticks(range(d), names, rotation=60, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(d), names)
    for row, column in np.ndindex(values.shape):
        number = values[row, column]
        if d <= _ANNOTATED:
            colour = "white" if abs(number) > 0.6 else "black"
            axes.text(column, row, f"{number:.2f}", ha="center", va="center", fontsize=8, color=colour)
        if row != column and abs(number) >= threshold:
            axes.add_patch(_frame(column, row))
    axes.spines[:].set_visible(False)
    figure.colorbar(image, ax=axes, label="Pearson correlation r", shrink=0.8)
    return figure


def importance_figure(importance: pd.Series, kept: Sequence[str], n_most: int = 20) -> Figure:
    """Draw the importance of features, the greatest on top; those that stay are blue (paper B, fig. 2)."""
    shown = importance.sort_values(ascending=False, kind="stable").head(n_most)[::-1]
    figure = Figure(figsize=(7.2, 1.1 + 0.3 * len(shown)), layout="constrained")
    axes = _plain(figure.subplots())
    bars = axes.barh(range(len(shown)), shown, color=[BLUE if name in kept else GREY for name in shown.index])
    axes.bar_label(bars, fmt="{:.3f}", fontsize=8, padding=3)
    axes.set_yticks(range(len(shown)), [label(name) for name in shown.index])
    axes.set_xlabel("share of the importance; grey features go")
    axes.margins(x=0.12)
    return figure


def benefit_figure(benefits: pd.DataFrame) -> Figure:
    """Draw each plan's benefit after all costs, before (grey) and after (blue).

    Args:
        benefits: columns plan, benefit; the first row is today's.
    """
    figure = Figure(figsize=(7.6, 1.2 + 0.5 * len(benefits)), layout="constrained")
    axes = _plain(figure.subplots())
    bars = axes.barh(benefits["plan"], benefits["benefit"], color=[GREY, *[BLUE] * (len(benefits) - 1)], height=0.6)
    axes.bar_label(bars, fmt="{:,.0f}", fontsize=9, padding=3)
    axes.invert_yaxis()
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.set_xlabel("expected benefit less contact and fixed costs, money")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.margins(x=0.14)
    return figure


def shares_figure(shares: pd.DataFrame) -> Figure:
    """Draw how the customers of each segment divide among projects, as stacked bars.

    Args:
        shares: a row per segment, a column per project, rows that sum to 1.
    """
    figure = Figure(figsize=(7.6, 1.4 + 0.42 * len(shares)), layout="constrained")
    axes = _plain(figure.subplots())
    _stack(axes, shares, horizontal=True)
    axes.invert_yaxis()
    axes.set(xlabel="share of the segment's customers", xlim=(0, 1))
    figure.legend(loc="outside right center")
    return figure


def prices_figure(prices: Mapping[str, float]) -> Figure:
    """Draw what one more unit of each limit is worth."""
    figure = Figure(figsize=(7.2, 1.2 + 0.42 * len(prices)), layout="constrained")
    axes = _plain(figure.subplots())
    bars = axes.barh([label(name) for name in prices], list(prices.values()), color=ORANGE, height=0.6)
    axes.bar_label(bars, fmt="{:,.4g}", fontsize=9, padding=3)
    axes.set_xlabel("worth of one more unit of the limit, money")
    axes.set_xlim(0, 1.15 * max(*prices.values(), 1e-9))
    axes.set_ylim(len(prices) - 0.2, -0.8)
    return figure


def losses_figure(
    curves: np.ndarray, quantities: Mapping[str, Sequence[int]], names: Sequence[str], unit: str
) -> Figure:
    """Draw the expected loss of every quantity, a panel per segment, and the quantities that the rules choose.

    Args:
        curves: (k, X) expected loss of 0 .. X-1 units.
        quantities: rule -> (k,) units.
        names: of the segments.
        unit: of a quantity.
    """
    lines = math.ceil(len(names) / _PER_LINE)
    figure = Figure(figsize=(3.3 * _PER_LINE, 2.5 * lines + 0.5), layout="constrained")
    panels = figure.subplots(lines, _PER_LINE, squeeze=False).flatten()
    for place, (axes, name) in enumerate(zip(panels, names, strict=False)):
        chosen = [found[place] for found in quantities.values()]
        x = np.arange(*_window(curves[place], min(chosen), max(chosen)))
        axes.plot(x, curves[place, x], color=BLUE, label="expected loss")
        for (rule, found), colour, marker in zip(quantities.items(), (RED, GREEN), "o^", strict=False):
            axes.plot(found[place], curves[place, found[place]], marker, color=colour, linestyle="", label=rule)
        axes.set_title(label(name), fontsize=10)
        _plain(axes)
    for axes in panels[len(names) :]:
        axes.remove()
    figure.supxlabel(f"quantity provided: {unit}", fontsize=10)
    figure.supylabel("expected loss, money", fontsize=10)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False)
    return figure


def responses_figure(curves: pd.DataFrame, spend: np.ndarray, response: np.ndarray, effective: np.ndarray) -> Figure:
    """Draw assumed responses to a quarter's spend, a line per segment, and the spend that is planned to work.

    Args:
        curves: columns segment, one row each, for the names.
        spend: (S,) spends.
        response: (S, k) responses.
        effective: (k,) mean effective spend of a quarter, of which the response is read off the lines.
    """
    figure = Figure(figsize=(7.6, 4.2), layout="constrained")
    axes = _plain(figure.subplots())
    for place, name in enumerate(curves["segment"]):
        axes.plot(spend, response[:, place], color=SEGMENTS(place % 10), label=label(name))
        height = np.interp(effective[place], spend, response[:, place])
        axes.plot(effective[place], height, "o", color=SEGMENTS(place % 10))
    axes.set(xlabel="effective spend in a quarter, money", ylabel="added benefit in the quarter, money")
    axes.margins(x=0.02)
    axes.set_ylim(bottom=0)
    figure.legend(loc="outside right center", title="point: planned mean")
    return figure


def quarters_figure(spend: pd.DataFrame, summary: pd.DataFrame) -> Figure:
    """Draw the planned spend of every quarter by segment, and what it brings beside the even plan.

    Args:
        spend: a row per quarter, a column per segment.
        summary: columns quarter, response, even_response.
    """
    figure = Figure(figsize=(9.6, 4.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    _stack(_plain(left), spend, horizontal=False)
    left.set(xlabel="quarter", ylabel="planned spend, money")
    left.set_ylim(bottom=0)
    place = np.arange(len(summary))
    for shift, name, colour, words in (
        (-0.2, "even_response", GREY, "spread evenly"),
        (0.2, "response", BLUE, "planned"),
    ):
        bars = right.bar(place + shift, summary[name], 0.38, color=colour, label=words)
        right.bar_label(bars, fmt="{:,.0f}", fontsize=7, padding=2)
    right.set_xticks(place, summary["quarter"])
    right.set(xlabel="quarter", ylabel="added benefit, money")
    right.legend(loc="upper center", bbox_to_anchor=(0.5, 1.14), ncols=2, frameon=False)
    _plain(right)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=min(len(spend.columns), 6))
    return figure


def case_figure(split: pd.DataFrame, share: float, profit: float, spend: float) -> Figure:
    """Draw the profit of a fixed spend divided between advertising and promotion.

    Args:
        split: columns advertising_share, profit.
        share, profit: of the printed division.
        spend: in total.
    """
    figure = Figure(figsize=(7.2, 3.8), layout="constrained")
    axes = _plain(figure.subplots())
    axes.plot(split["advertising_share"], split["profit"], color=BLUE, label="calibrated demand")
    axes.plot(share, profit, "o", color=RED, label=f"printed division, {share:.1%} advertising")
    axes.set(
        xlabel=rf"share of advertising in a spend of {spend:,.0f} $\times\,10^4$ yuan",
        ylabel=r"profit, $10^4$ yuan",
        xlim=(0, 1),
    )
    axes.legend(loc="lower center")
    return figure


def _stack(axes: Axes, table: pd.DataFrame, *, horizontal: bool) -> None:
    """Stack the columns of each row, in the colours of the segments."""
    base = np.zeros(len(table))
    rows = [label(name) for name in table.index]
    for place, (name, values) in enumerate(table.items()):
        colour, numbers = SEGMENTS(place % 10), values.to_numpy(dtype=float)
        if horizontal:
            axes.barh(rows, numbers, 0.65, left=base, color=colour, label=label(name))
        else:
            axes.bar(rows, numbers, 0.65, bottom=base, color=colour, label=label(name))
        base += numbers


def _window(curve: np.ndarray, low: int, high: int) -> tuple[int, int]:
    """Return the range around the chosen quantities in which the loss stays within a few times its least."""
    near = np.flatnonzero(curve <= 4 * curve.min() + 1e-12)
    return min(int(near[0]), low), max(int(near[-1]), high) + 1


def _frame(column: int, row: int) -> Rectangle:
    return Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor="black", linewidth=1.6)


def _plain(axes: Axes) -> Axes:
    axes.spines[["top", "right"]].set_visible(False)
    return axes
