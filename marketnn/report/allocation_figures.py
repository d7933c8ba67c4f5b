"""Figures of allocations: customers by offer, how clearly offers win, fitted responses and spends."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from marketnn.report.figures import BLUE, GREY, RED, label

_PER_LINE = 3


def leads_figure(lead: np.ndarray) -> Figure:
    """Draw by how much each customer's best offer leads over the next best or none (n,), as a histogram."""
    figure = Figure(figsize=(7.0, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.hist(lead, bins=40, color=BLUE)
    axes.set(xlabel="lead of the best offer over the next best, or over none", ylabel="customers")
    return figure


def fitted_figure(
    observed: pd.DataFrame, curves: Mapping[str, tuple[np.ndarray, np.ndarray]], planned: Mapping[str, float]
) -> Figure:
    """Draw each channel's responses, the fitted curve and the planned spend of a period.

    Args:
        observed: ``channel, spend, response``.
        curves: channel -> spends and responses of the curve.
        planned: channel -> mean planned spend of a period; none where nothing is planned.
    """
    lines = -(-len(curves) // _PER_LINE)
    figure = Figure(figsize=(3.5 * min(len(curves), _PER_LINE), 2.9 * lines), layout="constrained")
    panels = figure.subplots(lines, min(len(curves), _PER_LINE), squeeze=False).flatten()
    for axes, (channel, (spend, response)) in zip(panels, curves.items(), strict=False):
        axes.spines[["top", "right"]].set_visible(False)
        rows = observed[observed["channel"] == channel]
        axes.plot(rows["spend"], rows["response"], "o", color=GREY, markersize=4, label="observed")
        axes.plot(spend, response, color=BLUE, label="fitted")
        if channel in planned:
            axes.axvline(planned[channel], color=RED, linestyle="--", label="planned, mean of a period")
        axes.set(title=label(channel), xlabel="spend", ylabel="response")
    for axes in panels[len(curves) :]:
        axes.set_axis_off()
    panels[0].legend(fontsize=8)
    return figure
