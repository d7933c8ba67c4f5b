"""Where finished segments place new rows, written down."""

from __future__ import annotations

import pandas as pd

from marketnn.pipeline.segment.model import SegmentModel
from marketnn.spelling import counted
from marketnn.tracking import Run


def record_scores(model: SegmentModel, scored: pd.DataFrame, outcome: pd.Series | None, source: str, out: Run) -> None:
    """Record how many rows fall into each segment.

    Args:
        model: what placed them.
        scored: ``SegmentModel.predict``'s frame.
        outcome: unused: segments are nothing that a file could hold.
        source: the rows' file, for messages.
        out: where to.
    """
    del outcome
    by_segment = scored.groupby("segment")["distance"]
    names = [segment.name for segment in model.segments]
    table = pd.DataFrame(
        {
            "segment": names,
            "label": [segment.label for segment in model.segments],
            "rows": by_segment.size().reindex(names, fill_value=0).to_numpy(),
            "mean_distance": by_segment.mean().reindex(names).to_numpy(),
        }
    )
    out.table("segments", table, "Rows by nearest segment; the distance to its centre is in scaled units", size="rows")
    largest = table.loc[table["rows"].idxmax()]
    out.headline(
        f"{counted(len(scored), 'row')} of {source} placed; most of them, {largest['rows']:,}, in {largest['segment']}."
    )
    for name, size in zip(names, table["rows"], strict=True):
        out.metric(**{f"{name.replace(' ', '_')}_size": int(size)})
    out.metric(mean_distance=float(scored["distance"].mean()))
