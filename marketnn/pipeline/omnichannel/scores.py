"""Where a finished planning places new customers, written down."""

from __future__ import annotations

import pandas as pd

from marketnn.pipeline.omnichannel.model import NONE, OmnichannelModel
from marketnn.spelling import counted
from marketnn.tracking import Run


def record_scores(
    model: OmnichannelModel, scored: pd.DataFrame, outcome: pd.Series | None, source: str, out: Run
) -> None:
    """Record how many customers fall into each segment and project.

    Args:
        model: what placed them.
        scored: ``OmnichannelModel.predict``'s frame.
        outcome: unused: an order follows the marketing, which the file cannot know yet.
        source: the rows' file, for messages.
        out: where to.
    """
    del outcome
    segments = [segment.name for segment in model.segments]
    projects = [*(offer.name for offer in model.offers), NONE]
    counts = pd.crosstab(scored["segment"], scored["project"]).reindex(index=segments, columns=projects, fill_value=0)
    out.table(
        "segments",
        counts,
        "Customers by nearest segment and project",
        index=True,
        cells={name: () for name in projects},
    )
    contacted = int((scored["project"] != NONE).sum())
    worth = float(scored["worth"].sum())
    out.headline(
        f"{counted(len(scored), 'customer')} of {source} placed; {contacted:,} are worth a contact at the plan's shadow prices, "
        f"{worth:,.2f} together."
    )
    out.metric(n_contacted=contacted, expected_worth=worth)
    for name, size in counts.sum(axis=1).items():
        out.metric(**{f"{str(name).replace(' ', '_')}_size": int(size)})
