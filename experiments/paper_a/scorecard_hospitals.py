"""The scorecard on real units: hospitals, seven indices and an overall rating, the LMBP network beside three other methods.

The table (2,361 hospitals, `hospital_scorecard.csv`) lies in the folder that ``MARKETNN_DATA`` names; without it the row says so.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from experiments.experiment import Findings, Picture, Workspace
from experiments.ledger import Row, compare, not_computed
from experiments.recording import recorded
from marketnn.report.figures import effects_figure
from marketnn.report.page import FigureBlock
from marketnn.scorecard import PerformanceModel

NAME = "paper_a/scorecard_hospitals"
SETTINGS = Path(__file__).with_suffix(".yaml")
ITEM = "Scorecard on hospital ratings"
NETWORK, LINEAR = "LMBP network", "least squares"


def run(workspace: Workspace) -> Findings:
    """Cross-validate the four methods on the same folds and hold the network against the best of the others."""
    settings = workspace.settings(SETTINGS)
    file = Path(os.environ.get("MARKETNN_DATA", "")) / settings["file"]
    if not file.is_file():
        why = f"{settings['file']} does not come along; MARKETNN_DATA names the folder that has it."
        return Findings((not_computed("A", ITEM, NAME, why),))
    table = pd.read_csv(file)
    score = table.pop(settings["target"]).to_numpy(dtype=float)
    with recorded(workspace.runs / NAME, "scorecard on hospitals", SETTINGS) as out, out.stage("cross-validation"):
        squared = squared_errors(table, score, settings)
        errors = intervals(squared)
        out.section(
            "Root mean squared errors", f"{len(table):,} hospitals, {settings['folds']} folds, the same for all."
        )
        out.table("errors", errors, "In stars, with 95 % intervals", index=True)
        figure = effects_figure(
            errors.rename(columns={"rmse": "effect"})[["effect", "low", "high"]].sub([errors.at[LINEAR, "rmse"]] * 3),
            xlabel=f"RMSE less that of {LINEAR} ({errors.at[LINEAR, 'rmse']:.4f} stars), 95 % intervals",
        )
        caption = (
            f"{len(table):,} hospitals' ratings from seven indices: four methods on the same {settings['folds']} folds."
        )
        block = FigureBlock.of(figure, caption)
        out.figure("errors", figure, caption)
    row = ledger_row(errors, workspace, settings)
    return Findings((row,), (Picture((ITEM,), block),), (workspace.runs / NAME,))


def squared_errors(x: pd.DataFrame, score: np.ndarray, settings: Mapping[str, Any]) -> pd.DataFrame:
    """Return the squared error (n, methods) of every row by the models that did not see it."""
    seed = settings["seed"]
    methods: dict[str, Callable[[], Any]] = {
        NETWORK: lambda: PerformanceModel(
            hidden_sizes=settings["hidden_sizes"], output="identity", restarts=settings["restarts"], random_state=seed
        ),
        LINEAR: LinearRegression,
        "random forest": lambda: RandomForestRegressor(
            settings["trees"], min_samples_leaf=settings["leaf"], random_state=seed
        ),
        "scikit-learn's network": lambda: make_pipeline(
            StandardScaler(), MLPRegressor(max_iter=settings["max_iter"], early_stopping=True, random_state=seed)
        ),
    }
    squared = pd.DataFrame(index=x.index, columns=list(methods), dtype=float)
    for train, test in KFold(settings["folds"], shuffle=True, random_state=seed).split(x):
        for name, build in methods.items():
            model = build().fit(x.iloc[train], score[train])
            squared.loc[x.index[test], name] = (model.predict(x.iloc[test]) - score[test]) ** 2
    return squared


def intervals(squared: pd.DataFrame) -> pd.DataFrame:
    """Return each method's root mean squared error with the 95 % interval of its mean's standard error."""
    mean, error = squared.mean(), norm.ppf(0.975) * squared.sem()
    table = pd.DataFrame({"rmse": mean, "low": (mean - error).clip(lower=0), "high": mean + error}).pow(0.5)
    return table.rename_axis("method")


def ledger_row(errors: pd.DataFrame, workspace: Workspace, settings: Mapping[str, Any]) -> Row:
    """Hold the network against the best of the others."""
    best = errors["rmse"].drop(NETWORK).min()
    published = workspace.claims.printed["A"][ITEM]["claim"]
    ratio = float(errors.at[NETWORK, "rmse"] / best)
    ours = {
        "at most 1 % above the best of the others": int(ratio <= 1 + settings["margin"]),
        "ratio to the best of the others": ratio,
        **errors["rmse"].add_prefix("RMSE of ").to_dict(),
    }
    return compare(
        "A",
        ITEM,
        NAME,
        ours=ours,
        published={"at most 1 % above the best of the others": published},
        tolerance=0.0,
        reason=workspace.claims.finding("A", ITEM),
        in_kind=True,
    )
