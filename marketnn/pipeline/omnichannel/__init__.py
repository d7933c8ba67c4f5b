"""Marketing resources planned, whole (paper B): customers, segments, projects, resources, and a budget over four quarters.

    table -> selected and scaled features -> hierarchical K-means -> segments, who holds the value
          -> fitness scores -> projects, within capacities and budgets -> resources by segment -> quarters

``analyse`` computes and returns everything; ``run`` records it in a run folder as well.
"""

from marketnn.pipeline.omnichannel.analysis import OmnichannelAnalysis, analyse
from marketnn.pipeline.omnichannel.config import Config
from marketnn.pipeline.omnichannel.model import OmnichannelModel
from marketnn.pipeline.omnichannel.record import record
from marketnn.pipeline.omnichannel.scores import record_scores
from marketnn.pipeline.parts import Parts
from marketnn.tracking import Run

__all__ = [
    "N_STAGES",
    "Config",
    "Model",
    "OmnichannelAnalysis",
    "OmnichannelModel",
    "analyse",
    "record_scores",
    "run",
]

N_STAGES = 7
Model = OmnichannelModel


def run(config: Config, parts: Parts, out: Run) -> None:
    """Plan for the table that ``parts`` names and record everything in the run folder."""
    analysis = analyse(parts.table(), config, parts, stage=out.stage)
    with out.stage("report"):
        record(analysis, config, out)
        out.model(analysis.model.saved())
