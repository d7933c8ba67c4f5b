"""The enterprise analysis itself: each stage's table feeds the next (paper A whole), without writing anything."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from marketnn import registry
from marketnn.allocation import MarketingCost
from marketnn.data import Table
from marketnn.data.cost_sheet import EXAMPLE
from marketnn.data.index_system import IndexSystem
from marketnn.data.offer_history import OFFER, OfferHistory, draw_offers, read_offers
from marketnn.errors import InputError
from marketnn.pipeline.churn import ChurnAnalysis
from marketnn.pipeline.churn import analyse as analyse_churn
from marketnn.pipeline.enterprise.campaign import Campaign, ChannelCosts, plan_campaign
from marketnn.pipeline.enterprise.model import EnterpriseModel
from marketnn.pipeline.enterprise.performance import Performance, measure
from marketnn.pipeline.parts import Parts, Stage
from marketnn.pipeline.recommend import Config as RecommendConfig
from marketnn.pipeline.recommend import RecommendAnalysis
from marketnn.pipeline.recommend import analyse as analyse_offers
from marketnn.seed import child_seed


@dataclass(frozen=True)
class Config:
    """How an enterprise is analysed.

    Attributes:
        churn, recommend: settings of these pipelines.
        follow_up_cost, simple_call_cost, sms_cost: of a contact, by channel.
        capacity: offer -> most customers who can get it; the others are not limited.
        campaign_budget: money for all contacts; ``None`` for no limit.
        cost_sheet: a YAML or CSV of marketing costs; ``None`` takes the example that comes along.
        index_system: ``default``, ``green`` or a YAML file.
        units: a CSV of units with the indices and a ``score`` between 0 and 1; ``None`` makes units up.
        indices: a YAML of the enterprise's own indices; those that it leaves out are assumed.
        scorecard_restarts: networks of the scorecard that are trained; the best one scores.
        improvement_costs: index -> cost of improving it by one of its units; by default each index's range costs 100.
        improvement_budget: to spend on indices.
    """

    churn: dict[str, Any] = field(default_factory=lambda: {"name": "churn"})
    recommend: dict[str, Any] = field(default_factory=lambda: {"name": "recommend"})
    follow_up_cost: float = 6.0
    simple_call_cost: float = 2.0
    sms_cost: float = 0.1
    capacity: dict[str, float] | None = None
    campaign_budget: float | None = None
    cost_sheet: str | None = None
    index_system: str = "default"
    units: str | None = None
    indices: str | None = None
    scorecard_restarts: int = 5
    improvement_costs: dict[str, float] | None = None
    improvement_budget: float = 50.0


@dataclass(frozen=True)
class EnterpriseAnalysis:
    """Everything the run found.

    Attributes:
        churn: who leaves, why, and like which portrait.
        history: the offers that were made.
        offers: who accepts what.
        offers_config: how that was found: the settings, with what the history and the channels' costs say.
        here: positions of the customers who are still here, whom the campaign is for.
        campaign: which offer goes to whom, by which channel.
        sheet: the marketing cost before the campaign.
        cost: with the campaign's contacts as sales promotion and its expected revenue among the sales.
        performance: the scorecard.
        model: scores new customers.
    """

    churn: ChurnAnalysis
    history: OfferHistory
    offers: RecommendAnalysis
    offers_config: RecommendConfig
    here: np.ndarray
    campaign: Campaign
    sheet: MarketingCost
    cost: MarketingCost
    performance: Performance
    model: EnterpriseModel


def analyse(
    table: Table, config: Config, parts: Parts, *, stage: Stage = lambda _: nullcontext()
) -> EnterpriseAnalysis:
    """Run paper A on a table of customers.

    Args:
        table: customers with a two-class target that says who left.
        config: how.
        parts: the other groups, the seed, and ``offers``, a history of offers; without one, offers are made up.
        stage: entered around each named stage.

    Raises:
        InputError: a table, a file or the configuration cannot be used; the message says what to change.
    """
    costs = ChannelCosts(config.follow_up_cost, config.simple_call_cost, config.sms_cost)
    sheet = MarketingCost.read(config.cost_sheet or EXAMPLE)
    IndexSystem.load(config.index_system)  # a file that cannot be used is refused before anything is trained
    churn = analyse_churn(table, _settings("churn", config.churn), parts, stage=stage)
    with stage("offer history"):
        customers = churn.table
        history = (
            draw_offers(customers, seed=child_seed(parts.seed, "made-up offers"))
            if parts.offers is None
            else read_offers(parts.offers, customers)
        )
    told = {
        **config.recommend,
        "offer": OFFER,
        "revenue": dict(history.revenue),
        "randomised": history.made_up,
        "outbound_cost": config.simple_call_cost,
        "sms_cost": config.sms_cost,
    }
    offers_config = _settings("recommend", told)
    offers = analyse_offers(history.table, offers_config, parts, stage=stage)
    with stage("campaign"):
        here = np.flatnonzero(churn.y == 0)
        campaign = plan_campaign(
            offers.model.offer_probability(customers.features.iloc[here]),
            history.revenue,
            costs,
            capacity=config.capacity or {},
            budget=config.campaign_budget,
            device=parts.device,
            seed=child_seed(parts.seed, "campaign"),
        )
        cost = replace(
            sheet,
            sales_promotion=sheet.sales_promotion + float(campaign.choice.cost.sum()),
            sales=sheet.sales + float(campaign.choice.revenue.sum()),
        )
    with stage("scorecard"):
        performance = measure(
            measured_indices(churn, history, cost),
            index_system=config.index_system,
            units=config.units,
            indices=config.indices,
            restarts=config.scorecard_restarts,
            improvement_costs=config.improvement_costs or {},
            improvement_budget=config.improvement_budget,
            device=parts.device,
            seed=child_seed(parts.seed, "scorecard"),
        )
    model = EnterpriseModel(churn.model, offers.model, costs, history.made_up)
    return EnterpriseAnalysis(churn, history, offers, offers_config, here, campaign, sheet, cost, performance, model)


def measured_indices(churn: ChurnAnalysis, history: OfferHistory, cost: MarketingCost) -> dict[str, tuple[float, str]]:
    """Return the indices that a run measures itself, in per cent, and where each comes from."""
    accepted, _ = history.table.binary_target()
    return {
        "FIN3": (100 * cost.ratio, "marketing cost (eq. 3.4) over sales, the campaign included"),
        "CUS2": (100 * (1 - churn.y.mean()), f"customers of {churn.table.source} who stayed"),
        "CUS5": (100 * float(accepted.mean()), f"accepted among the {history.table.source}"),
        "LRN1": (100 * cost.training_ratio, "training over salaries (eq. 3.1) in the cost sheet"),
        "PAR4": (100 * cost.after_sales_rate, "after-sales cost over sales (eq. 3.3) in the cost sheet"),
    }


def _settings(pipeline: str, settings: Mapping[str, Any]) -> Any:
    """Return the ``Config`` of a stage's pipeline."""
    if settings.get("name") != pipeline:
        raise InputError(f"pipeline.{pipeline}.name={settings.get('name')} must stay {pipeline}.")
    _, config = registry.configure("pipeline", settings)
    return config
