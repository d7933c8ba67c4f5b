"""Customer segments, whole (paper A, section 2; paper B, section III.B): any table, one algorithm or several on equal terms.

    table -> encoded and scaled features -> clustering -> segments, what tells them apart, where the value lies

``analyse`` computes and returns everything; ``run`` records it in a run folder as well.
"""

from marketnn.pipeline.parts import Parts
from marketnn.pipeline.segment.analysis import Config, SegmentAnalysis, analyse
from marketnn.pipeline.segment.clustering import Clustering
from marketnn.pipeline.segment.model import SegmentModel
from marketnn.pipeline.segment.record import record
from marketnn.pipeline.segment.scores import record_scores
from marketnn.tracking import Run

__all__ = [
    "N_STAGES",
    "Clustering",
    "Config",
    "Model",
    "SegmentAnalysis",
    "SegmentModel",
    "analyse",
    "record_scores",
    "run",
]

N_STAGES = 4
Model = SegmentModel


def run(config: Config, parts: Parts, out: Run) -> None:
    """Segment the table that ``parts`` names and record everything in the run folder."""
    analysis = analyse(parts.table(), config, parts, stage=out.stage)
    with out.stage("report"):
        record(analysis, config, out)
        out.model(analysis.model.saved())
