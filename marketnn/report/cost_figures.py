"""Figures of costs."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from marketnn.report.figures import BLUE, GREY, RED, label

N_MOST = 10


def tornado_figure(table: pd.DataFrame, total: float, *, xlabel: str = "total cost") -> Figure:
    """Draw how far each item moves the total, the widest on top.

    Args:
        table: indexed by item, the widest swing first: ``low``, ``high`` (the total at the item's ends).
        total: at the items as they are.
        xlabel: what the total is, with its unit.
    """
    shown = table.head(N_MOST)[::-1]
    figure = Figure(figsize=(7.5, 1.2 + 0.34 * len(shown)), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    place = np.arange(len(shown))
    axes.barh(place, shown["high"] - total, left=total, color=RED, label="at the item's upper end")
    axes.barh(place, shown["low"] - total, left=total, color=BLUE, label="at its lower end")
    axes.axvline(total, color=GREY, linewidth=1)
    axes.set_yticks(place, [label(str(name).replace("_", " ")) for name in shown.index])
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel(xlabel)
    axes.legend(loc="lower right", fontsize=8)
    return figure
