"""Paper A whole, as one run: each stage's table feeds the next, down to what to do.

    customers -> churn drivers -> portraits -> offers and tiers -> campaign by channel and its cost -> marketing cost
              -> scorecard (campaign success into CUS5, retention into CUS2, cost into FIN3, training into LRN1) -> next steps

``analyse`` computes and returns everything; ``run`` records it in a run folder as well.
"""

from marketnn.pipeline import churn, recommend
from marketnn.pipeline.enterprise.analysis import Config, EnterpriseAnalysis, analyse
from marketnn.pipeline.enterprise.model import EnterpriseModel
from marketnn.pipeline.enterprise.record import record
from marketnn.pipeline.enterprise.scores import record_scores
from marketnn.pipeline.parts import Parts
from marketnn.tracking import Run

__all__ = ["N_STAGES", "Config", "EnterpriseAnalysis", "EnterpriseModel", "Model", "analyse", "record_scores", "run"]

N_STAGES = (
    churn.N_STAGES + recommend.N_STAGES + 2
)  # their reports are one, and offers, campaign and scorecard come on top
Model = EnterpriseModel


def run(config: Config, parts: Parts, out: Run) -> None:
    """Analyse the table that ``parts`` names and record everything in the run folder."""
    analysis = analyse(parts.table(), config, parts, stage=out.stage)
    with out.stage("report"):
        record(analysis, config, out)
        out.model(analysis.model.saved())
