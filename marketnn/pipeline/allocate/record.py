"""Write an allocation down: who gets what, how good that is proven to be, and what one more of everything is worth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from marketnn.pipeline.allocate.analysis import AllocateAnalysis, Config
from marketnn.pipeline.allocate.spending import Spending
from marketnn.report import allocation_figures, figures, plan_figures
from marketnn.spelling import counted
from marketnn.tracking import Run

N_POINTS = 100


def record(analysis: AllocateAnalysis, config: Config, out: Run) -> None:
    """Record the whole allocation."""
    _offers(analysis, out)
    _limits(analysis, config, out)
    if analysis.comparison is not None:
        _projects(analysis, out)
    if analysis.spending is not None:
        _spending(analysis.spending, config, out)


def _offers(analysis: AllocateAnalysis, out: Run) -> None:
    """Record the assignment, its proof, and the plans beside it."""
    assigned, summary, n = analysis.assigned, analysis.summary, len(analysis.worth)
    n_assigned = int((assigned.offer >= 0).sum())
    out.headline(
        f"{n_assigned:,} of {counted(n, 'customer')} get one of {len(analysis.offers)} offers, worth {assigned.value:,.2f}; "
        + (
            "no other assignment within the limits is worth more."
            if assigned.status == "optimal"
            else f"none within the limits is worth more than {assigned.upper_bound:,.2f} (gap {assigned.gap:.1e})."
        )
    )
    without = (
        f" {counted(assigned.n_without_offer, 'customer')} have no eligible offer and get none."
        if assigned.n_without_offer
        else ""
    )
    out.section(
        "Who gets what",
        f"{counted(n, 'customer')} of {analysis.table.source}. Every customer gets one offer or none; contacts are paid, fixed "
        f"costs too.{without} tables/assignment.csv lists the customers by row number.",
    )
    caption = "Offers: customers whose best it is, customers who get it, and what one more is worth"
    cells: dict[str, tuple[str, ...]] = {"wanted": (), "assigned": ()}
    out.table("offers", summary, caption, cells=cells)
    drawn = out.drawn(summary, cells=cells)
    out.figure(
        "offers",
        figures.bars_figure(
            list(drawn["offer"]),
            {"best offer": list(drawn["wanted"]), "assigned": list(drawn["assigned"])},
            "customers",
        ),
        "Customers whose best offer it is, and customers who get it.",
    )
    out.table("plans", analysis.plans, "The plans, counted alike; without limits more is possible only on paper")
    out.figure(
        "plans",
        plan_figures.benefit_figure(analysis.plans[["plan", "benefit"]]),
        "What the plans bring, all costs paid.",
    )
    names = np.array([*analysis.offers, ""], dtype=object)
    offer = assigned.offer
    rows = pd.DataFrame(
        {
            "row": analysis.table.row_numbers,
            "offer": names[offer],
            "worth": np.where(offer >= 0, analysis.worth[np.arange(n), np.maximum(offer, 0)], 0.0),
        }
    )
    out.table("assignment", rows, "Every customer", show=False)
    finite = np.where(np.isfinite(analysis.worth), analysis.worth, -np.inf)
    ranked = np.sort(np.column_stack([finite, np.zeros(n)]), axis=1)
    lead = ranked[:, -1] - ranked[:, -2]
    out.figure(
        "leads",
        allocation_figures.leads_figure(lead),
        "A small lead says that another offer would do nearly as well.",
    )
    out.metric(
        n_rows=n,
        n_assigned=n_assigned,
        n_without_offer=assigned.n_without_offer,
        assignment_value=float(assigned.value),
        assignment_upper_bound=float(assigned.upper_bound),
        assignment_gap=float(assigned.gap),
    )


def _limits(analysis: AllocateAnalysis, config: Config, out: Run) -> None:
    """Record what a further unit of each limit is worth, in words."""
    assigned = analysis.assigned
    prices = {
        f"one more {offer}": float(price)
        for offer, price in zip(analysis.offers, assigned.shadow_price, strict=True)
        if abs(price) > 0
    }
    prices |= {
        f"one more unit of money in {channel}": float(price) for channel, price in assigned.channel_price.items()
    }
    out.section(
        "What the limits cost",
        "By the prices of the linear programme: what one more unit of a limit would add, as long as the same limits bind."
        if prices
        else "No limit binds: everybody who gains from an offer has the best one.",
    )
    if not prices:
        return
    table = pd.DataFrame({"limit": list(prices), "worth": list(prices.values())})
    out.table("shadow_prices", table, "What one more unit is worth; below 0 what a minimum volume costs")
    if max(prices.values()) > 0:
        shown = {name: price for name, price in prices.items() if price > 0}
        out.figure("shadow_prices", plan_figures.prices_figure(shown), "What one more unit of each limit is worth.")
        dearest = max(shown, key=shown.__getitem__)
        out.headline(f"{dearest[0].upper()}{dearest[1:]} is worth {shown[dearest]:,.2f}.")


def _projects(analysis: AllocateAnalysis, out: Run) -> None:
    """Record the offers compared as paper B has them."""
    comparison = analysis.comparison
    assert comparison is not None
    out.section(
        "The offers as projects",
        "Compared without limits and contact costs (paper B, eq. 4-13): every customer is marketed the project of the highest "
        "probability times revenue, and a project is worth launching while its fixed cost stays below its break-even.",
    )
    table = pd.DataFrame(
        {
            "project": comparison.names,
            "alone": comparison.benefit_alone,
            "fixed_cost": comparison.fixed_cost,
            "break_even_fixed_cost": comparison.break_even_fixed_cost,
            "launched": np.where(comparison.launch.open, "yes", "no"),
            "customers": np.bincount(comparison.choice, minlength=len(comparison.names)),
        }
    )
    out.table("projects", table, "Projects: benefit alone, and up to which fixed cost each pays")
    out.metric(
        project_gain=comparison.gain, launch_gain=comparison.launch_gain, n_launched=int(comparison.launch.open.sum())
    )


def _spending(spending: Spending, config: Config, out: Run) -> None:
    """Record the responses and the division of the budget."""
    out.section(
        "What spending brings",
        f"A {config.curve} curve fitted to every channel by least squares, with standard errors"
        + (", and what of a spend lasts into the next period." if config.adstock else "."),
    )
    out.table("response_parameters", spending.parameters, "Fitted parameters")
    out.table("responses", spending.observed, "Observed and fitted responses", show=False)
    curves = {}
    for channel, fit in spending.fits.items():
        rows = spending.observed[spending.observed["channel"] == channel]
        spend = np.linspace(0, 1.1 * float(rows["spend"].max()), N_POINTS)
        curves[channel] = (spend, fit.curve(torch.from_numpy(spend)).numpy() + fit.baseline)
    drawn = pd.concat([pd.DataFrame({"channel": name, "spend": x, "response": y}) for name, (x, y) in curves.items()])
    out.table("response_curves", drawn, "The curves as drawn", show=False)
    planned = {} if spending.plan is None else spending.table.groupby("channel")["spend"].mean().to_dict()
    out.figure(
        "responses",
        allocation_figures.fitted_figure(spending.observed, curves, planned),
        "Responses without carry-over." if config.adstock else "Responses.",
    )
    out.metric(**{f"r2_{channel}": fit.r_squared for channel, fit in spending.fits.items()})
    if spending.plan is None:
        return
    plan, table = spending.plan, spending.table
    wide = table.pivot(index="period", columns="channel", values="spend")[list(spending.fits)]
    out.table("spending", wide, f"Spend by period and channel, {float(wide.to_numpy().sum()):,.2f} in all", index=True)
    summary = pd.DataFrame(
        {"quarter": wide.index, "response": plan.response, "even_response": spending.even / spending.periods}
    ).rename(columns={"quarter": "period"})
    out.table("spending_responses", summary, "What every period brings, beside the same budget spread evenly (mean)")
    out.figure(
        "spending",
        figures.bars_figure(
            [f"period {p}" for p in wide.index], {name: list(wide[name]) for name in wide.columns[:4]}, "spend"
        ),
        "Planned spend" + (", the first four channels." if len(wide.columns) > 4 else "."),
    )
    out.headline(
        f"{config.budget:,.0f} over {counted(spending.periods, 'period')} bring {plan.total:,.2f}, no plan more than "
        f"{plan.upper_bound:,.2f} ({plan.status}); spread evenly {spending.even:,.2f}. One more unit of money is worth "
        f"{plan.shadow_price:,.3g}."
    )
    out.metric(plan_total=float(plan.total), plan_upper_bound=float(plan.upper_bound), plan_even_total=spending.even)
