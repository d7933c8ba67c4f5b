"""Figures of clusters: every criterion against their number, and what tells them apart."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from marketnn.report.figures import BLUE, GREY, RED, label

_PER_LINE = 4


def criteria_figure(criteria: pd.DataFrame, choices: Mapping[str, int], chosen: int) -> Figure:
    """Draw each criterion of ``choose_n_clusters`` against k, with its own choice (red) and the one taken (dotted).

    Args:
        criteria: a row per k, a column per criterion; a column ``gap_error`` is drawn as the bars of ``gap``.
        choices: criterion -> its k.
        chosen: the k taken.
    """
    names = [name for name in criteria.columns if name != "gap_error"]
    lines = math.ceil(len(names) / _PER_LINE)
    figure = Figure(figsize=(2.9 * _PER_LINE, 2.6 * lines), layout="constrained")
    panels = figure.subplots(lines, _PER_LINE, squeeze=False).flatten()
    for axes, name in zip(panels, names, strict=False):
        error = criteria["gap_error"] if name == "gap" and "gap_error" in criteria else None
        axes.errorbar(criteria.index, criteria[name], yerr=error, fmt="o-", color=BLUE, markersize=4, capsize=2)
        if name in choices:
            axes.plot(choices[name], criteria.loc[choices[name], name], "o", color=RED, markersize=8)
        axes.axvline(chosen, color=GREY, linestyle=":")
        axes.set(title=name.replace("_", " "), xlabel="number of clusters k")
        axes.set_xticks(criteria.index)
        axes.spines[["top", "right"]].set_visible(False)
        axes.margins(0.08)
    for axes in panels[len(names) :]:
        axes.remove()
    return figure


def profile_figure(z: pd.DataFrame, everybody: str) -> Figure:
    """Draw features (rows) against segments (columns) as a map of z values.

    Args:
        z: indexed by segment, a column per feature: how many standard deviations the segment's mean lies from everybody's.
        everybody: whom the segments are compared with, in words.
    """
    values = z.to_numpy().T
    size = (4.6 + 0.9 * values.shape[1], 1.4 + 0.34 * values.shape[0])
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    limit = max(1.0, float(np.abs(values).max()))
    image = axes.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
    axes.set_xticks(range(values.shape[1]), [label(name) for name in z.index])
    axes.set_yticks(range(values.shape[0]), [label(name) for name in z.columns])
    for row, column in np.ndindex(values.shape):
        dark = abs(values[row, column]) > 0.6 * limit
        text = f"{values[row, column]:.1f}"
        axes.text(column, row, text, ha="center", va="center", fontsize=8, color="white" if dark else "black")
    axes.spines[:].set_visible(False)
    figure.colorbar(image, ax=axes, label=f"z against {everybody}")
    return figure
