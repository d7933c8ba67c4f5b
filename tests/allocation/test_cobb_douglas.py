"""Cobb-Douglas demand: fits against statsmodels and SciPy, the profit optimum, and the case of paper B's Table 3."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
import statsmodels.api as sm
import torch

from marketnn.allocation import CobbDouglasDemand, fit_cobb_douglas
from marketnn.errors import InputError


def number(value: float) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.float64)


def observations(seed: int, n: int = 60) -> tuple[np.ndarray, ...]:
    generator = np.random.default_rng(seed)
    advertising, promotion, price = generator.uniform(1, 10, (3, n))
    quantity = 5 * advertising**0.2 * promotion**0.4 * price**-1.5 * np.exp(0.1 * generator.normal(size=n))
    return quantity, advertising, promotion, price


def test_quantity_and_elasticities() -> None:
    demand = CobbDouglasDemand(2, 0.25, 0.5, 2)
    assert demand(number(16), number(9), number(2)).item() == pytest.approx(2 * 2 * 3 / 4)
    assert CobbDouglasDemand(2, 0.25, 0.5)(number(16), number(9)).item() == pytest.approx(12)
    inputs = [number(16).requires_grad_(), number(9).requires_grad_(), number(2).requires_grad_()]
    quantity = demand(*inputs)
    slopes = torch.autograd.grad(quantity, inputs)
    elasticities = [(slope * x / quantity).item() for slope, x in zip(slopes, inputs, strict=True)]
    assert elasticities == pytest.approx([0.25, 0.5, -2])
    assert repr(demand) == "CobbDouglasDemand(constant=2.0, advertising=0.25, promotion=0.5, price=2.0)"


def test_log_fit_equals_statsmodels() -> None:
    quantity, *inputs = observations(0)
    found = fit_cobb_douglas(quantity, *inputs)
    design = sm.add_constant(np.log(np.column_stack([inputs[0], inputs[1], 1 / inputs[2]])))
    oracle = sm.OLS(np.log(quantity), design).fit()
    expected = oracle.params.copy()
    expected[0] = np.exp(expected[0])
    np.testing.assert_allclose(found.table["estimate"], expected, rtol=1e-10)
    np.testing.assert_allclose(found.table["std_err"], oracle.bse * np.array([expected[0], 1, 1, 1]), rtol=1e-10)
    assert found.r_squared == pytest.approx(oracle.rsquared)
    assert found.residual_sd == pytest.approx(np.sqrt(oracle.mse_resid))
    assert found.demand.price is not None
    assert found.demand.price.item() == pytest.approx(expected[3])


@pytest.mark.parametrize("priced", [True, False])
def test_level_fit_equals_curve_fit(priced: bool) -> None:
    quantity, advertising, promotion, price = observations(1)
    quantity = quantity if priced else quantity * price**1.5
    used = (advertising, promotion, price) if priced else (advertising, promotion)

    def model(x: np.ndarray, constant: float, b: float, c: float, a: float = 0.0) -> np.ndarray:
        return constant * x[0] ** b * x[1] ** c * (x[2] ** -a if priced else 1)

    start = (5, 0.2, 0.4, 1.5) if priced else (5, 0.2, 0.4)
    estimate, covariance = scipy.optimize.curve_fit(
        model, np.array(used), quantity, p0=start, xtol=1e-15, ftol=1e-15, gtol=1e-15
    )
    found = fit_cobb_douglas(quantity, *used, method="level")
    np.testing.assert_allclose(found.table["estimate"], estimate, rtol=1e-6)
    np.testing.assert_allclose(found.table["std_err"], np.sqrt(np.diag(covariance)), rtol=1e-5)
    np.testing.assert_allclose(found.fitted, model(np.array(used), *estimate), rtol=1e-6)
    assert found.residual_sd == pytest.approx(np.sqrt(((quantity - found.fitted) ** 2).sum() / (60 - len(start))))
    assert found.message.startswith("After")


def test_known_elasticities_are_recovered() -> None:
    scores = []
    for seed in range(100):
        table = fit_cobb_douglas(*observations(seed)).table
        scores.append((table["estimate"] - [5, 0.2, 0.4, 1.5]) / table["std_err"])
    assert (np.abs(scores) < 3).mean() > 0.985
    assert 0.85 < np.sqrt(np.mean(np.square(scores))) < 1.15


def test_profit_optimum_equals_a_numeric_search_and_dorfman_steiner() -> None:
    demand = CobbDouglasDemand(400, 0.2, 0.3, 2.5)
    best = demand.profit_optimum(3.0)

    def loss(logs: np.ndarray) -> float:
        price, advertising, promotion = np.exp(logs)
        quantity = 400 * advertising**0.2 * promotion**0.3 * price**-2.5
        return -((price - 3) * quantity - advertising - promotion)

    found = scipy.optimize.minimize(
        loss, np.log([6, 20, 20]), method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-12}
    )
    assert np.exp(found.x) == pytest.approx([best.price, best.advertising, best.promotion], rel=1e-5)
    assert -found.fun == pytest.approx(best.profit, rel=1e-9)
    assert best.price == pytest.approx(3 * 2.5 / 1.5)
    assert best.advertising / (best.price * best.quantity) == pytest.approx(0.2 / 2.5)
    assert demand(number(best.advertising), number(best.promotion), number(best.price)).item() == pytest.approx(
        best.quantity
    )


def test_the_calibration_of_table_3() -> None:
    # Paper B, Table 3, is matched by choice of the elasticities: a calibration, which validates nothing.
    before = CobbDouglasDemand(1, 0.2526, 0.4546, 4.566)(number(1800), number(600), number(40)).item()
    demand = CobbDouglasDemand(80 / before, 0.2526, 0.4546, 4.566)
    assert demand(number(1800), number(600), number(40)).item() == pytest.approx(80)
    assert demand(number(750), number(1350), number(36)).item() == pytest.approx(150, abs=0.01)
    best = demand.profit_optimum(16.204, price=36)
    assert (best.advertising, best.promotion) == pytest.approx((750, 1350), rel=1e-3)
    assert best.advertising / best.promotion == pytest.approx(5 / 9, rel=1e-3)
    assert demand.profit_optimum(16.204).price == pytest.approx(20.748, abs=1e-3), "36 is not the best price"


@pytest.mark.parametrize(
    ("demand", "options", "message"),
    [
        (CobbDouglasDemand(1, 0.5, 0.5, 2), {}, r"advertising \+ promotion = 1 >= 1"),
        (CobbDouglasDemand(1, 0.2, 0.3, 0.9), {}, r"price elasticity 0\.9 does not exceed 1"),
        (CobbDouglasDemand(1, 0.2, 0.3), {}, r"price elasticity None"),
        (CobbDouglasDemand(1, 0.2, 0.3, 2), {"price": 1.0}, r"price=1 does not exceed unit_cost=2"),
        (CobbDouglasDemand(1, 0.2, 0.3, 2), {"unit_cost": 0}, r"unit_cost=0"),
        (CobbDouglasDemand([1, 2], 0.2, 0.3, 2), {}, r"for 2 products"),
    ],
)
def test_no_optimum_is_an_error(demand: CobbDouglasDemand, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        demand.profit_optimum(**{"unit_cost": 2.0} | options)


@pytest.mark.parametrize("parameters", [(0, 1, 1), (1, -1, 1), (1, 1, float("nan")), (1, 1, 1, 0)])
def test_parameters_are_positive(parameters: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="pass a finite number > 0"):
        CobbDouglasDemand(*parameters)


def test_a_price_is_given_where_the_demand_has_one() -> None:
    with pytest.raises(InputError, match="depends on the price"):
        CobbDouglasDemand(1, 0.2, 0.3, 2)(number(1), number(1))
    with pytest.raises(InputError, match="depends on the price"):
        CobbDouglasDemand(1, 0.2, 0.3)(number(1), number(1), number(1))


def test_bad_columns_are_refused() -> None:
    quantity, advertising, promotion, price = observations(0, n=8)
    for change, message in (
        ({"quantity": [*quantity[:-1], 0]}, r"quantity is 0 in row 8: it has no logarithm"),
        ({"price": price[:-1]}, r"price has 7 rows and quantity 8"),
        ({"promotion": 3 * advertising**2}, r"cannot be told apart"),
        ({"promotion": np.full(8, 2.0)}, r"cannot be told apart"),
        ({"price": 1 / price}, r"elasticity of price is -1\.\d+ \(standard error .*\): of the wrong sign"),
        ({"quantity": [["a"]]}, r"quantity is no column of numbers"),
        ({"quantity": [[1.0]]}, r"quantity has shape \(1, 1\)"),
        ({"method": "median"}, r"method='median'"),
    ):
        given = {"quantity": quantity, "advertising": advertising, "promotion": promotion, "price": price} | change
        with pytest.raises(InputError, match=message):
            fit_cobb_douglas(**given)
    with pytest.raises(InputError, match="4 rows cannot fit 4 parameters; pass at least 5"):
        fit_cobb_douglas(quantity[:4], advertising[:4], promotion[:4], price[:4])
