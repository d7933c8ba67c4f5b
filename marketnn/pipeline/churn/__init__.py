"""Churn, whole (paper A, sections 3.2 and 4.1): who leaves, why, what kinds of leavers there are, and whom to call.

    customers -> split -> logistic analysis -> significant features -> portraits of the churned customers (K-means)
              -> customers likely to churn, each with its nearest portrait and that portrait's retention action

``analyse`` computes and returns everything; ``run`` records it in a run folder as well.
"""

from marketnn.pipeline.churn.analysis import ChurnAnalysis, Config, analyse
from marketnn.pipeline.churn.model import ChurnModel, Portrait
from marketnn.pipeline.churn.record import record
from marketnn.pipeline.churn.scores import record_scores
from marketnn.pipeline.parts import Parts
from marketnn.tracking import Run

__all__ = [
    "N_STAGES",
    "ChurnAnalysis",
    "ChurnModel",
    "Config",
    "Model",
    "Portrait",
    "analyse",
    "record_scores",
    "run",
]

N_STAGES = 4
Model = ChurnModel


def run(config: Config, parts: Parts, out: Run) -> None:
    """Analyse the table that ``parts`` names and record everything in the run folder."""
    analysis = analyse(parts.table(), config, parts, stage=out.stage)
    with out.stage("report"):
        record(analysis, config, out)
        out.model(analysis.model.saved())
