"""What a finished enterprise run says of new customers, written down."""

from __future__ import annotations

import pandas as pd

from marketnn.pipeline.churn import record_scores as record_churn_scores
from marketnn.pipeline.enterprise.model import EnterpriseModel
from marketnn.spelling import counted
from marketnn.tracking import Run


def record_scores(
    model: EnterpriseModel, scored: pd.DataFrame, outcome: pd.Series | None, source: str, out: Run
) -> None:
    """Record how many customers are likely to leave and what they are offered.

    Args:
        model: what scored them.
        scored: ``EnterpriseModel.predict``'s frame.
        outcome: the target of the same rows, where the file has it.
        source: the customers' file, for messages.
        out: where to.
    """
    if model.made_up:
        out.headline(
            "The model learnt its offers from a made-up history: offers, tiers and actions show the method only."
        )
    record_churn_scores(model.churn, scored, outcome, source, out)
    contacted = scored["offer"] != ""
    out.headline(
        f"{counted(int(contacted.sum()), 'customer')} to contact; expected profit {scored['expected_profit'].sum():,.0f}."
    )
    actions = scored.groupby("action", sort=False).agg(
        customers=("action", "size"), mean_chance=("offer_probability", "mean"), profit=("expected_profit", "sum")
    )
    actions = actions.sort_values("customers", ascending=False)
    out.table("actions", actions, "Customers by action", index=True, size="customers")
    offers = scored[contacted].groupby("offer").agg(customers=("offer", "size"), profit=("expected_profit", "sum"))
    out.table("offers", offers, "Customers by offer", index=True, size="customers")
    out.metric(n_contacted=int(contacted.sum()), campaign_profit=float(scored["expected_profit"].sum()))
