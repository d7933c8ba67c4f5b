"""Groups of equal rows are pandas' own, whatever the columns hold."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketnn.preprocess import twins
from marketnn.preprocess.twins import twin_groups

CELLS = {
    "number": st.sampled_from([0.0, -0.0, 1.0, 1.5, 2**53 + 2.0, np.nan]),
    "count": st.integers(0, 2),
    "text": st.sampled_from(["a", "b", "", "nan", None]),
}


def by_pandas(frame: pd.DataFrame) -> np.ndarray:
    return frame.groupby(list(frame.columns), dropna=False, sort=False, observed=True).ngroup().to_numpy()


@given(st.lists(st.fixed_dictionaries(CELLS), min_size=1, max_size=30), st.sampled_from([object, "str", "category"]))
def test_groups_are_those_of_pandas(rows: list[dict[str, object]], text: str | type) -> None:
    frame = pd.DataFrame(rows).astype({"text": text})
    np.testing.assert_array_equal(twin_groups(frame), by_pandas(frame))


def test_row_labels_do_not_count() -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0, 1.0]}, index=[7, 7, 9])
    assert twin_groups(frame).tolist() == [0, 1, 0]


@pytest.mark.parametrize("column", [[1.0, 2.0, 1.0, np.nan, np.nan], ["a", "b", "a", None, None]])
def test_a_hash_of_two_rows_is_found_out(column: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pd.DataFrame({"x": column})
    expected = by_pandas(frame)
    constant = pd.Series(np.zeros(5, dtype=np.uint64))
    monkeypatch.setattr(twins.pd.util, "hash_pandas_object", lambda frame, index: constant)
    assert twin_groups(frame).tolist() == expected.tolist() == [0, 1, 0, 2, 2]
