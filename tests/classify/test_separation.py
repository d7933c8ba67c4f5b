"""Both separations are told apart, and the columns that cause them are named."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketnn.classify import SeparationError, fit_logistic
from marketnn.classify.separation import find_separation
from marketnn.errors import InputError
from marketnn.seed import numpy_generator

N = 240


@pytest.fixture
def table() -> pd.DataFrame:
    scales, offsets = [1, 1e6, 1e-5], [0, 1e7, 3]
    return pd.DataFrame(numpy_generator(0).normal(size=(N, 3)) * scales + offsets, columns=["calm", "large", "small"])


@pytest.fixture
def y() -> np.ndarray:
    return numpy_generator(1).integers(0, 2, N)


def refused(table: pd.DataFrame, y: np.ndarray) -> tuple[str, set[str]]:
    with pytest.raises(SeparationError) as caught:
        fit_logistic(table, y)
    assert isinstance(caught.value, InputError)
    assert "penalised" in str(caught.value)
    assert str(caught.value).count("\n") <= 2
    return caught.value.kind, set(caught.value.columns)


@pytest.mark.parametrize("column", ["calm", "large", "small"])
def test_one_column_separates_completely(table: pd.DataFrame, column: str) -> None:
    leak = (table[column] < table[column].quantile(0.3)).to_numpy().astype(int)
    assert refused(table, leak) == ("complete", {column})


def test_two_columns_separate_completely_only_together(table: pd.DataFrame) -> None:
    leak = (table["calm"] + (table["large"] - 1e7) / 1e6 > 0).to_numpy().astype(int)
    assert refused(table, leak) == ("complete", {"calm", "large"})


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_a_level_with_one_outcome_separates_quasi_completely(table: pd.DataFrame, y: np.ndarray, scale: float) -> None:
    rare = numpy_generator(2).random(N) < 0.08
    assert refused(table.assign(rare=rare * scale), np.where(rare, 1, y)) == ("quasi", {"rare"})


def test_a_base_level_with_one_outcome_makes_all_other_levels_infinite(table: pd.DataFrame, y: np.ndarray) -> None:
    levels = pd.get_dummies(pd.Series(list("pqr") * (N // 3)))
    assert refused(table.join(levels[["q", "r"]]), np.where(levels["p"], 0, y)) == ("quasi", {"q", "r"})


def test_a_threshold_with_ties_separates_quasi_completely(y: np.ndarray) -> None:
    months = np.repeat([1, 2, 3], N // 3)
    outcome = np.where(months == 2, y, months > 2)
    assert refused(pd.DataFrame({"months": months}), outcome) == ("quasi", {"months"})


def test_one_row_across_the_border_ends_separation(table: pd.DataFrame) -> None:
    outcome = (table["calm"] > 0).to_numpy().astype(int)
    outcome[table["calm"].argmax()] = 0
    X = table[["calm"]]
    assert find_separation(X.to_numpy(), outcome) is None
    result = fit_logistic(X, outcome)
    assert result.converged
    np.testing.assert_allclose((outcome - result.predict_probability(X)) @ X.to_numpy(), 0, atol=1e-9)


@settings(deadline=None, max_examples=40)
@given(
    values=st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=4, max_size=12).filter(
        lambda rows: len({x for x, _ in rows}) > 1 and len({y for _, y in rows}) > 1
    )
)
def test_one_column_equals_comparing_the_two_ranges(values: list[tuple[int, bool]]) -> None:
    x, y = np.array([x for x, _ in values], dtype=float), np.array([int(label) for _, label in values])
    gap = max(x[y == 1].min() - x[y == 0].max(), x[y == 0].min() - x[y == 1].max())
    found = find_separation(x[:, None], y)
    assert (found.kind if found else None) == ("complete" if gap > 0 else "quasi" if gap == 0 else None)
