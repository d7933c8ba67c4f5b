"""Money to channels: response curves fitted to what was spent and what came of it, and a budget divided by them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from marketnn import registry
from marketnn.allocation import PlanResult, ResponseFit, fit_response, plan_budget
from marketnn.data import assemble
from marketnn.errors import InputError, rows_text

COLUMNS = ("channel", "period", "spend", "response")


@dataclass(frozen=True)
class Spending:
    """Fitted responses and the plan that follows from them.

    Attributes:
        observed: ``channel, period, spend, response, fitted``, in the order of channels and periods.
        fits: channel -> its fit.
        plan: the spends (periods, channels), with their proof; ``None`` without a budget.
        periods: planned.
        even: what the same budget brings if every channel gets the same in every period.
    """

    observed: pd.DataFrame
    fits: Mapping[str, ResponseFit]
    plan: PlanResult | None
    periods: int
    even: float

    @property
    def table(self) -> pd.DataFrame:
        """The plan: ``period, channel, spend``."""
        assert self.plan is not None
        frame = pd.DataFrame(self.plan.spend, columns=list(self.fits), index=range(1, self.periods + 1))
        return frame.rename_axis("period").reset_index().melt("period", var_name="channel", value_name="spend")

    @property
    def parameters(self) -> pd.DataFrame:
        """Every fitted parameter: ``channel, parameter, estimate, std_err``, and the fit's ``r_squared``."""
        parts = [
            fit.table.rename_axis("parameter").reset_index().assign(channel=channel, r_squared=fit.r_squared)
            for channel, fit in self.fits.items()
        ]
        return pd.concat(parts, ignore_index=True)[["channel", "parameter", "estimate", "std_err", "r_squared"]]


def plan_spending(path: str, *, curve: str, adstock: bool, budget: float | None, periods: int) -> Spending:
    """Fit every channel's response and divide a budget.

    Args:
        path: a CSV of ``channel, period, spend, response``, a row per channel and period.
        curve: ``hill``, ``log``, ``exponential`` or ``power``.
        adstock: whether to fit what lasts into the next period.
        budget: over all periods and channels; ``None`` plans nothing.
        periods: to plan.

    Raises:
        InputError: a column is missing or unfit, a channel has a period twice or too few rows, or a number is out of range.
    """
    if periods < 1:
        raise InputError(f"pipeline.periods={periods} must be at least 1.")
    if budget is not None and not (budget >= 0 and np.isfinite(budget)):
        raise InputError(f"pipeline.budget={budget:g} must be a number from 0 on.")
    observed = _read(path)
    fits, fitted = {}, []
    for channel, rows in observed.groupby("channel", sort=False):
        try:
            fit = fit_response(rows["spend"].to_numpy(), rows["response"].to_numpy(), curve=curve, adstock=adstock)
        except InputError as error:
            raise InputError(f"{path}: channel '{channel}': {error}") from error
        fits[str(channel)] = fit
        fitted.append(fit.fitted)
    observed["fitted"] = np.concatenate(fitted)
    if budget is None:
        return Spending(observed, fits, None, periods, 0.0)
    curves = {channel: fit.curve for channel, fit in fits.items()}
    options: dict[str, Any] = {"adstock": _rates(fits)} if adstock else {}
    plan = plan_budget(curves, budget, periods, **options)
    share = budget / (periods * len(fits))
    even = plan_budget(curves, budget, periods, lower=share, upper=share, **options) if budget else plan
    return Spending(observed, fits, plan, periods, float(even.total))


def _rates(fits: Mapping[str, ResponseFit]) -> dict[str, float]:
    return {channel: 0.0 if fit.adstock is None else float(fit.adstock.rate) for channel, fit in fits.items()}


def _read(path: str) -> pd.DataFrame:
    """Read the responses, sorted by channel (as they first come) and period."""
    module, config = registry.configure("data", {"name": "csv", "path": path})
    table = assemble(module.read(config), categories=["channel"])
    frame = table.frame
    for column in COLUMNS:
        if column not in frame.columns:
            raise InputError(
                f"{table.source}: column '{column}' is missing; responses have channel, period, spend and response."
            )
        empty = frame[column].isna().to_numpy()
        if empty.any():
            raise InputError(
                f"{table.source}: column '{column}' is empty in {rows_text(empty)}; fill it in or drop the row."
            )
    for column in COLUMNS[1:]:
        if not pd.api.types.is_numeric_dtype(frame[column].dtype):
            raise InputError(
                f"{table.source}: column '{column}' is text, such as '{frame[column].iloc[0]}'; write numbers."
            )
    twice = frame.duplicated(["channel", "period"]).to_numpy()
    if twice.any():
        row = frame[twice].iloc[0]
        raise InputError(
            f"{table.source}: channel '{row['channel']}' has period {row['period']:g} twice ({rows_text(twice)})."
        )
    order = {channel: place for place, channel in enumerate(dict.fromkeys(frame["channel"]))}
    frame = frame.assign(place=frame["channel"].map(order)).sort_values(["place", "period"], kind="stable")
    return frame[list(COLUMNS)].reset_index(drop=True)
