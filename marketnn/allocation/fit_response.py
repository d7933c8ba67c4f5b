"""Fit a response curve, with or without adstock, to what was spent and what came of it.

Nonlinear least squares of ``response = baseline + curve(adstock(spend))`` by ``marketnn.optim.least_squares``. The search
runs over the logarithms of the curve's parameters and the logit of the adstock rate, so that every trial is a curve, with
spend and response divided by their largest values. It starts from every combination of a few shapes; given a shape, scale
and baseline are linear and start at their best values. Standard errors go back to the parameters by the delta method.

Shapes: T observations, S starts, P parameters.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.func import jacrev

from marketnn import registry
from marketnn.allocation.adstock import GeometricAdstock, geometric_adstock
from marketnn.allocation.curves import ResponseCurve
from marketnn.allocation.numbers import Numbers, adstock_rate, column
from marketnn.errors import InputError, rows_text
from marketnn.optim.least_squares import LeastSquaresResult, least_squares

_RATES = (0.2, 0.5, 0.8)
_LEAST_SPEND = 1e-30  # in place of 0, where a power's derivative by its exponent is 0 * log 0
_FIRST_EVALUATIONS = 60  # from every start; the best goes on
_MAX_EVALUATIONS = 200
_LOG_BOUND, _LOGIT_BOUND = 30.0, 30.0
_POWER_BOUND = 4.0  # of the logarithm of what spends are raised to: the 55th power of a large spend does not overflow
_VAGUE = 1.0  # relative standard error from which a parameter is called not identified


@dataclass(frozen=True)
class ResponseFit:
    """A fitted response.

    Attributes:
        curve: the curve.
        adstock: the adstock before it, ``None`` without.
        baseline: the response without spend; 0 unless it was fitted.
        table: one row per fitted parameter: ``estimate``, ``std_err``, in the data's units.
        covariance: (P, P) of the estimates, in the table's order; infinite where they are not identified.
        r_squared: 1 - SSE / SST, SST about the mean.
        residual_sd: ``sqrt(SSE / (T - P))``, in the response's units.
        fitted: (T,) the fitted responses.
        status: of ``least_squares``.
        message: how the search ended, and which parameters the data do not identify.
    """

    curve: ResponseCurve
    adstock: GeometricAdstock | None
    baseline: float
    table: pd.DataFrame
    covariance: np.ndarray
    r_squared: float
    residual_sd: float
    fitted: np.ndarray
    status: str
    message: str


def fit_response(
    spend: Numbers,
    response: Numbers,
    *,
    curve: str = "hill",
    adstock: bool | float = False,
    baseline: bool = False,
) -> ResponseFit:
    """Fit a curve to observations, by least squares.

    Args:
        spend: (T,) >= 0; with adstock in the order of time, one period apart, nothing before the first.
        response: (T,).
        curve: ``hill``, ``log``, ``exponential`` or ``power``.
        adstock: ``True`` fits the rate too, a number in [0, 1) fixes it, ``False`` is none.
        baseline: whether to fit a response without spend.

    Raises:
        InputError: an unknown curve; columns of unlike length, with values that are not finite, or with negative or
            constant spend; a constant response; fewer rows than parameters + 1; a rate outside [0, 1).
    """
    spend_t, response_t = column("spend", spend), column("response", response)
    model = _Model(
        type(registry.build("response", {"name": curve})),
        fits_rate=adstock is True,
        rate=None if isinstance(adstock, bool) else adstock_rate(adstock),
        fits_baseline=baseline,
    )
    _check_columns(spend_t, response_t, len(model.names))
    x_t, y_t = spend_t / spend_t.max(), response_t / response_t.abs().max()

    def residual(w: Tensor) -> Tensor:
        return model(x_t, w) - y_t

    bound = model.bound()
    tried = least_squares(
        residual, model.starts(x_t, y_t), max_evaluations=_FIRST_EVALUATIONS, tolerance=1e-6, lower=-bound, upper=bound
    )
    best = tried.x[tried.cost.argmin()]
    found = least_squares(residual, best, max_evaluations=_MAX_EVALUATIONS, lower=-bound, upper=bound)
    return _result(model, found, spend_t, response_t)


@dataclass(frozen=True)
class _Model:
    """``w`` (P,): log scale, the logs of the shape, then the logit of the rate and the baseline where they are fitted."""

    kind: type[ResponseCurve]
    fits_rate: bool
    rate: Tensor | None
    fits_baseline: bool

    @property
    def names(self) -> list[str]:
        return [*self.kind.parameter_names, *["adstock"] * self.fits_rate, *["baseline"] * self.fits_baseline]

    @property
    def n_curve(self) -> int:
        return len(self.kind.parameter_names)

    def __call__(self, x_t: Tensor, w: Tensor) -> Tensor:
        pressure_t = self.pressure(x_t, torch.sigmoid(w[self.n_curve]) if self.fits_rate else self.rate)
        value_t = self.kind.value(pressure_t, *w[: self.n_curve].exp().unbind())
        return value_t + w[-1] if self.fits_baseline else value_t

    def pressure(self, x_t: Tensor, rate: Tensor | None) -> Tensor:
        return (x_t if rate is None else geometric_adstock(x_t, rate)).clamp(min=_LEAST_SPEND)

    def starts(self, x_t: Tensor, y_t: Tensor) -> Tensor:
        """One start (P,) per combination of a shape and a rate, (S, P)."""
        starts = []
        for shape, rate in itertools.product(self.kind.start_shapes, _RATES if self.fits_rate else (None,)):
            fixed = self.rate if rate is None else x_t.new_tensor(rate)
            one, *rest = (x_t.new_tensor(number) for number in (1.0, *shape))
            unit_t = self.kind.value(self.pressure(x_t, fixed), one, *rest)
            scale, base = _line(unit_t, y_t) if self.fits_baseline else (unit_t @ y_t / (unit_t @ unit_t), None)
            # A falling response has no best scale > 0; start from a small one.
            numbers = [scale.clamp(min=1e-3).log(), *(number.log() for number in rest)]
            numbers += [] if rate is None else [torch.logit(x_t.new_tensor(rate))]
            numbers += [] if base is None else [base]
            starts.append(torch.stack(numbers))
        return torch.stack(starts)

    def bound(self) -> Tensor:
        """How far from 0 each of w may go, (P,), so that no parameter underflows and no rate rounds to 1."""
        powers = ("slope", "exponent")
        bounds = [_POWER_BOUND if name in powers else _LOG_BOUND for name in self.kind.parameter_names]
        bounds += [_LOGIT_BOUND] * self.fits_rate + [math.inf] * self.fits_baseline
        return torch.tensor(bounds, dtype=torch.float64)

    def in_data_units(self, w: Tensor, largest: float, height: float) -> Tensor:
        """The parameters (P,) in the units of spend and response."""
        numbers = list(self.kind.in_units(largest, height, *w[: self.n_curve].exp().unbind()))
        if self.fits_rate:
            numbers.append(torch.sigmoid(w[self.n_curve]))
        if self.fits_baseline:
            numbers.append(w[-1] * height)
        return torch.stack(numbers)


def _result(model: _Model, found: LeastSquaresResult, spend_t: Tensor, response_t: Tensor) -> ResponseFit:
    w, largest, height = found.x, float(spend_t.max()), float(response_t.abs().max())
    estimate = model.in_data_units(w, largest, height)
    slope = jacrev(lambda w: model.in_data_units(w, largest, height))(w)
    known = found.covariance
    covariance = slope @ known @ slope.T if bool(known.isfinite().all()) else known
    std_err = covariance.diagonal().sqrt()
    fitted_t = response_t + height * found.residual
    sse = (response_t - fitted_t).square().sum()
    sst = (response_t - response_t.mean()).square().sum()
    numbers = dict(zip(model.names, estimate, strict=True))
    rate = numbers.get("adstock", model.rate)
    vague = [name for name, e, s in zip(model.names, estimate, std_err, strict=True) if not s <= _VAGUE * e.abs()]
    vague = [name for name in vague if name != "baseline"]
    message = str(found.message)
    if vague:
        message += f" The data hardly identify {', '.join(vague)}: the standard error exceeds the estimate."
    return ResponseFit(
        curve=model.kind(*(numbers[name] for name in model.kind.parameter_names)),
        adstock=None if rate is None else GeometricAdstock(rate),
        baseline=float(numbers.get("baseline", 0.0)),
        table=pd.DataFrame({"estimate": estimate.numpy(), "std_err": std_err.numpy()}, index=model.names),
        covariance=covariance.numpy(),
        r_squared=float(1 - sse / sst),
        residual_sd=float((sse / (len(response_t) - len(w))).sqrt()),
        fitted=fitted_t.numpy(),
        status=str(found.status),
        message=message,
    )


def _line(unit_t: Tensor, y_t: Tensor) -> tuple[Tensor, Tensor]:
    """Slope and intercept of y on a column."""
    centred_t = unit_t - unit_t.mean()
    slope = centred_t @ y_t / (centred_t @ centred_t)
    return slope, y_t.mean() - slope * unit_t.mean()


def _check_columns(spend_t: Tensor, response_t: Tensor, n_parameters: int) -> None:
    if len(spend_t) != len(response_t):
        raise InputError(f"spend has {len(spend_t)} rows and response {len(response_t)}; pass one response per spend.")
    if len(spend_t) <= n_parameters:
        raise InputError(
            f"{len(spend_t)} rows cannot fit {n_parameters} parameters with standard errors; "
            f"pass at least {n_parameters + 1} rows or a curve with fewer."
        )
    negative = (spend_t < 0).numpy()
    if negative.any():
        raise InputError(
            f"spend is negative in {rows_text(negative)}, such as {spend_t[negative][0]:g}; "
            "book refunds in the period of the spend, or drop those rows."
        )
    for name, column_t in (("spend", spend_t), ("response", response_t)):
        if bool((column_t == column_t[0]).all()):
            raise InputError(f"{name} is constant, {column_t[0]:g} in every row: no curve can be told from it.")
