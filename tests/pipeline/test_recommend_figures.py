"""The recommender's figures draw the numbers they are given, whatever the columns are called."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from marketnn.report import recommend_figures as figures
from marketnn.report.page import FigureBlock


def test_every_model_is_a_bar_of_its_height_in_every_group() -> None:
    value = pd.DataFrame({"accuracy": [0.9, 0.8], "AUC": [0.7, 0.6]}, index=["a_$model", "b"])
    axes = figures.comparison_figure(value, value - 0.1, value.assign(AUC=np.nan)).axes[0]
    assert [bar.get_height() for bar in axes.patches] == [0.9, 0.7, 0.8, 0.6]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [r"a_\$model", "b"]
    segments = [segment[:, 1] for segment in axes.collections[0].get_segments()]
    np.testing.assert_allclose(segments[0], [0.8, 0.9])


def test_importance_is_drawn_from_the_largest_down() -> None:
    gain = pd.Series([0.2, 0.5, 0.3], index=list("abc"))
    left, right = figures.importance_figure(gain, gain * 0.1, gain * 0.01, n_most=2).axes
    assert [tick.get_text() for tick in left.get_yticklabels()] == ["c", "b"]
    np.testing.assert_allclose([bar.get_width() for bar in left.patches], [0.3, 0.5])
    np.testing.assert_allclose([bar.get_width() for bar in right.patches], [0.03, 0.05])


def test_contributions_stand_at_their_value_and_wear_the_features_colour() -> None:
    contributions = pd.DataFrame({"flat": [0.0, 0.0, 0.0], "told": [-1.0, 0.0, 2.0]})
    features = pd.DataFrame({"flat": [3.0, 3.0, 3.0], "told": [1.0, 5.0, 9.0]})
    axes = figures.contributions_figure(contributions, features).axes[0]
    flat, told = axes.collections[:2]
    np.testing.assert_allclose(told.get_offsets()[:, 0], [-1, 0, 2])
    np.testing.assert_allclose(told.get_array(), [0, 0.5, 1])
    np.testing.assert_allclose(flat.get_array(), 0.5)
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["flat", "told"]


def test_equal_values_spread_around_their_line_without_leaving_it() -> None:
    contributions = pd.DataFrame({"f": np.zeros(500)})
    offsets = figures.contributions_figure(contributions, contributions).axes[0].collections[0].get_offsets()
    assert np.abs(offsets[:, 1]).max() == pytest.approx(0.38, rel=0.01)
    assert len(np.unique(offsets[:, 1])) == 500


def test_an_empty_tier_has_a_promise_and_no_rate() -> None:
    tiers = pd.DataFrame(
        {
            "tier": [1, 2, 3, 4],
            "rows": [10, 5, 2, 0],
            "hit_rate": [0.1, 0.4, 0.5, np.nan],
            "low": [0.0, 0.2, 0.1, np.nan],
            "high": [0.3, 0.7, 0.9, np.nan],
        }
    )
    figure = figures.tiers_figure(tiers, (0, 0.2, 0.5, 0.8, 1))
    assert [bar.get_height() for bar in figure.axes[0].patches] == [10, 5, 2, 0]
    assert FigureBlock.of(figure, "tiers").png.startswith(b"\x89PNG")


def test_the_gain_curve_starts_at_nothing() -> None:
    gains = pd.DataFrame(
        {"share": [0.5, 1.0], "gain": [0.8, 1.0], "lift": [1.6, 0.4], "lift_low": [1.4, 0.3], "lift_high": [1.8, 0.5]}
    )
    left, right = figures.gain_figure(gains).axes
    np.testing.assert_allclose(left.lines[0].get_xydata(), [[0, 0], [0.5, 0.8], [1, 1]])
    np.testing.assert_allclose([bar.get_height() for bar in right.patches], [1.6, 0.4])


def test_policies_are_drawn_from_the_top_with_their_intervals() -> None:
    policies = pd.DataFrame(
        {"policy": ["best", "as offered"], "value": [2.0, 1.0], "low": [1.5, 0.8], "high": [2.5, 1.2]}
    )
    axes = figures.policy_figure(policies).axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["as offered", "best"]
    np.testing.assert_allclose(axes.collections[0].get_segments()[1][:, 0], [1.5, 2.5])


def test_without_calibration_there_is_one_reliability_curve() -> None:
    table = pd.DataFrame({"mean_probability": [0.1, 0.6], "observed_rate": [0.2, 0.5]})
    assert len(figures.reliability_figure(table, None).axes[0].lines) == 2
    assert len(figures.reliability_figure(table, table).axes[0].lines) == 3
