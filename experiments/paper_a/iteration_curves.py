"""Figures 4.1-4.3 of paper A and the fourth, lost one: round by round, what K-means, k-medoids, CLARA and CK lower."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from experiments.claims import Claims
from experiments.clustering_trials import Trials, run_trials, scaled_points, summary
from experiments.experiment import Findings, Picture, Workspace
from experiments.ledger import Row, compare
from experiments.recording import recorded
from marketnn.pipeline.segment.clustering import Clustering
from marketnn.report.page import FigureBlock
from marketnn.report.segment_figures import LINES

NAME = "paper_a/iteration_curves"
SETTINGS = Path(__file__).with_suffix(".yaml")
ITEMS = {"K-means": "Figure 4.1", "k-medoids": "Figure 4.2", "CLARA": "Figure 4.3", "CK": "CK iteration curve"}
ROUNDING = 1e-6  # relative; histories are sums of many numbers


def run(workspace: Workspace) -> Findings:
    """Draw the curves."""
    return study(workspace, workspace.settings(SETTINGS))


def study(workspace: Workspace, settings: Mapping[str, Any]) -> Findings:
    """Run the experiment with given sizes.

    Args:
        workspace: claims and folder.
        settings: the keys of ``iteration_curves.yaml``.
    """
    folder = workspace.runs / NAME
    caption = "Figures 4.1-4.3 and the lost fourth: what each algorithm lowers, by round, one line per run."
    with recorded(folder, "Iteration curves", SETTINGS) as out:
        with out.stage("runs"):
            x = scaled_points(settings["points"])
            trials = run_trials(x, settings["algorithms"], settings["points"]["groups"], range(settings["runs"]))
        for called, runs in trials.items():
            for seed, trial in enumerate(runs):
                out.curve(f"{called}/seed_{seed}", trial.history)
        out.section("Iteration curves", f"{len(x):,} made-up customers, {settings['runs']} runs of each algorithm.")
        out.table("rounds", summary(trials), "Total errors and rounds", index=True)
        drawn = curves_figure(trials)
        out.figure("curves", drawn, caption)
    return Findings(
        ledger_rows(workspace.claims, trials),
        (Picture(tuple(ITEMS.values()), FigureBlock.of(drawn, caption)),),
        (folder,),
    )


def ledger_rows(claims: Claims, trials: Trials) -> tuple[Row, ...]:
    """One row per curve: it never rises and ends at what the labels give; CK's takes fewer rounds than K-means'."""
    table = summary(trials)
    rows = []
    for called, item in ITEMS.items():
        printed = claims.printed["A"][item]
        judged: dict[str, float] = {
            "no curve rises": int(all(_falls(trial) for trial in trials[called])),
            "every curve ends where the labels say": int(all(_ends(trial) for trial in trials[called])),
        }
        shown = {name: float(table.at[called, name]) for name in ("rounds", "rounds_q1", "rounds_q3", "mean")}
        if "rounds" in printed:
            judged["fewer rounds than K-means on average"] = int(
                table.at[called, "rounds"] < table.at["K-means", "rounds"]
            )
            middle = table.at[called, "rounds_q1"] <= printed["rounds"] <= table.at[called, "rounds_q3"]
            shown["8 rounds lie in the middle half"] = int(middle)
            shown |= {f"rounds of {other}": float(table.at[other, "rounds"]) for other in ITEMS if other != called}
        rows.append(
            compare(
                "A",
                item,
                NAME,
                ours={**judged, **shown},
                published=dict.fromkeys(judged, printed["claim"]),
                tolerance=0.0,
                reason=claims.finding("A", item),
                in_kind=True,
            )
        )
    return tuple(rows)


def curves_figure(trials: Trials) -> Figure:
    """Draw the histories, a panel per algorithm."""
    figure = Figure(figsize=(2.8 * len(trials), 3.6), layout="constrained")
    for axes, (called, runs), colour in zip(figure.subplots(1, len(trials)), trials.items(), LINES, strict=False):
        for trial in runs:
            axes.plot(
                np.arange(1, len(trial.history) + 1), trial.history, color=colour, linewidth=1, alpha=0.7, marker="."
            )
        axes.set(title=f"{called}: {np.mean([trial.n_rounds for trial in runs]):.1f} rounds", xlabel="round")
        axes.set_ylabel(f"{runs[0].lowered}, scaled units")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _falls(trial: Clustering) -> bool:
    history = np.array(trial.history)
    return bool((np.diff(history) <= ROUNDING * history[:-1]).all())


def _ends(trial: Clustering) -> bool:
    final = trial.total_error if trial.lowered == "total error" else trial.sum_distances
    return abs(trial.history[-1] - final) <= ROUNDING * final
