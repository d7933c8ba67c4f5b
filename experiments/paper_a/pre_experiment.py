"""Table 2.1 and figure 2.2 of paper A: a hundred random points, and how differently a hundred runs of each algorithm end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.stats import kstest

from experiments.claims import Claims
from experiments.clustering_trials import Trials, run_trials, scaled_points, summary
from experiments.experiment import Findings, Picture, Workspace
from experiments.ledger import Row, compare
from experiments.recording import recorded
from marketnn.report.page import FigureBlock
from marketnn.report.segment_figures import LINES

NAME = "paper_a/pre_experiment"
SETTINGS = Path(__file__).with_suffix(".yaml")
LEVEL = 0.05  # of the test that the printed points are uniform
CK, KMEANS = "CK", "K-means"


def run(workspace: Workspace) -> Findings:
    """Run every algorithm many times on the same points."""
    return study(workspace, workspace.settings(SETTINGS))


def study(workspace: Workspace, settings: Mapping[str, Any]) -> Findings:
    """Run the experiment with given sizes.

    Args:
        workspace: claims and folder.
        settings: the keys of ``pre_experiment.yaml``.
    """
    claims, folder = workspace.claims, workspace.runs / NAME
    x = scaled_points(settings["points"])
    caption = "Figure 2.2, multiple runs of each algorithm on the same hundred points; lines are means."
    with recorded(folder, "Many runs of each algorithm", SETTINGS, n_stages=len(settings["clusters"])) as out:
        trials = {}
        for k in settings["clusters"]:
            with out.stage(f"{k} clusters"):
                trials[k] = run_trials(x, settings["algorithms"], k, range(settings["runs"]))
        table = pd.concat({k: summary(found) for k, found in trials.items()}, names=["clusters"])
        out.section(
            "Many runs of each algorithm", f"{settings['runs']} runs on {len(x)} points, total error by eq. 2.9."
        )
        out.table("runs", table, "Total errors and rounds", index=True)
        drawn = runs_figure(next(iter(trials.values())))
        out.figure("runs", drawn, caption)
    rows = (points_row(claims, x), runs_row(claims, table))
    return Findings(rows, (Picture(("Figure 2.2", "Table 2.1"), FigureBlock.of(drawn, caption)),), (folder,))


def points_row(claims: Claims, x: np.ndarray) -> Row:
    """Table 2.1: as many points, and nothing in the printed ones that speaks against the distribution drawn from."""
    printed = claims.printed["A"]["Table 2.1"]
    points = np.array([point[1:] for point in printed["points"]], dtype=float)
    inside = ((points >= 0) & (points <= 1)).all(axis=1)
    p_values = [float(kstest(column, "uniform").pvalue) for column in points.T]
    ours: dict[str, float] = {
        "points": x.shape[0],
        "factors": x.shape[1],
        "printed points in the unit square": int(inside.sum()),
        "uniformity rejected": int(min(p_values) < LEVEL),
    }
    published = {
        "points": printed["n"],
        "factors": printed["dimensions"],
        "printed points in the unit square": len(points),
        "uniformity rejected": 0,
    }
    ours |= {f"p of uniformity, factor {place + 1}": p for place, p in enumerate(p_values)}
    return compare(
        "A",
        "Table 2.1",
        NAME,
        ours=ours,
        published=published,
        tolerance=0.0,
        reason=claims.finding("A", "Table 2.1"),
        in_kind=True,
    )


def runs_row(claims: Claims, table: pd.DataFrame) -> Row:
    """Figure 2.2: runs of the baselines end differently, and CK's end lower and vary less than K-means'."""
    claim = claims.printed["A"]["Figure 2.2"]
    judged: dict[str, float] = {}
    shown: dict[str, float] = {}
    for k in table.index.unique("clusters"):
        of_k = table.loc[k]
        ck = of_k.loc[CK]
        judged[f"k={k}: runs of {KMEANS} differ"] = int(of_k.at[KMEANS, "sd"] > 0)
        judged[f"k={k}: CK varies no more than {KMEANS}"] = int(ck["sd"] <= of_k.at[KMEANS, "sd"])
        for called in of_k.index.drop(CK):
            judged[f"k={k}: CK's mean error is below that of {called}"] = int(ck["mean"] < of_k.at[called, "mean"])
        for called, found in of_k.iterrows():
            shown |= {f"k={k}: {called}, {name}": float(found[name]) for name in ("mean", "sd", "share_at_best")}
    return compare(
        "A",
        "Figure 2.2",
        NAME,
        ours={**judged, **shown},
        published=dict.fromkeys(judged, claim["claim"]),
        tolerance=0.0,
        reason=claims.finding("A", "Figure 2.2"),
        in_kind=True,
    )


def runs_figure(trials: Trials) -> Figure:
    """Draw the total error of every run, a panel per algorithm, and the mean as a line."""
    figure = Figure(figsize=(2.6 * len(trials), 3.6), layout="constrained")
    for axes, (called, runs), colour in zip(
        figure.subplots(1, len(trials), sharey=True), trials.items(), LINES, strict=False
    ):
        errors = [trial.total_error for trial in runs]
        axes.plot(np.arange(1, len(errors) + 1), errors, "o", color=colour, markersize=3)
        axes.axhline(float(np.mean(errors)), color=colour, linewidth=1)
        axes.set(title=f"{called}: {np.mean(errors):.3f} ± {np.std(errors):.3f}", xlabel="run")
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("total error, scaled units")
    return figure
