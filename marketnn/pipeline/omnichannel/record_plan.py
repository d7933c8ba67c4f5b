"""Write a planning down, third part: resources by segment, the quarters, and the products of paper B."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import torch

from marketnn.pipeline.omnichannel.analysis import OmnichannelAnalysis
from marketnn.pipeline.omnichannel.config import Config
from marketnn.pipeline.omnichannel.record_projects import pairs
from marketnn.report import plan_figures
from marketnn.spelling import counted
from marketnn.tracking import Run

_CURVE_POINTS = 201
_NEGLIGIBLE = 1e-12  # probability below which a quantity is not written down


def record_plan(analysis: OmnichannelAnalysis, config: Config, out: Run) -> None:
    """Record what is provided and spent."""
    _resources(analysis, config, out)
    _quarters(analysis, config, out)
    _case(analysis, out)


def _resources(analysis: OmnichannelAnalysis, config: Config, out: Run) -> None:
    found = analysis.resources
    independent = " Customers count as deciding independently of each other." if config.demand is None else ""
    out.section(
        "Resources by segment",
        f"Demand is counted as {found.unit}; 'times' says how often a quantity is provided.{independent} A unit left over loses "
        f"{sum(config.surplus_cost):g}, a missing one {sum(config.shortage_cost):g} (paper B, eq. 20). The entropy rule is the "
        "paper's (eq. 19): not the cost optimum, and dependent on how demand is binned. The newsvendor is the cost optimum.",
    )
    shown = [name for name in found.table if not name.endswith(("_left_over", "_missing"))]
    out.table("quantities", found.table[shown], "Quantities by both rules, and their expected losses")
    out.table("resources", found.table, "The same, with the units left over and missing", show=False)
    x = np.arange(found.pmf.shape[1])
    long = pd.DataFrame(
        {
            "segment": np.repeat(analysis.segment_names, len(x)),
            "units": np.tile(x, len(analysis.segment_names)),
            "probability": found.pmf.numpy().ravel(),
            "expected_loss": found.allocation.loss_curve.numpy().ravel(),
        }
    )
    out.table(
        "demand", long[long["probability"] > _NEGLIGIBLE], "Probability and expected loss of every quantity", show=False
    )
    quantities = {rule: found.table[f"{rule}_quantity"].to_list() for rule in ("entropy", "newsvendor")}
    out.figure(
        "resources",
        plan_figures.losses_figure(found.allocation.loss_curve.numpy(), quantities, analysis.segment_names, found.unit),
        "Expected loss of providing a quantity to each segment, and what the two rules choose.",
    )
    losses = {rule: float(found.times @ found.table[f"{rule}_loss"]) for rule in ("entropy", "newsvendor")}
    out.metric(entropy_loss=losses["entropy"], newsvendor_loss=losses["newsvendor"])
    if found.limited is not None:
        sentence = (
            f"With {config.resource_limit:,} units for all segments together, one more would lower the expected loss by "
            f"{found.limited.shadow_price:,.2f}."
        )
        out.text(sentence)
        out.headline(sentence)
        out.metric(limited_loss=found.limited.expected_loss, resource_shadow_price=found.limited.shadow_price)


def _quarters(analysis: OmnichannelAnalysis, config: Config, out: Run) -> None:
    found = analysis.quarters
    if found is None:
        out.section("The quarters", "No benefit is planned that spending could raise, so nothing is spent.")
        return
    plan, gain = found.plan, found.plan.total - found.even.total
    out.section(
        "The quarters",
        f"{found.budget:,.2f} is planned over {counted(config.periods, 'quarter')} and the segments. Assumption, no estimate: in "
        f"a quarter, spending raises a segment's benefit by {config.response_ceiling:.0%} at most, half of that at "
        f"{config.half_saturation:.0%} of the mean benefit of a customer for each of its customers, along a Hill curve of slope "
        f"{config.slope:g}; {config.carry_over:.0%} of a spend's effect carries over to the next quarter, the last one's too. "
        "Where past spends and responses are known, fitted curves belong here.",
    )
    out.table("response_curves", found.curves, "Assumed response of each segment")
    top = 2.5 * max(float(plan.spend.max()), 1e-9)
    spend = np.linspace(0, top, _CURVE_POINTS)
    response = found.curve(torch.from_numpy(spend)[:, None]).numpy()
    drawn = pd.DataFrame(response, columns=analysis.segment_names).assign(spend=spend)
    out.table("response_points", drawn, "Points of the assumed curves", show=False)
    out.figure(
        "response_curves",
        plan_figures.responses_figure(found.curves, spend, response, _effective(plan.spend, config).mean(axis=0)),
        "Assumed responses to spending.",
    )
    out.table(
        "quarters", found.summary, "Quarter by quarter: planned, and the same budget spread evenly over the customers"
    )
    out.table("quarters_by_segment", found.table, "Planned spend", show=False)
    by_segment = found.table.pivot(index="quarter", columns="segment", values="spend")[analysis.segment_names]
    out.figure(
        "quarters",
        plan_figures.quarters_figure(by_segment, found.summary),
        "Planned spend by quarter and segment, and what it adds; 'later' carries over beyond the last quarter.",
    )
    price = float(plan.shadow_price)
    totals = {
        "budget": found.budget,
        "added by the plan": plan.total,
        "added by the even plan": found.even.total,
        "upper bound": plan.upper_bound,
        "worth of one more unit of budget": price,
    }
    out.table("plan", pairs(totals), "The plan in total")
    proof = f"at most {plan.upper_bound:,.2f} is possible ({plan.status})"
    sentence = (
        f"The planned quarters add {plan.total:,.2f}, {gain:,.2f} more than the same budget spread evenly; {proof}."
    )
    out.text(sentence)
    out.headline(f"Under the assumed responses: {sentence[0].lower()}{sentence[1:]}")
    out.metric(
        plan_budget=found.budget,
        plan_total=float(plan.total),
        plan_even_total=float(found.even.total),
        plan_upper_bound=float(plan.upper_bound),
    )
    if math.isfinite(price):
        out.text(f"One more unit of budget is worth {price:,.2f}.")
        out.metric(plan_shadow_price=price)


def _effective(spend: np.ndarray, config: Config) -> np.ndarray:
    """Return the effective spends (T, k): each quarter's own, and what is left of the one before."""
    effective = np.zeros_like(spend)
    for quarter, row in enumerate(spend):
        effective[quarter] = row + (config.carry_over * effective[quarter - 1] if quarter else 0.0)
    return effective


def _case(analysis: OmnichannelAnalysis, out: Run) -> None:
    case = analysis.case
    if case is None:
        return
    a2 = case.products.iloc[1]
    out.section(
        "Paper B's products A1 and A2",
        "A calibration, no validation: the demand's four numbers and the unit cost are chosen so that both printed volumes and "
        "A2's printed profit rate come out, and A2's printed spends are the most profitable ones at its price (tables 3 and 4). "
        "The two are different products, no before and after.",
    )
    out.table("case", case.products, "Printed numbers in 10^4 yuan and 10^4 pieces, and what follows from them")
    out.table("case_parameters", case.parameters, "Calibrated demand, and the best spends at A2's price")
    out.table("case_split", case.split, "A2's spend divided otherwise", show=False)
    out.figure(
        "case",
        plan_figures.case_figure(case.split, a2["advertising"] / a2["spend"], a2["profit"], a2["spend"]),
        "Profit of A2 by the division of its spend, on the calibrated demand.",
    )
