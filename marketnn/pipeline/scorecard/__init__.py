"""A scorecard, learnt (paper A, sections 2 and 3.1): from indices to a score by the LMBP network.

    table -> split -> scaled indices -> BP network trained by Levenberg-Marquardt -> score, grade, what moves the score

``analyse`` computes and returns everything; ``run`` records it in a run folder as well.
"""

from marketnn.pipeline.parts import Parts
from marketnn.pipeline.scorecard.analysis import Config, ScorecardAnalysis, analyse
from marketnn.pipeline.scorecard.model import ScorecardModel
from marketnn.pipeline.scorecard.record import record
from marketnn.pipeline.scorecard.scores import record_scores
from marketnn.tracking import Run

__all__ = [
    "N_STAGES",
    "Config",
    "Model",
    "ScorecardAnalysis",
    "ScorecardModel",
    "analyse",
    "record_scores",
    "run",
]

N_STAGES = 4
Model = ScorecardModel


def run(config: Config, parts: Parts, out: Run) -> None:
    """Analyse the table that ``parts`` names and record everything in the run folder."""
    analysis = analyse(parts.table(), config, parts, stage=out.stage)
    with out.stage("report"):
        record(analysis, config, parts, out)
        out.model(analysis.model.saved())
