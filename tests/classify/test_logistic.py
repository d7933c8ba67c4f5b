"""What fit_logistic accepts, refuses and gives back."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from marketnn.classify import fit_logistic, significant
from marketnn.errors import InputError
from marketnn.seed import numpy_generator


@pytest.fixture(scope="module")
def table() -> tuple[pd.DataFrame, pd.Series]:
    generator = numpy_generator(3)
    X = pd.DataFrame({"tenure": generator.integers(1, 72, 200), "income": generator.lognormal(11, 1, 200)})
    y = (generator.random(200) < 1 / (1 + np.exp(0.03 * (X["tenure"] - 30)))).astype(int)
    return X, y


def test_arrays_and_tables_give_the_same_numbers(table: tuple[pd.DataFrame, pd.Series]) -> None:
    X, y = table
    named, unnamed = fit_logistic(X, y), fit_logistic(X.to_numpy(), y.astype(bool).to_numpy())
    assert unnamed.table.index.tolist() == ["const", "x1", "x2"]
    np.testing.assert_array_equal(named.table.to_numpy(), unnamed.table.to_numpy())
    np.testing.assert_array_equal(named.predict_probability(X), unnamed.predict_probability(X.to_numpy()))


def test_odds_ratios_are_exponentials(table: tuple[pd.DataFrame, pd.Series]) -> None:
    result = fit_logistic(*table)
    assert result.odds_ratios.columns.tolist() == ["odds_ratio", "ci_low", "ci_high"]
    np.testing.assert_allclose(
        np.log(result.odds_ratios), result.table.loc[["tenure", "income"], ["coef", "ci_low", "ci_high"]], rtol=1e-9
    )


def test_skewed_columns_converge_where_a_plain_newton_step_diverges() -> None:
    generator = numpy_generator(167)
    n_rows = generator.integers(60, 2000)
    x = np.exp(generator.normal(size=(n_rows, 2)) * generator.uniform(1, 4))
    scores = np.log(x)
    odds = generator.normal() * 3 * scores[:, 0] + generator.normal() + scores[:, 1] * generator.normal()
    y = (generator.random(n_rows) < 1 / (1 + np.exp(-odds))).astype(int)
    result = fit_logistic(x, y)
    residual = y - result.predict_probability(x)
    assert result.converged
    np.testing.assert_allclose(residual @ (x / x.std(axis=0)), 0, atol=1e-8)


def test_prediction_checks_columns_by_name_and_order(table: tuple[pd.DataFrame, pd.Series]) -> None:
    X, y = table
    result = fit_logistic(X, y)
    with pytest.raises(InputError, match=r"missing \['income'\], not expected \['wage'\]"):
        result.predict_probability(X.rename(columns={"income": "wage"}))
    with pytest.raises(InputError, match="column 1 is 'income', but 'tenure' was fitted there"):
        result.predict_probability(X[["income", "tenure"]])
    with pytest.raises(InputError, match="1 columns, but 2 were fitted"):
        result.predict_probability(X[["tenure"]].to_numpy())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, y: (X.assign(income=np.where(X.index == 4, np.nan, X["income"])), y), "'income' is NaN .* in row 5"),
        (lambda X, y: (X.replace({"tenure": {X["tenure"][9]: np.inf}}), y), "'tenure' is NaN or infinite"),
        (lambda X, y: (X.assign(plan="a"), y), "not numeric: column 'plan'"),
        (lambda X, y: (X.assign(signed=1j), y), "not numeric: column 'signed'"),
        (lambda X, y: (pd.concat([X, X["income"]], axis=1), y), "'income' stands 2 times"),
        (lambda X, y: (X.assign(const=1.0), y), "the intercept is added here"),
        (lambda X, y: (X[:2], y.iloc[[y.argmin(), y.argmax()]].to_numpy()), "2 rows cannot determine 3 coefficients"),
        (lambda X, y: (X, y[:-1]), "X has 200 rows, but y has 199"),
        (lambda X, y: (X, y.iloc[::-1]), "indices of X and y differ in 200 rows"),
        (lambda X, y: (X, 0 * y), "y is 0 in all 200 rows"),
        (lambda X, y: (X, y + 1), "must be 0 or 1, but holds"),
        (lambda X, y: (X, y.map({0: "no", 1: "yes"})), "must be 0 or 1, but holds"),
        (lambda X, y: (X, y.where(y.index != 6)), "y is missing in row 7"),
        (lambda X, y: (X, y.to_frame()), "one column of 0 and 1"),
        (lambda X, y: (X["income"].to_numpy(), y), "a table .* is needed"),
        (lambda X, y: (X[[]], y), "the table is empty"),
    ],
)
def test_unusable_input_is_named(table: tuple[pd.DataFrame, pd.Series], change, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fit_logistic(*change(*table))


def test_significant_refuses_what_it_cannot_use(table: tuple[pd.DataFrame, pd.Series]) -> None:
    result = fit_logistic(*table)
    with pytest.raises(InputError, match="level=5 is not in"):
        significant(result, level=5)
    with pytest.raises(InputError, match="There are: benjamini-hochberg"):
        significant(result, correction="bonferroni")
    with pytest.raises(InputError, match="no column 'p_value'"):
        significant(result.table.drop(columns="p_value"))
