"""fit_response against SciPy's curve_fit, in simulations, and on data that cannot be fitted."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import scipy.optimize
import torch

from marketnn.allocation import fit_response
from marketnn.errors import ConfigurationError, InputError

Shape = Callable[..., np.ndarray]
TRUTH: dict[str, tuple[Shape, tuple[float, ...]]] = {
    "hill": (lambda x, scale, half, slope: scale * x**slope / (x**slope + half**slope), (50.0, 30.0, 2.0)),
    "log": (lambda x, scale, rate: scale * np.log1p(rate * x), (10.0, 0.1)),
    "exponential": (lambda x, scale, rate: scale * (1 - np.exp(-rate * x)), (50.0, 0.03)),
    "power": (lambda x, scale, exponent: scale * x**exponent, (3.0, 0.6)),
}
every_curve = pytest.mark.parametrize("name", TRUTH)


def carried(spend: np.ndarray, rate: float) -> np.ndarray:
    adstock = spend.copy()
    for t in range(1, len(spend)):
        adstock[t] += rate * adstock[t - 1]
    return adstock


def observations(
    seed: int, name: str, *, n: int = 90, noise: float = 1.0, rate: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    spend = generator.uniform(0, 100, n) * (generator.uniform(size=n) > 0.1)
    shape, parameters = TRUTH[name]
    return spend, shape(carried(spend, rate), *parameters) + noise * generator.normal(size=n)


def best_fit(
    model: Shape, spend: np.ndarray, response: np.ndarray, start: tuple[float, ...]
) -> tuple[np.ndarray, np.ndarray]:
    tight = {"xtol": 1e-15, "ftol": 1e-15, "gtol": 1e-15, "maxfev": 100_000}
    estimate, covariance = scipy.optimize.curve_fit(model, spend, response, p0=start, **tight)
    return estimate, covariance


@every_curve
def test_equals_curve_fit(name: str) -> None:
    for seed in range(2):
        spend, response = observations(seed, name)
        found = fit_response(spend, response, curve=name)
        shape, truth = TRUTH[name]
        estimate, covariance = best_fit(shape, spend, response, truth)
        np.testing.assert_allclose(found.table["estimate"], estimate, rtol=1e-6)
        np.testing.assert_allclose(found.table["std_err"], np.sqrt(np.diag(covariance)), rtol=1e-5)
        np.testing.assert_allclose(found.covariance, covariance, rtol=1e-4, atol=1e-9 * np.abs(covariance).max())
        residual = response - shape(spend, *estimate)
        assert found.residual_sd == pytest.approx(math.sqrt(residual @ residual / (90 - len(truth))))
        assert found.r_squared == pytest.approx(1 - residual @ residual / (90 * response.var()))
        np.testing.assert_allclose(found.fitted, shape(spend, *estimate), rtol=1e-6, atol=1e-6)
        assert [number.item() for number in found.curve.values()] == found.table["estimate"].tolist()
        assert found.adstock is None
        assert found.baseline == 0


@every_curve
def test_with_adstock_and_baseline_equals_curve_fit(name: str) -> None:
    shape, truth = TRUTH[name]
    spend, response = observations(4, name, rate=0.4)
    found = fit_response(spend, 20 + response, curve=name, adstock=True, baseline=True)

    def model(x: np.ndarray, *p: float) -> np.ndarray:
        return p[-1] + shape(carried(x, p[-2]), *p[:-2])

    estimate, covariance = best_fit(model, spend, 20 + response, (*truth, 0.4, 20.0))
    assert found.table.index[-2:].tolist() == ["adstock", "baseline"]
    np.testing.assert_allclose(found.table["estimate"], estimate, rtol=1e-5)
    np.testing.assert_allclose(found.table["std_err"], np.sqrt(np.diag(covariance)), rtol=1e-3)
    assert found.adstock is not None
    assert found.adstock.rate.item() == pytest.approx(estimate[-2])
    assert found.baseline == pytest.approx(estimate[-1])


def test_a_fixed_rate_is_the_fit_of_the_carried_spend() -> None:
    spend, response = observations(1, "exponential", rate=0.6)
    fixed = fit_response(spend, response, curve="exponential", adstock=0.6)
    by_hand = fit_response(carried(spend, 0.6), response, curve="exponential")
    np.testing.assert_allclose(fixed.table, by_hand.table, rtol=1e-7)
    assert fixed.adstock is not None
    assert fixed.adstock.rate.item() == 0.6


@every_curve
def test_known_parameters_are_recovered_within_three_standard_errors(name: str) -> None:
    truth = np.array([*TRUTH[name][1], 0.5])
    scores = []
    for seed in range(6):
        spend, response = observations(100 + seed, name, n=150, rate=0.5)
        table = fit_response(spend, response, curve=name, adstock=True).table
        scores.append((table["estimate"].to_numpy() - truth) / table["std_err"].to_numpy())
    scores = np.array(scores)
    assert (np.abs(scores) < 3).mean() >= 0.97
    assert np.sqrt((scores**2).mean()) < 1.6


def test_other_units_give_the_same_fit() -> None:
    spend, response = observations(2, "power")
    one, other = fit_response(spend, response, curve="power"), fit_response(1e4 * spend, 1e-3 * response, curve="power")
    factor = 1e-3 / 1e4 ** one.table.loc["exponent", "estimate"]
    assert other.table.loc["exponent"].tolist() == pytest.approx(one.table.loc["exponent"].tolist(), rel=1e-6)
    assert other.table.loc["scale", "estimate"] == pytest.approx(factor * one.table.loc["scale", "estimate"], rel=1e-5)
    assert other.r_squared == pytest.approx(one.r_squared)


def test_exact_data_are_fitted_exactly() -> None:
    spend, response = observations(3, "hill", noise=0)
    found = fit_response(spend, response)
    assert found.table["estimate"].tolist() == pytest.approx([50, 30, 2], rel=1e-8)
    assert found.r_squared == pytest.approx(1)


def test_a_fit_that_the_data_do_not_identify_says_so() -> None:
    spend, response = observations(0, "hill")
    line = fit_response(spend, 0.5 * spend, curve="hill")
    assert "hardly identify scale, half_saturation" in line.message
    for name in TRUTH:
        falling = fit_response(spend, -response, curve=name)
        assert "hardly identify scale" in falling.message
        assert abs(falling.curve(torch.tensor(50.0)).item()) < 0.01 * response.max()
    assert "hardly identify" not in fit_response(spend, response).message


@every_curve
def test_what_never_fades_ends_in_a_rate_below_one(name: str) -> None:
    spend, _ = observations(0, name)
    spend = spend[:40]
    found = fit_response(spend, np.cumsum(spend), curve=name, adstock=True, baseline=True)  # nothing fades
    assert np.isfinite(found.table["estimate"]).all()
    assert found.adstock is not None
    assert 0.9 < found.adstock.rate.item() < 1
    assert found.r_squared > 0.99


@pytest.mark.parametrize(
    ("spend", "response", "options", "message"),
    [
        ([5.0] * 9, range(9), {}, r"spend is constant, 5 in every row"),
        (range(9), [2.0] * 9, {}, r"response is constant, 2 in every row"),
        ([1, 2, 3], [1, 2, 3], {}, r"3 rows cannot fit 3 parameters .* at least 4 rows"),
        ([1, 2, 3, 4], [1, 2, 3, 4], {"adstock": True}, r"4 rows cannot fit 4 parameters"),
        ([1, -2, 3, 4, 5], [1, 2, 3, 4, 5], {}, r"spend is negative in row 2, such as -2"),
        ([1, 2, 3, 4, 5], [1, 2, math.nan, 4, 5], {}, r"response is NaN or infinite in row 3"),
        ([1, 2, 3, 4, 5], [1, 2, 3, 4], {}, r"spend has 5 rows and response 4"),
        ([[1, 2], [3, 4]], [1, 2], {}, r"spend has shape \(2, 2\)"),
        (["a"], [1], {}, r"spend is no column of numbers"),
        (range(9), range(9), {"adstock": 1.0}, r"adstock rate=1 is not possible"),
    ],
)
def test_bad_input_is_refused(spend: object, response: object, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fit_response(spend, response, **options)  # type: ignore[arg-type]


def test_an_unknown_curve_is_named_with_those_that_exist() -> None:
    with pytest.raises(
        ConfigurationError, match=r"'hil'. Did you mean 'hill'\?\nThere are: exponential, hill, log, power"
    ):
        fit_response([1, 2, 3, 4], [1, 2, 3, 4], curve="hil")
