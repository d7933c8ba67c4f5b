"""fit_logistic against statsmodels and against the equations that define the estimate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.outliers_influence import variance_inflation_factor

from marketnn.classify import LogisticResult, fit_logistic, significant
from marketnn.preprocess.standard import StandardScaler
from marketnn.seed import numpy_generator


def overlapping_table(seed: int, n_rows: int = 300, n_columns: int = 4) -> tuple[pd.DataFrame, pd.Series]:
    """Correlated columns and labels that follow them loosely."""
    generator = numpy_generator(seed)
    x = generator.normal(size=(n_rows, n_columns)) @ generator.normal(size=(n_columns, n_columns))
    score = x @ generator.normal(scale=0.5, size=n_columns) - 0.5
    y = (generator.random(n_rows) < 1 / (1 + np.exp(-score))).astype(int)
    return pd.DataFrame(x, columns=[f"feature {place}" for place in range(n_columns)]), pd.Series(y)


@pytest.fixture(scope="module")
def fitted() -> tuple[pd.DataFrame, pd.Series, LogisticResult]:
    X, y = overlapping_table(seed=0)
    return X, y, fit_logistic(X, y)


def test_table_equals_statsmodels(fitted: tuple[pd.DataFrame, pd.Series, LogisticResult]) -> None:
    X, y, ours = fitted
    theirs = sm.Logit(y, sm.add_constant(X)).fit(disp=False, tol=1e-12)
    assert ours.table.index.tolist() == ["const", *X.columns]
    interval = theirs.conf_int()
    for column, expected in {
        "coef": theirs.params,
        "std_err": theirs.bse,
        "z": theirs.tvalues,
        "p_value": theirs.pvalues,
        "ci_low": interval[0],
        "ci_high": interval[1],
    }.items():
        np.testing.assert_allclose(ours.table[column], expected, rtol=1e-8, atol=1e-12, err_msg=column)
    np.testing.assert_allclose(
        [ours.log_likelihood, ours.null_log_likelihood, ours.mcfadden, ours.aic, ours.bic],
        [theirs.llf, theirs.llnull, theirs.prsquared, theirs.aic, theirs.bic],
        rtol=1e-9,
    )
    assert (ours.n_rows, ours.n_positive, ours.converged) == (300, y.sum(), True)
    np.testing.assert_allclose(ours.predict_probability(X), theirs.predict(), rtol=1e-9)


def test_vif_equals_statsmodels(fitted: tuple[pd.DataFrame, pd.Series, LogisticResult]) -> None:
    X, _, ours = fitted
    design = sm.add_constant(X).to_numpy()
    expected = [variance_inflation_factor(design, place) for place in range(1, design.shape[1])]
    np.testing.assert_allclose(ours.table["vif"].iloc[1:], expected, rtol=1e-9)
    assert np.isnan(ours.table.loc["const", "vif"])


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**20))
def test_score_equations_hold(seed: int) -> None:
    X, y = overlapping_table(seed)
    residual = y.to_numpy() - fit_logistic(X, y).predict_probability(X)
    np.testing.assert_allclose(np.column_stack([np.ones(len(X)), X]).T @ residual / len(X), 0, atol=1e-12)


@settings(deadline=None, max_examples=20)
@given(
    exponents=st.lists(st.integers(-9, 9), min_size=4, max_size=4),
    signs=st.lists(st.sampled_from([-1, 1]), min_size=4, max_size=4),
)
def test_z_is_invariant_to_the_units_of_columns(exponents: list[int], signs: list[int]) -> None:
    X, y = overlapping_table(seed=1)
    factors = np.array(signs) * 10.0 ** np.array(exponents)
    plain, scaled = fit_logistic(X, y).table, fit_logistic(X * factors, y).table
    np.testing.assert_allclose(scaled["z"].iloc[1:], plain["z"].iloc[1:] * signs, rtol=1e-8)
    np.testing.assert_allclose(scaled["coef"].iloc[1:] * factors, plain["coef"].iloc[1:], rtol=1e-8)
    np.testing.assert_allclose(scaled.loc["const"], plain.loc["const"], rtol=1e-8)
    np.testing.assert_allclose(scaled["vif"], plain["vif"], rtol=1e-8)


def test_two_by_two_table_has_a_closed_form() -> None:
    exposed_ill, exposed_well, other_ill, other_well = 30, 70, 12, 88
    exposed = np.repeat([1, 1, 0, 0], [exposed_ill, exposed_well, other_ill, other_well])
    ill = np.repeat([1, 0, 1, 0], [exposed_ill, exposed_well, other_ill, other_well])
    table = fit_logistic(pd.DataFrame({"exposed": exposed}), ill).table
    log_odds_ratio = np.log(exposed_ill * other_well / (exposed_well * other_ill))
    std_err = np.sqrt(1 / exposed_ill + 1 / exposed_well + 1 / other_ill + 1 / other_well)
    np.testing.assert_allclose(table.loc["exposed", ["coef", "std_err"]], [log_odds_ratio, std_err], rtol=1e-10)
    np.testing.assert_allclose(
        table.loc["const", ["coef", "std_err"]],
        [np.log(other_ill / other_well), np.sqrt(1 / other_ill + 1 / other_well)],
        rtol=1e-10,
    )


def test_benjamini_hochberg_equals_statsmodels(fitted: tuple[pd.DataFrame, pd.Series, LogisticResult]) -> None:
    p_value = np.array([0.001, 0.012, 0.02, 0.034, 0.3, 0.049, 0.6])
    table = pd.DataFrame({"p_value": [0.0, *p_value]}, index=["const", *"abcdefg"])
    assert significant(table) == ["a", "b", "c", "d", "f"]
    kept = multipletests(p_value, alpha=0.05, method="fdr_bh")[0]
    assert significant(table, correction="benjamini-hochberg") == np.array(list("abcdefg"))[kept].tolist()
    assert significant(table, correction="benjamini-hochberg") == ["a", "b", "c"]
    result = fitted[2]
    assert significant(result, level=0.01) == significant(result.table, level=0.01)


@pytest.mark.realdata
def test_iranian_churn(real_data: Path) -> None:
    table = pd.read_csv(real_data / "iranian_churn.csv")
    table.columns = [" ".join(name.split()) for name in table.columns]
    y, X = table["Churn"], table.drop(columns=["Churn", "Customer Value"])
    standardised = fit_logistic(StandardScaler().fit_transform(X), y)
    assert standardised.log_likelihood == pytest.approx(-696.824061, abs=1e-6)
    assert standardised.mcfadden == pytest.approx(0.491347, abs=1e-6)
    assert (standardised.n_rows, standardised.n_positive) == (3150, 495)
    assert len(significant(standardised)) == 8
    plain = fit_logistic(X, y)
    assert plain.log_likelihood == pytest.approx(standardised.log_likelihood, rel=1e-12)
    np.testing.assert_allclose(plain.table["z"].iloc[1:], standardised.table["z"].iloc[1:], rtol=1e-8)
