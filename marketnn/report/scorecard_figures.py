"""Figures of a scorecard."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.projections.polar import PolarAxes

from marketnn.report.figures import BLUE, GREEN, GREY, ORANGE, RED

COLOURS = (GREEN, GREY, RED, BLUE, ORANGE)


def radar_figure(means: pd.DataFrame) -> Figure:
    """Draw values between 0 and 1 on one axis per row of the table, all from one centre, a closed line per column.

    Args:
        means: three rows or more, named by the dimensions; up to five columns.
    """
    figure = Figure(figsize=(6.4, 5.2), layout="constrained")
    axes = figure.add_subplot(projection="polar")
    assert isinstance(axes, PolarAxes)
    angle = np.linspace(0, 2 * np.pi, len(means), endpoint=False)
    closed = np.append(angle, angle[0])
    for colour, (name, values) in zip(COLOURS, means.items(), strict=False):
        line = np.append(values.to_numpy(), values.iloc[0])
        axes.plot(closed, line, color=colour, linewidth=1.8, label=str(name))
        axes.fill(closed, line, color=colour, alpha=0.08)
    axes.set_theta_offset(np.pi / 2)
    axes.set_theta_direction(-1)
    axes.set_xticks(angle, [str(name).replace(" and ", "\nand ") for name in means.index])
    for label, turned in zip(axes.get_xticklabels(), np.sin(angle), strict=True):
        label.set_horizontalalignment("center" if abs(turned) < 0.1 else "left" if turned > 0 else "right")
    axes.set_ylim(0, 1)
    axes.set_yticks([0.25, 0.5, 0.75, 1.0])
    axes.tick_params(axis="y", labelsize=8, labelcolor=GREY)
    figure.legend(loc="outside lower center", ncols=len(means.columns), frameon=False)
    return figure
