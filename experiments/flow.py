"""A procedure as boxes from left to right."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from marketnn.report.figures import BLUE, GREY


def flow_figure(boxes: Sequence[str]) -> Figure:
    """Draw one box per step, its text inside, and arrows between them."""
    figure = Figure(figsize=(2.1 * len(boxes), 1.6), layout="constrained")
    axes = figure.subplots()
    style = {"boxstyle": "round,pad=0.5", "facecolor": "white", "edgecolor": BLUE}
    for place, text in enumerate(boxes):
        axes.text(place, 0, text, ha="center", va="center", fontsize=9, bbox=style)
        if place:
            arrow = {"arrowstyle": "->", "color": GREY}
            axes.annotate("", (place - 0.4, 0), (place - 0.6, 0), arrowprops=arrow)
    axes.set(xlim=(-0.5, len(boxes) - 0.5), ylim=(-1, 1))
    axes.axis("off")
    return figure
