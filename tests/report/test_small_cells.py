"""Groups of few people: what a page shows of them is nothing."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from marketnn.report.small_cells import without_small

TABLE = pd.DataFrame(
    {"group": list("abcd"), "customers": [50, 9, 10, 0], "left": [3, 1, 10, 0], "rate": [0.06, 0.1, 1.0, 0.0]}
)


def test_small_groups_and_counts_are_left_out() -> None:
    shown = without_small(TABLE, 10, size="customers", cells={"left": ("rate",)}, mask="under 10")
    assert shown["group"].tolist() == ["a", "c", "d"]
    assert shown["left"].tolist() == ["under 10", 10, 0]
    assert shown["rate"].tolist() == ["under 10", 1.0, 0.0]
    assert without_small(TABLE, 10, size="customers", mask=np.nan)["left"].tolist() == [3, 10, 0]
    assert math.isnan(without_small(TABLE, 10, cells={"left": ()}, mask=np.nan)["left"].iloc[0])


def test_a_minimum_of_one_hides_nothing() -> None:
    pd.testing.assert_frame_equal(without_small(TABLE, 1, size="customers", cells={"left": ("rate",)}), TABLE)


@settings(deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=8), st.integers(1, 20))
def test_no_count_below_the_minimum_is_shown(counts: list[int], minimum: int) -> None:
    frame = pd.DataFrame({"n": counts, "m": counts[::-1]})
    shown = without_small(frame, minimum, size="n", cells={"m": ()}, mask="few")
    assert all(value == "few" or value == 0 or value >= minimum for row in shown.to_numpy() for value in row)
    assert len(shown) == sum(not 0 < count < minimum for count in counts)
