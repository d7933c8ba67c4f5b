"""Figures of a plan show the numbers they are given."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from marketnn.report import plan_figures


def boxes(axes: Axes) -> list[Rectangle]:
    """The panel's bars and frames, in the order in which they were drawn."""
    return [patch for patch in axes.patches if isinstance(patch, Rectangle)]


def widths(figure: Figure) -> list[float]:
    """Widths of the bars of the first panel."""
    return [bar.get_width() for bar in boxes(figure.axes[0])]


def test_strong_pairs_are_framed_on_both_sides() -> None:
    names = ["a", "b", "c"]
    correlation = pd.DataFrame([[1, 0.5, 0.2], [0.5, 1, -0.7], [0.2, -0.7, 1]], names, names)
    frames = boxes(plan_figures.correlation_figure(correlation, 0.5).axes[0])
    assert {(round(patch.get_x() + 0.5), round(patch.get_y() + 0.5)) for patch in frames} == {
        (0, 1),
        (1, 0),
        (1, 2),
        (2, 1),
    }


def test_the_most_important_feature_is_on_top() -> None:
    figure = plan_figures.importance_figure(pd.Series({"a": 0.2, "b": 0.7, "c": 0.1}), ["b"])
    assert widths(figure) == [0.1, 0.2, 0.7]
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == ["c", "a", "b"]


def test_bars_are_benefits_and_prices() -> None:
    benefits = pd.DataFrame({"plan": ["today", "planned"], "benefit": [10.0, 25.0]})
    assert widths(plan_figures.benefit_figure(benefits)) == [10.0, 25.0]
    assert widths(plan_figures.prices_figure({"call": 3.25, "money": 0.0})) == [3.25, 0.0]
    assert plan_figures.prices_figure({"call": 0.0}).axes[0].get_xlim()[1] > 0


def test_shares_are_stacked_to_one() -> None:
    shares = pd.DataFrame({"mail": [0.25, 1.0], "call": [0.75, 0.0]}, index=["segment 1", "segment 2"])
    bars = boxes(plan_figures.shares_figure(shares).axes[0])
    ends = [bar.get_x() + bar.get_width() for bar in bars]
    assert ends == [0.25, 1.0, 1.0, 1.0]


def test_quantities_lie_on_their_curves() -> None:
    curves = np.array([[4.0, 1.0, 2.0, 9.0], [6.0, 5.0, 3.0, 8.0]])
    figure = plan_figures.losses_figure(curves, {"entropy": [2, 2], "newsvendor": [1, 2]}, ["one", "two"], "pieces")
    first = {line.get_label(): line.get_xydata().tolist() for line in figure.axes[0].lines}  # type: ignore[union-attr]
    assert first["entropy"] == [[2.0, 2.0]]
    assert first["newsvendor"] == [[1.0, 1.0]]
    assert first["expected loss"] == [[0.0, 4.0], [1.0, 1.0], [2.0, 2.0]], (
        "without what costs more than four times the least"
    )
    assert [axes.get_title() for axes in figure.axes] == ["one", "two"]


def test_a_planned_mean_lies_on_its_response() -> None:
    spend = np.array([0.0, 10.0, 20.0])
    response = np.array([[0.0, 0.0], [4.0, 2.0], [6.0, 3.0]])
    curves = pd.DataFrame({"segment": ["one", "two"]})
    lines = plan_figures.responses_figure(curves, spend, response, np.array([5.0, 20.0])).axes[0].lines
    assert lines[1].get_xydata().tolist() == [[5.0, 2.0]]  # type: ignore[union-attr]
    assert lines[3].get_xydata().tolist() == [[20.0, 3.0]]  # type: ignore[union-attr]


def test_quarters_are_stacked_and_compared() -> None:
    spend = pd.DataFrame({"one": [1.0, 2.0], "two": [3.0, 4.0]}, index=[1, 2])
    summary = pd.DataFrame(
        {"quarter": ["1", "2", "later"], "response": [5.0, 6.0, 1.0], "even_response": [4.0, 4.5, 0.5]}
    )
    left, right = plan_figures.quarters_figure(spend, summary).axes
    assert [bar.get_y() + bar.get_height() for bar in boxes(left)[2:]] == [4.0, 6.0]
    assert [bar.get_height() for bar in boxes(right)] == [4.0, 4.5, 0.5, 5.0, 6.0, 1.0]


def test_the_printed_division_is_marked() -> None:
    split = pd.DataFrame({"advertising_share": [0.2, 0.4], "profit": [5.0, 7.0]})
    axes = plan_figures.case_figure(split, 0.3, 6.5, 2100.0).axes[0]
    assert axes.lines[1].get_xydata().tolist() == [[0.3, 6.5]]  # type: ignore[union-attr]
    assert "2,100" in axes.get_xlabel()
    assert axes.get_xlim() == pytest.approx((0, 1))
