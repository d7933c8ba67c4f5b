"""Shares of a value: by hand, against the definition of Gini, and what holds for any numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from marketnn.cluster.concentration import concentration
from marketnn.errors import InputError

VALUES = arrays(float, st.integers(1, 40), elements=st.floats(0, 1e6)).filter(lambda values: values.sum() > 1e-3)


def test_four_rows_by_hand() -> None:
    spread = concentration(np.array([1.0, 6.0, 0.0, 3.0]))
    np.testing.assert_allclose(spread.value_share, [0, 0.6, 0.9, 1.0, 1.0])
    assert spread.top(0.25).value_share == pytest.approx(0.6)
    assert spread.top(0.3).value_share == pytest.approx(0.6 + 0.2 * 0.3)
    assert spread.rows_for(0.75).row_share == pytest.approx(0.375)
    assert (spread.above_mean.row_share, spread.above_mean.value_share) == pytest.approx((0.5, 0.9))
    assert spread.gini == pytest.approx(0.5)


@given(VALUES)
@settings(deadline=None, max_examples=60)
def test_gini_is_half_the_relative_mean_difference(values: np.ndarray) -> None:
    expected = np.abs(values[:, None] - values[None]).mean() / (2 * values.mean())
    assert concentration(values).gini == pytest.approx(expected, abs=1e-9)


@given(VALUES, st.floats(0.01, 1))
@settings(deadline=None, max_examples=60)
def test_the_curve_is_concave_and_above_the_diagonal(values: np.ndarray, share: float) -> None:
    spread = concentration(values)
    assert spread.value_share[-1] == 1
    assert spread.value_share[0] == 0
    assert (np.diff(spread.value_share, 2) <= 1e-12).all()
    assert spread.top(share).value_share >= share - 1e-12
    assert spread.above_mean.value_share >= spread.above_mean.row_share - 1e-12


@given(VALUES, st.floats(0.1, 1e3))
@settings(deadline=None, max_examples=30)
def test_units_and_repeats_change_nothing(values: np.ndarray, unit: float) -> None:
    expected = concentration(values).gini
    assert concentration(values * unit).gini == pytest.approx(expected, abs=1e-9)
    assert concentration(np.repeat(values, 3)).gini == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0, -2.0], "the value is -2 in row 2"),
        ([1.0, np.nan], "the value is nan in row 2"),
        ([0.0, 0.0], "the value is 0 in every row"),
        ([[1.0]], r"not an array of shape \(1, 1\)"),
        ([], "one number per row"),
    ],
)
def test_what_has_no_shares_is_refused(values: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        concentration(np.array(values))
