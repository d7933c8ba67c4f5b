"""The campaign: which offer goes to whom by which channel, what it costs and what it should bring (paper A, section 4.2).

An offer's chance of being accepted puts it into one of the four tiers, the tier says the channel, and the channel what a contact
costs. Each customer gets the offer of the highest expected profit, unless offers are short or the money for contacts is; then
the assignment of highest expected profit within the limits, with its proof.

Shapes: n customers, K offers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from marketnn.allocation import AssignmentResult, assign_offers
from marketnn.classify import recommendation_tier
from marketnn.errors import InputError, unknown_name

NO_CONTACT = "no contact"
CHANNELS = (NO_CONTACT, "follow-up calls", "simple call", "SMS")  # of tiers 1 to 4
MONEY = "contacts"


@dataclass(frozen=True)
class ChannelCosts:
    """What a contact costs.

    Attributes:
        follow_up: several calls, tier 2.
        simple_call: one short call, tier 3.
        sms: a message, tier 4.
    """

    follow_up: float = 6.0
    simple_call: float = 2.0
    sms: float = 0.1

    def __post_init__(self) -> None:
        for name, cost in vars(self).items():
            if not (np.isfinite(cost) and cost >= 0):
                raise InputError(f"the cost of {name} is {cost:g}; write a number from 0 on.")

    def by_tier(self) -> np.ndarray:
        """Return the cost of a contact in tiers 1 to 4; the first makes none."""
        return np.array([0.0, self.follow_up, self.simple_call, self.sms])


@dataclass(frozen=True)
class Choice:
    """One offer, or none, for each customer.

    Attributes:
        offer: (n,) its name; empty for none.
        probability: (n,) that it is accepted; for none, of the likeliest.
        tier: (n,) 1 to 4, of ``probability``.
        action: (n,) how to make it.
        cost: (n,) of the contact.
        revenue: (n,) expected.
        profit: (n,) expected revenue less cost.
    """

    offer: np.ndarray
    probability: np.ndarray
    tier: np.ndarray
    action: np.ndarray
    cost: np.ndarray
    revenue: np.ndarray

    @property
    def profit(self) -> np.ndarray:
        """(n,) expected revenue less cost."""
        return self.revenue - self.cost

    def table(self) -> pd.DataFrame:
        """Return the choice as columns, one row per customer."""
        return pd.DataFrame({**vars(self), "profit": self.profit})


@dataclass(frozen=True)
class Campaign:
    """A campaign and how good it is proven to be.

    Attributes:
        choice: who gets what.
        assignment: the certificate: value, upper bound, gap, status, shadow prices.
        by_channel, by_offer: customers, cost, expected acceptances, revenue and profit of each.
        best_single: the offer which, made to everyone whom it pays to ask, brings the highest expected profit, and that profit.
        saving: what SMS instead of calls saves in tier 4.
        without_limits: expected profit if no offer and no money were short.
    """

    choice: Choice
    assignment: AssignmentResult
    by_channel: pd.DataFrame
    by_offer: pd.DataFrame
    best_single: tuple[str, float]
    saving: float
    without_limits: float


def best_offers(probability: pd.DataFrame, revenue: Mapping[str, float], costs: ChannelCosts) -> Choice:
    """Choose each customer's offer of the highest expected profit, none where every contact costs more than it brings.

    Args:
        probability: (n, K) of acceptance, offers as columns.
        revenue: offer -> revenue of an accepted one.
        costs: of a contact.
    """
    profit_nk, _ = _profits(probability, revenue, costs)
    best = profit_nk.argmax(axis=1)
    return _chosen(np.where(profit_nk.max(axis=1) > 0, best, -1), probability, revenue, costs)


def plan_campaign(
    probability: pd.DataFrame,
    revenue: Mapping[str, float],
    costs: ChannelCosts,
    *,
    capacity: Mapping[str, float],
    budget: float | None,
    device: str,
    seed: int,
) -> Campaign:
    """Choose offers for all customers together.

    Args:
        probability: (n, K) of acceptance, offers as columns.
        revenue: offer -> revenue of an accepted one.
        costs: of a contact.
        capacity: offer -> most customers who can get it; offers without one are not limited.
        budget: money for all contacts; ``None`` for no limit.
        device, seed: of the assignment.

    Raises:
        InputError: an unknown offer, or a limit out of range.
    """
    offers = list(probability.columns)
    for offer in capacity:
        if offer not in offers:
            raise unknown_name("offer in pipeline.capacity", offer, offers)
    profit_nk, cost_nk = _profits(probability, revenue, costs)
    assignment = assign_offers(
        profit_nk,
        capacity=[capacity.get(offer, np.inf) for offer in offers] if capacity else None,
        channel=None if budget is None else [MONEY] * len(offers),
        channel_budget=None if budget is None else {MONEY: budget},
        cost=None if budget is None else cost_nk,
        device=device,
        seed=seed,
    )
    choice = _chosen(np.asarray(assignment.offer), probability, revenue, costs)
    single = pd.Series(np.maximum(profit_nk, 0).sum(axis=0), index=offers)
    in_sms = (choice.offer != "") & (choice.tier == 4)
    return Campaign(
        choice=choice,
        assignment=assignment,
        by_channel=_totals(choice, choice.action, CHANNELS),
        by_offer=_totals(choice, choice.offer, (*offers, "")).rename({"": "none"}),
        best_single=(str(single.idxmax()), float(single.max())),
        saving=float(in_sms.sum() * (costs.simple_call - costs.sms)),
        without_limits=float(np.maximum(profit_nk.max(axis=1), 0).sum()),
    )


def _profits(
    probability: pd.DataFrame, revenue: Mapping[str, float], costs: ChannelCosts
) -> tuple[np.ndarray, np.ndarray]:
    """Return expected profit (n, K), minus infinity where the tier makes no contact, and the contact's cost (n, K)."""
    p_nk = probability.to_numpy()
    tier_nk = _tier(p_nk)
    cost_nk = costs.by_tier()[tier_nk - 1]
    price_k = np.array([revenue[offer] for offer in probability.columns])
    return np.where(tier_nk > 1, p_nk * price_k - cost_nk, -np.inf), cost_nk


def _tier(probability: np.ndarray) -> np.ndarray:
    return np.asarray(recommendation_tier(probability.ravel(), calibrated=True).tier).reshape(probability.shape)


def _chosen(index: np.ndarray, probability: pd.DataFrame, revenue: Mapping[str, float], costs: ChannelCosts) -> Choice:
    """Describe the choice of an offer's place per customer (n,), -1 for none."""
    offers, p_nk = np.array(probability.columns, dtype=object), probability.to_numpy()
    contacted = index >= 0
    shown = np.where(contacted, index, p_nk.argmax(axis=1))
    p = p_nk[np.arange(len(p_nk)), shown]
    tier = _tier(p)
    price = np.array([revenue[offer] for offer in offers])[shown]
    return Choice(
        offer=np.where(contacted, offers[shown], ""),
        probability=p,
        tier=tier,
        action=np.where(contacted, np.array(CHANNELS, dtype=object)[tier - 1], NO_CONTACT),
        cost=np.where(contacted, costs.by_tier()[tier - 1], 0.0),
        revenue=np.where(contacted, p * price, 0.0),
    )


def _totals(choice: Choice, by: np.ndarray, names: tuple[str, ...]) -> pd.DataFrame:
    """Sum the choice up by channel or offer, in the order of ``names``."""
    table = choice.table().assign(accepted=np.where(choice.offer != "", choice.probability, 0.0))
    sums = table.groupby(by)[["accepted", "cost", "revenue", "profit"]].sum()
    sums.insert(0, "customers", table.groupby(by).size())
    return sums.reindex(names, fill_value=0)
