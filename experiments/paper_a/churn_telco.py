"""Paper A's churn analysis on public telephone customers: eq. 4.1, the idea of figure 3.3, and the whole run."""

from __future__ import annotations

from experiments.churn_claims import analysis_row, precision_row, stages_row
from experiments.experiment import Findings, Picture, Workspace
from experiments.flow import flow_figure
from experiments.run_folder import RunFolder, run_command
from marketnn.report.page import FigureBlock

NAME = "paper_a/churn_telco"


def run(workspace: Workspace) -> Findings:
    """Run the pipeline on the Telco customers and compare what it leaves with the paper's claims."""
    folder = run_command(["experiment=paper_a/table_4_1"], workspace.runs / NAME)
    rows = (
        precision_row(workspace.claims, NAME, folder),
        stages_row(workspace.claims, NAME, folder),
        analysis_row(workspace.claims, NAME, "Telco", folder),
    )
    picture = (folder.path / "figures" / "threshold.png").read_bytes()
    caption = "Equation 4.1 on the Telco test customers: the published precision, and the recall that it costs."
    idea = FigureBlock.of(flow_figure(steps(folder)), "Figure 3.3, the idea of the application, with a run's numbers.")
    pictures = (Picture(("Equation 4.1",), FigureBlock(caption, picture, width=600)), Picture(("Figure 3.3",), idea))
    return Findings(rows, pictures, (folder.path,))


def steps(run: RunFolder) -> tuple[str, ...]:
    """Name the stages of figure 3.3, with the run's numbers."""
    metrics = run.metrics
    return (
        f"{metrics['n_rows']:,} customers,\n{metrics['n_churned']:,} of them lost",
        f"logistic regression\npicks {metrics['n_significant']} features",
        f"K-means:\n{metrics['n_portraits']} portraits of\nthe lost customers",
        f"{metrics['n_likely']:,} likely leavers\nput into portraits",
        "an action\nfor each portrait",
    )
