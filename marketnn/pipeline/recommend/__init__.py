"""The strategy recommender, whole (paper A, section 4.2): who accepts an offer, which offer suits whom, and by which channel.

    offers made -> one split -> models compared on the same rows -> the chosen one, calibrated -> why it says so
                -> tiers of probability with their channels -> the best offer of each customer, and what recommending brings

``analyse`` computes and returns everything; ``run`` records it in a run folder as well.
"""

from marketnn.pipeline.parts import Parts
from marketnn.pipeline.recommend.analysis import Config, RecommendAnalysis, analyse
from marketnn.pipeline.recommend.model import RecommendModel
from marketnn.pipeline.recommend.record import record
from marketnn.pipeline.recommend.scores import record_scores
from marketnn.tracking import Run

__all__ = [
    "N_STAGES",
    "Config",
    "Model",
    "RecommendAnalysis",
    "RecommendModel",
    "analyse",
    "record",
    "record_scores",
    "run",
]

N_STAGES = 6
Model = RecommendModel


def run(config: Config, parts: Parts, out: Run) -> None:
    """Analyse the table that ``parts`` names and record everything in the run folder."""
    table = parts.table(categories=[] if config.offer is None else [config.offer])
    analysis = analyse(table, config, parts, stage=out.stage)
    with out.stage("report"):
        record(analysis, config, out)
        out.model(analysis.model.saved())
