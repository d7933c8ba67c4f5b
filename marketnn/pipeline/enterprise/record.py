"""Write an enterprise analysis down as one report: what to do next, then the stages that say why."""

from __future__ import annotations

import numpy as np
import pandas as pd

from marketnn.pipeline.churn.record import record as record_churn
from marketnn.pipeline.enterprise.analysis import Config, EnterpriseAnalysis
from marketnn.pipeline.enterprise.campaign import NO_CONTACT
from marketnn.pipeline.enterprise.next_steps import next_steps
from marketnn.pipeline.enterprise.performance import ASSUMED
from marketnn.pipeline.recommend.record import record as record_offers
from marketnn.registry import configure
from marketnn.report import figures
from marketnn.report.cost_figures import tornado_figure
from marketnn.report.scorecard_figures import radar_figure
from marketnn.spelling import counted
from marketnn.tracking import Run

MADE_UP_OFFERS = (
    "The offers and their outcomes are made up from the customers' own features (offers=FILE reads real ones): what is said of "
    "offers, tiers and the campaign shows the method and says nothing of this enterprise."
)


def record(analysis: EnterpriseAnalysis, config: Config, out: Run) -> None:
    """Record the whole analysis."""
    _brief(analysis, out)
    _, churn_config = configure("pipeline", config.churn)
    record_churn(analysis.churn, churn_config, out)
    if analysis.history.made_up:
        out.section("Offers are made up", MADE_UP_OFFERS)
    with out.part("offers"):
        record_offers(analysis.offers, analysis.offers_config, out)
    _campaign(analysis, config, out)
    _cost(analysis, config, out)
    _scorecard(analysis, out)


def _brief(analysis: EnterpriseAnalysis, out: Run) -> None:
    """Say what to do next, before anything else."""
    campaign, performance = analysis.campaign, analysis.performance
    if analysis.history.made_up:
        out.headline(MADE_UP_OFFERS)
    contacted = int((campaign.choice.offer != "").sum())
    out.headline(
        f"{counted(contacted, 'customer')} to contact of {len(analysis.here):,} still here: expected profit "
        f"{campaign.choice.profit.sum():,.0f} for contacts of {campaign.choice.cost.sum():,.0f}."
    )
    out.headline(
        f"The scorecard stands at {performance.score:.3f} ({performance.grade}); {performance.budget:,.0f} spent on "
        f"{_listed(list(performance.plan.changes.index))} would bring it to {performance.plan.improved_score:.3f}."
    )
    out.section(
        "What to do next",
        "In the order of the sections below, which say why. Amounts are in the currency of the cost sheet and of the offers.",
    )
    out.table("next_steps", next_steps(analysis), "What to do next", cells={"how_many": ("cost", "expected")})


def _campaign(analysis: EnterpriseAnalysis, config: Config, out: Run) -> None:
    campaign, choice = analysis.campaign, analysis.campaign.choice
    proof = campaign.assignment
    out.section(
        "The campaign",
        "Every customer still here gets the offer of the highest expected profit: chance of acceptance times revenue, less the "
        "cost of the channel that the offer's tier asks for. Nobody is contacted where no offer pays. "
        "tables/campaign_customers.csv lists the customers by row number.",
    )
    out.table(
        "campaign_channels", campaign.by_channel.rename_axis("channel"), "By channel", index=True, size="customers"
    )
    out.table("campaign_offers", campaign.by_offer.rename_axis("offer"), "By offer", index=True, size="customers")
    offers = list(analysis.history.revenue)
    prices = pd.DataFrame(
        {
            "offer": offers,
            "revenue": [analysis.history.revenue[offer] for offer in offers],
            "limit": [(config.capacity or {}).get(offer, np.nan) for offer in offers],
            "one_more_is_worth": np.asarray(proof.shadow_price, dtype=float),
        }
    )
    out.table(
        "campaign_prices", prices, "Revenue of an accepted offer, its limit, and what one more of it would be worth"
    )
    for line in _shadow_prices(analysis, config):
        out.text(line)
    customers = pd.DataFrame(
        {"row": analysis.churn.table.row_numbers[analysis.here], **choice.table().to_dict("series")}
    )
    out.table("campaign_customers", customers, "Every customer still here", show=False)
    shown = out.drawn(campaign.by_channel, size="customers")
    out.figure(
        "campaign_channels",
        figures.bars_figure(list(shown.index), {"customers": list(shown["customers"])}, "customers"),
        "Customers by channel.",
    )
    offered = out.drawn(campaign.by_offer.drop(index="none"), size="customers")
    out.figure(
        "campaign_offers",
        figures.bars_figure(
            list(offered.index), {"revenue": list(offered["revenue"]), "profit": list(offered["profit"])}, "expected"
        ),
        "Expected revenue and profit by offer.",
    )
    single, single_profit = campaign.best_single
    alternatives = {
        "this campaign": float(choice.profit.sum()),
        f"{single} to all": single_profit,
        "no limits": campaign.without_limits,
    }
    out.table(
        "campaign_alternatives",
        pd.DataFrame({"plan": list(alternatives), "expected_profit": list(alternatives.values())}),
        "The campaign beside the best single offer to everybody, and beside one without limits",
    )
    out.text(
        f"Proof: the campaign is worth {proof.value:,.2f}, no other within the limits more than {proof.upper_bound:,.2f} "
        f"({proof.status}). SMS instead of a call saves {campaign.saving:,.2f} in tier 4."
    )
    out.metric(
        n_contacted=int((choice.action != NO_CONTACT).sum()),
        campaign_cost=float(choice.cost.sum()),
        campaign_revenue=float(choice.revenue.sum()),
        campaign_profit=float(choice.profit.sum()),
        campaign_upper_bound=float(proof.upper_bound),
        campaign_gap=float(proof.gap),
        campaign_saving=campaign.saving,
        best_single_profit=single_profit,
    )


def _shadow_prices(analysis: EnterpriseAnalysis, config: Config) -> list[str]:
    """Say in words what a further unit of each limit is worth."""
    proof, offers = analysis.campaign.assignment, list(analysis.history.revenue)
    lines = [
        f"One more {offer} would be worth {price:,.2f}."
        for offer, price in zip(offers, proof.shadow_price, strict=True)
        if offer in (config.capacity or {}) and price > 0
    ]
    if config.campaign_budget is not None:
        price = next(iter(proof.channel_price.values()), 0.0)
        lines.append(f"One more unit of money for contacts would be worth {price:,.2f}.")
    return lines


def _cost(analysis: EnterpriseAnalysis, config: Config, out: Run) -> None:
    cost, sheet = analysis.cost, analysis.sheet
    low, high = cost.interval
    example = "" if config.cost_sheet else " The cost sheet is the example that comes along: its amounts are nobody's."
    out.section(
        "What marketing costs",
        f"Equations 3.1 to 3.4 on the cost sheet, the campaign's contacts among the sales promotion: C = {cost.total:,.0f}, "
        f"between {low:,.0f} and {high:,.0f} over the rates' ranges; {sheet.total:,.0f} before the campaign.{example}",
    )
    out.table("cost_items", cost.items(), "Every item of the cost")
    tornado = cost.tornado()
    out.table("cost_tornado", tornado, "What moves the cost", index=True)
    xlabel = f"marketing cost ({cost.currency})" if cost.currency else "marketing cost"
    figure = tornado_figure(tornado, cost.total, xlabel=xlabel)
    out.figure("cost_tornado", figure, "Rates over their ranges, amounts by a tenth either way, the others held.")
    out.metric(
        marketing_cost=cost.total,
        marketing_cost_low=low,
        marketing_cost_high=high,
        marketing_cost_before=sheet.total,
        cost_ratio=cost.ratio,
    )


def _scorecard(analysis: EnterpriseAnalysis, out: Run) -> None:
    performance = analysis.performance
    table = performance.indices
    assumed = int((table["origin"] == ASSUMED).sum())
    made_up = " The units are made up, so is the score's meaning." if performance.made_up else ""
    out.section(
        "The scorecard",
        f"A network of {counted(performance.n_units, 'unit')} gives {performance.score:.3f} of 1, {performance.grade} "
        f"(R² {performance.errors.r2:.3f} on units it did not see).{made_up} {assumed} of the {len(table)} indices are "
        "assumed: pipeline.indices=FILE tells them.",
    )
    out.table("indices", table, "The enterprise's indices and where each comes from", index=True)
    beyond = list(table.index[table["beyond"]])
    if beyond:
        out.text(f"{_listed(beyond)} lie outside what the units had; the score is extrapolated there.")
    out.table("dimensions", performance.dimensions, "Dimensions: mean quality of their indices", index=True)
    out.figure(
        "dimensions", radar_figure(performance.dimensions), "Where the enterprise stands, dimension by dimension."
    )
    out.table(
        "effects", performance.effects, "What an improvement by a tenth of the range adds to the score", index=True
    )
    effects = performance.effects.rename(columns={"effect": "effect"}).assign(
        low=lambda x: x["effect"], high=lambda x: x["effect"]
    )
    out.figure(
        "index_effects",
        figures.effects_figure(
            effects[["effect", "low", "high"]],
            xlabel="score gained by a tenth of the index's range",
            raising=figures.GREEN,
            lowering=figures.RED,
        ),
        "The indices that move the score most from here.",
    )
    plan = performance.plan
    out.table("improvements", plan.changes, f"The best use of {performance.budget:,.0f}", index=True)
    out.text(
        f"They would raise the score from {plan.score:.3f} to {plan.improved_score:.3f} for {plan.cost:,.2f}; one more unit of "
        f"money would add {plan.price:.2g}."
    )
    out.metric(
        score=performance.score,
        improved_score=plan.improved_score,
        improvement_cost=plan.cost,
        scorecard_r2=performance.errors.r2,
        n_assumed=assumed,
        **{f"index_{code}": float(value) for code, value in table["value"].items()},
    )


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "nothing"
