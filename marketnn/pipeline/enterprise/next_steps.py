"""What to do next, gathered from the stages: one row per step, with the number that it rests on and where that stands."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from marketnn.pipeline.churn.record import segments
from marketnn.pipeline.enterprise.analysis import EnterpriseAnalysis
from marketnn.pipeline.enterprise.campaign import NO_CONTACT

COLUMNS = ("who", "step", "how_many", "cost", "expected", "table")


def next_steps(analysis: EnterpriseAnalysis) -> pd.DataFrame:
    """List the steps.

    Returns:
        ``who`` does it, ``step``, ``how_many`` customers, ``cost`` and ``expected`` gain (money for the campaign, score
        for the scorecard; empty where nothing is known), and the ``table`` that has the number.
    """
    rows = [*_keep(analysis), *_offer(analysis), *_improve(analysis)]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"how_many": "Int64"})


def _keep(analysis: EnterpriseAnalysis) -> Iterator[tuple[object, ...]]:
    """Yield what to do about those who are likely to leave, portrait by portrait."""
    for _, portrait in segments(analysis.churn).iterrows():
        if portrait["likely"]:
            yield (
                "call centre",
                f"{portrait['portrait']}: {portrait['action']}",
                int(portrait["likely"]),
                np.nan,
                np.nan,
                "tables/segments.csv",
            )


def _offer(analysis: EnterpriseAnalysis) -> Iterator[tuple[object, ...]]:
    """Yield whom to contact, channel by channel."""
    for channel, totals in analysis.campaign.by_channel.drop(index=NO_CONTACT).iterrows():
        if totals["customers"]:
            yield (
                "campaign",
                f"make the offers by {channel}",
                int(totals["customers"]),
                float(totals["cost"]),
                float(totals["profit"]),
                "tables/campaign_channels.csv",
            )


def _improve(analysis: EnterpriseAnalysis) -> Iterator[tuple[object, ...]]:
    """Yield which indices to improve."""
    performance = analysis.performance
    for code, change in performance.plan.changes.iterrows():
        index = performance.indices.loc[code]
        gain = float(performance.effects.at[code, "slope"] * change["change"])
        yield (
            "management",
            f"bring {index['name']} from {change['before']:.3g} to {change['after']:.3g} {index['unit']}",
            None,
            float(change["cost"]),
            gain,
            "tables/improvements.csv",
        )
