"""Whom to contact, and how: the paper's tiers, what they save, and the rule of highest expected profit beside them.

A row is an offer made. What a message brings is an assumption, and it is the paper's: in the last tier a message sells as well
as a call (paper A, section 4.3), elsewhere it sells nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from marketnn.classify import channel_saving, expected_profit_action, hit_rates, recommendation_tier

EVERYONE, TIERS, BEST = "call everyone", "tiers, messages in tier 4", "highest expected profit"
CALL, MESSAGE, NONE = 0, 1, -1
NO_CONTACT_TIER, MESSAGE_TIER = 1, 4


@dataclass(frozen=True)
class Contacts:
    """What tiers and contact rules come to.

    Attributes:
        tiers: a row per tier: its name, action and channel, its rows, how many accepted, and the hit rate with its interval.
        saving: of messages instead of calls in the last tier.
        rules: indexed by rule (``EVERYONE``, ``TIERS``, ``BEST`` among them): ``calls, messages, cost, expected_profit,
            observed_profit``.
    """

    tiers: pd.DataFrame
    saving: float
    rules: pd.DataFrame


def contact_rules(
    y: np.ndarray, probability: np.ndarray, revenue: np.ndarray, *, outbound_cost: float, sms_cost: float
) -> Contacts:
    """Compare contact rules on rows whose outcome is known.

    Args:
        y: (n,) 1 for accepted.
        probability: (n,) of it.
        revenue: (n,) of an acceptance.
        outbound_cost, sms_cost: of a call and of a message, in the unit of the revenue.
    """
    tier = recommendation_tier(probability, calibrated=True).tier
    cost = np.array([outbound_cost, sms_cost])
    called = np.where(tier == NO_CONTACT_TIER, NONE, CALL)
    rules = {
        EVERYONE: np.full(len(y), CALL),
        "tiers, calls only": called,
        TIERS: np.where(tier == MESSAGE_TIER, MESSAGE, called),
        BEST: profitable_contact(probability, revenue, outbound_cost=outbound_cost, sms_cost=sms_cost),
    }
    return Contacts(
        tiers=hit_rates(y, tier),
        saving=channel_saving(tier, outbound_cost=outbound_cost, sms_cost=sms_cost),
        rules=pd.DataFrame.from_dict(
            {rule: _totals(action, y, probability, revenue, cost) for rule, action in rules.items()}, orient="index"
        ).rename_axis("rule"),
    )


def profitable_contact(
    probability: np.ndarray, revenue: np.ndarray, *, outbound_cost: float, sms_cost: float
) -> np.ndarray:
    """Return the contact of highest expected profit (n,): ``CALL``, ``MESSAGE``, or ``NONE`` where none is worth its cost.

    Args:
        probability: (n,) of acceptance after a call; after a message the same in the last tier, and nothing elsewhere.
        revenue: (n,) of an acceptance.
        outbound_cost, sms_cost: of a call and of a message, in the unit of the revenue.
    """
    tier = recommendation_tier(probability, calibrated=True).tier
    after_message = np.where(tier == MESSAGE_TIER, probability, 0.0)
    return expected_profit_action(
        np.column_stack([probability, after_message]),
        np.column_stack([revenue, revenue]),
        np.array([outbound_cost, sms_cost]),
    ).action


def _totals(
    action: np.ndarray, y: np.ndarray, probability: np.ndarray, revenue: np.ndarray, cost: np.ndarray
) -> dict[str, float]:
    """Sum one rule's actions (n,) up."""
    contacted = action != NONE
    spent = float(cost[action[contacted]].sum())
    expected, observed = (float((revenue * share)[contacted].sum()) for share in (probability, y))
    return {
        "calls": int((action == CALL).sum()),
        "messages": int((action == MESSAGE).sum()),
        "cost": spent,
        "expected_profit": expected - spent,
        "observed_profit": observed - spent,
    }
