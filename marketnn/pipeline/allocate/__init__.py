"""Where the next contact and the next unit of money should go: customers to offers within limits, money to channels.

    customers with the value of every offer -> compared freely (paper B, eq. 4-13) -> assigned within the limits, with a proof
    spends and responses by channel -> response curves -> a budget divided, over one period or several

``analyse`` computes and returns everything; ``run`` records it in a run folder as well.
"""

from marketnn.pipeline.allocate.analysis import AllocateAnalysis, Config, analyse
from marketnn.pipeline.allocate.record import record
from marketnn.pipeline.parts import Parts
from marketnn.tracking import Run

__all__ = ["N_STAGES", "AllocateAnalysis", "Config", "analyse", "run"]

N_STAGES = 4


def run(config: Config, parts: Parts, out: Run) -> None:
    """Analyse the table that ``parts`` names and record everything in the run folder."""
    analysis = analyse(parts.table(), config, parts, stage=out.stage)
    with out.stage("report"):
        record(analysis, config, out)
