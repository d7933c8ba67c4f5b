"""Drivers: what is left out is named, what is kept is what the fit says."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from marketnn.classify import SeparationError, fit_logistic, significant
from marketnn.classify.drivers import fit_drivers
from marketnn.errors import InputError


def customers(n: int = 600, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.normal(size=(n, 4)), columns=["tenure", "bill", "noise", "more noise"])
    odds = np.exp(1.2 * X["tenure"] - 0.8 * X["bill"])
    return X, (rng.random(n) < odds / (1 + odds)).astype(int)


def test_on_a_clean_table_it_is_the_plain_fit() -> None:
    X, y = customers()
    drivers = fit_drivers(X, y)
    pd.testing.assert_frame_equal(drivers.result.table, fit_logistic(X, y).table)
    assert drivers.kept == significant(drivers.result)
    assert drivers.n_significant == len(drivers.kept)
    assert drivers.left_out == {}


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000), weights=st.lists(st.integers(-3, 3), min_size=4, max_size=4))
def test_the_last_column_of_a_dependency_goes(seed: int, weights: list[int]) -> None:
    X, y = customers(seed=seed)
    taking_part = [name for name, weight in zip(X.columns, weights, strict=True) if weight]
    both = X.assign(total=X.to_numpy() @ weights)
    drivers = fit_drivers(both, y)
    assert list(drivers.left_out) == ["total"]
    reason = "follows from " + ", ".join(taking_part[:3]) + (", ..." if taking_part[3:] else "")
    assert drivers.left_out["total"] == (reason if taking_part else "the same in every training row")
    pd.testing.assert_frame_equal(drivers.result.table, fit_logistic(X, y).table, rtol=1e-8)


def test_columns_that_repeat_each_other_leave_one() -> None:
    X, y = customers()
    four = X[["tenure"]].assign(a=X["bill"], b=X["bill"], c=2 * X["bill"] + 1)
    drivers = fit_drivers(four, y)
    assert list(drivers.result.table.index) == ["const", "tenure", "a"]
    assert set(drivers.left_out) == {"b", "c"}


def test_a_rare_value_with_one_outcome_is_left_out_and_named() -> None:
    X, y = customers()
    rare = np.zeros(len(y))
    rare[np.flatnonzero(y == 0)[:3]] = 1
    drivers = fit_drivers(X.assign(rare=rare), y)
    assert drivers.left_out == {"rare": "with it, some rows have an outcome that is certain"}
    pd.testing.assert_frame_equal(drivers.result.table, fit_logistic(X, y).table)


def test_a_leak_is_an_error() -> None:
    X, y = customers()
    with pytest.raises(SeparationError, match="complete separation: column 'left on' predicts"):
        fit_drivers(X.assign(**{"left on": y * 30.0}), y)


def test_benjamini_hochberg_keeps_what_statsmodels_keeps() -> None:
    rng = np.random.default_rng(5)
    X, y = customers()
    wide = X.assign(**{f"x{i}": rng.normal(size=len(y)) for i in range(30)})
    drivers = fit_drivers(wide, y, correction="benjamini-hochberg")
    p = drivers.result.table["p_value"].drop("const")
    assert drivers.kept == p.index[multipletests(p, method="fdr_bh")[0]].tolist()
    assert drivers.n_significant <= len(fit_drivers(wide, y).kept)


@pytest.mark.parametrize("n_kept", [1, 3, 9])
def test_where_nothing_is_significant_the_smallest_p_stand_in(n_kept: int) -> None:
    X, y = customers()
    drivers = fit_drivers(X, y, level=1e-200, fallback_features=n_kept)
    p = drivers.result.table["p_value"].drop("const")
    assert drivers.n_significant == 0
    assert set(drivers.kept) == set(p.nsmallest(n_kept).index)
    assert drivers.kept == [name for name in X.columns if name in drivers.kept]


def test_tables_that_leave_nothing() -> None:
    X, y = customers()
    with pytest.raises(InputError, match=r"no feature is left .*flat: the same in every training row"):
        fit_drivers(pd.DataFrame({"flat": np.ones(len(y))}), y)
    with pytest.raises(InputError, match="fallback_features=0 must be at least 1"):
        fit_drivers(X, y, fallback_features=0)
