"""Figures 3.1 and 3.2 of paper A: five dimensions of indices, the LMBP network, a score; and the three stages of building it."""

from __future__ import annotations

import json

import pandas as pd

from experiments.claims import Claims
from experiments.experiment import Findings, Picture, Workspace
from experiments.flow import flow_figure
from experiments.ledger import Row, compare
from experiments.run_folder import RunFolder, run_command
from marketnn.report.page import FigureBlock

NAME = "paper_a/scorecard_lmbp"
LEAST_R2 = 0.965  # chosen here; the paper has no number
LEAST_SHARE = 0.9  # of the slopes with the index's sign, likewise


def run(workspace: Workspace) -> Findings:
    """Run the pipeline on made-up units and look for what the figures show."""
    folder = run_command([f"experiment={NAME}"], workspace.runs / NAME)
    rows = (model_row(workspace.claims, folder), stages_row(workspace.claims, folder))
    picture = (folder.path / "figures" / "dimensions.png").read_bytes()
    caption = "Figure 3.1's five dimensions on made-up units: those that the network scores best and worst, and all."
    process = FigureBlock.of(
        flow_figure(steps(folder)), "Figure 3.2, the stages of building the model, with a run's numbers."
    )
    pictures = (Picture(("Figure 3.1",), FigureBlock(caption, picture, width=520)), Picture(("Figure 3.2",), process))
    return Findings(rows, pictures, (folder.path,))


def steps(run: RunFolder) -> tuple[str, ...]:
    """Name the stages of figure 3.2, with the run's numbers."""
    metrics = run.metrics
    return (
        f"data processing:\n{metrics['n_rows']:,} units,\n{metrics['n_features']} indices scaled",
        f"network construction:\n{metrics['n_parameters']} weights by\nLevenberg-Marquardt",
        f"application:\nscores of {metrics['n_test']:,} units,\nR² {metrics['r2']:.3f}",
    )


def model_row(claims: Claims, run: RunFolder) -> Row:
    """Figure 3.1: whether the run has the model's parts; how good it is stands beside."""
    directions, metrics = run.table("directions"), run.metrics
    n_inputs = metrics["n_features"]
    hidden = int(run.config["network"]["hidden_sizes"][0])
    shown = {
        "dimensions": directions["dimension"].nunique(),
        "indices of the dimensions go into the network": int(len(directions) == n_inputs),
        # A network of one hidden layer has so many parameters if it has one output.
        "the network puts out one score": int(metrics["n_parameters"] == (n_inputs + 1) * hidden + hidden + 1),
        "trained by Levenberg-Marquardt": int(run.config["optimizer"]["name"] == "lm"),
    }
    ours = {
        **shown,
        "test R2 is at least .965": int(metrics["r2"] >= LEAST_R2),
        "nine slopes in ten have the index's sign": int(metrics["mean_direction_share"] >= LEAST_SHARE),
        "test R2": metrics["r2"],
        "slopes with the index's sign": metrics["mean_direction_share"],
    }
    published = {
        **claims.printed["A"]["Figure 3.1"]["model"],
        "test R2 is at least .965": 1,
        "nine slopes in ten have the index's sign": 1,
    }
    return _row(claims, "Figure 3.1", ours, published)


def stages_row(claims: Claims, run: RunFolder) -> Row:
    """Figure 3.2: whether the run went through the stages in the printed order."""
    printed = claims.printed["A"]["Figure 3.2"]["stages"]
    timed = pd.Series(json.loads((run.path / "timings.json").read_text(encoding="utf-8")))
    order = [stage for stage in timed.index if stage in printed]
    ours: dict[str, float] = {stage: int(stage in timed.index) for stage in printed}
    ours["in this order"] = int(order == list(printed))
    return _row(claims, "Figure 3.2", ours, {**printed, "in this order": 1})


def _row(claims: Claims, item: str, ours: dict[str, float], published: dict[str, float]) -> Row:
    return compare(
        "A", item, NAME, ours=ours, published=published, tolerance=0.0, reason=claims.finding("A", item), in_kind=True
    )
