"""Linear dependencies are found, named, and written as equations that hold."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketnn.classify import CollinearityError, fit_logistic
from marketnn.classify.collinearity import find_dependencies
from marketnn.errors import InputError
from marketnn.seed import numpy_generator

N = 120


@pytest.fixture
def table() -> pd.DataFrame:
    generator = numpy_generator(0)
    return pd.DataFrame(generator.normal(size=(N, 4)) * [1, 1e6, 1e-5, 30] + [0, 1e7, 0, 2000], columns=list("abcd"))


Y = numpy_generator(1).integers(0, 2, N)


def columns_refused(table: pd.DataFrame) -> set[frozenset[str]]:
    with pytest.raises(CollinearityError) as caught:
        fit_logistic(table, Y)
    assert isinstance(caught.value, InputError)
    assert "Drop one column" in str(caught.value)
    assert str(caught.value).count("\n") <= 2
    return set(caught.value.columns)


def test_independent_columns_pass_whatever_their_units(table: pd.DataFrame) -> None:
    assert np.isfinite(fit_logistic(table, Y).table.drop(columns="vif")).all(axis=None)


def test_sum_of_badly_scaled_columns(table: pd.DataFrame) -> None:
    table["total"] = table["a"] + table["b"] * 1e-6
    assert columns_refused(table) == {frozenset({"a", "b", "total"})}


def test_the_same_column_in_other_units(table: pd.DataFrame) -> None:
    table["fahrenheit"] = 32 + 1.8 * table["c"] * 1e5
    assert columns_refused(table) == {frozenset({"c", "fahrenheit"})}


def test_all_levels_of_a_category(table: pd.DataFrame) -> None:
    levels = pd.get_dummies(pd.Series(list("pqr") * (N // 3)))
    assert columns_refused(table.join(levels)) == {frozenset({"p", "q", "r"})}


def test_every_dependency_is_listed(table: pd.DataFrame) -> None:
    table["twice"] = 2 * table["a"]
    table["difference"] = table["d"] - table["c"] * 1e6
    table["fixed"] = 0.1
    assert columns_refused(table) == {frozenset({"a", "twice"}), frozenset("cd") | {"difference"}, frozenset({"fixed"})}


def test_a_constant_column_is_called_constant(table: pd.DataFrame) -> None:
    with pytest.raises(CollinearityError, match=r"'fixed' is constant \(7\)"):
        fit_logistic(table.assign(fixed=7), Y)


@settings(deadline=None, max_examples=25)
@given(
    weights=st.lists(st.floats(-5, 5).filter(lambda w: abs(w) > 0.01), min_size=1, max_size=3), shift=st.floats(-9, 9)
)
def test_the_equation_printed_holds(weights: list[float], shift: float) -> None:
    x = numpy_generator(2).normal(size=(N, 4))
    x = np.column_stack([x, shift + x[:, : len(weights)] @ weights])
    names = list("abcde")
    mean, deviation = x.mean(0), x.std(0)
    (found,) = find_dependencies((x - mean) / deviation, mean, deviation, names)
    assert found.columns == {*names[: len(weights)], "e"}
    rebuilt = found.intercept + sum(weight * x[:, names.index(name)] for name, weight in found.weights.items())
    np.testing.assert_allclose(rebuilt, x[:, names.index(found.column)], atol=1e-6)
