"""Calibration against scikit-learn's, and through JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression

from marketnn.classify import Calibration, fit_calibration
from marketnn.errors import InputError

RNG = np.random.default_rng(0)
SCORE = RNG.random(800)
Y = (RNG.random(800) < SCORE**2).astype(int)


def test_isotonic_is_scikit_learns() -> None:
    expected = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(SCORE, Y)
    new = np.concatenate([RNG.random(300), [0.0, 1.0]])
    np.testing.assert_allclose(fit_calibration(Y, SCORE).apply(new), expected.predict(new), atol=1e-12)


def test_platt_is_the_logistic_regression_on_the_log_odds() -> None:
    fitted = sm.Logit(Y, sm.add_constant(logit(SCORE))).fit(disp=False).params
    found = fit_calibration(Y, SCORE, method="platt")
    np.testing.assert_allclose(found.apply(SCORE), expit(fitted[0] + fitted[1] * logit(SCORE)), atol=1e-4)
    assert np.isfinite(found.apply([0.0, 1.0])).all()


@pytest.mark.parametrize("method", ["isotonic", "platt"])
def test_it_lowers_the_brier_score_and_survives_json(method: str) -> None:
    found = fit_calibration(Y, SCORE, method=method)  # type: ignore[arg-type]
    assert np.mean((found.apply(SCORE) - Y) ** 2) < np.mean((SCORE - Y) ** 2)
    again = Calibration.restored(json.loads(json.dumps(found.saved())))
    np.testing.assert_array_equal(again.apply(SCORE), found.apply(SCORE))


def test_bad_input() -> None:
    with pytest.raises(InputError, match="both classes"):
        fit_calibration(np.ones(10), SCORE[:10])
    with pytest.raises(InputError, match=r"\[0, 1\]"):
        fit_calibration(Y, SCORE * 3)
    with pytest.raises(InputError, match="choose isotonic or platt"):
        fit_calibration(Y, SCORE, method="beta")  # type: ignore[arg-type]
    for damaged in ({}, {"method": "isotonic", "points": [[0, 1], [1, 0]]}, {"method": "x", "points": [[0], [1]]}):
        with pytest.raises(InputError, match="damaged"):
            Calibration.restored(damaged)
