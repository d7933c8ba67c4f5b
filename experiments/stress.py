"""How LMBP bears conditions that grow harder, beside linear regression on the same rows: the studies behind A:74.

At every setting several samples are drawn; each trains a network of its own, all side by side, and all are judged on the
same test rows.

Shapes: n rows, d inputs, R samples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from experiments.claims import Claims
from experiments.experiment import Findings, Picture, Workspace
from experiments.fitting import Part, Prepared, linear_prediction, load_problems, prepare
from experiments.ledger import Row, compare
from experiments.recording import recorded
from marketnn.network import BPNetwork
from marketnn.optim import train
from marketnn.report.figures import BLUE, GREY, RED
from marketnn.report.page import FigureBlock

Settings = Mapping[str, Any]
NETWORK, LINEAR, MEAN = "LMBP", "linear regression", "mean of the rows"
COLOURS: Mapping[str, str] = {NETWORK: RED, LINEAR: BLUE, MEAN: GREY}
VALIDATION_SHARE = 0.2
WORSE = 1.1  # a test error counts as worse when it is a tenth larger


@dataclass(frozen=True)
class Study:
    """A condition and how it is made.

    Attributes:
        name: of the experiment.
        item: the claim.
        settings: the YAML with the sizes.
        condition: its key that lists the settings of the condition, the easiest first.
        draw: ``draw(prepared, setting, settings)`` gives R samples, x (R, n, d), y and truth (R, n, 1).
        words: a setting in words, such as "with 20 rows".
        about: what is done, in a sentence.
        xlabel, xscale: of the figure.
    """

    name: str
    item: str
    settings: Path
    condition: str
    draw: Callable[[Prepared, float, Settings], Part]
    words: Callable[[float], str]
    about: str
    xlabel: str
    xscale: str


def run_study(study: Study, workspace: Workspace, settings: Settings) -> Findings:
    """Run a study with the sizes in ``settings`` and compare its ends with the claim."""
    problems, note = load_problems(settings["n_scorecard"], seed=settings["seed"])
    folder = workspace.runs / study.name
    with recorded(folder, study.item, study.settings, n_stages=len(problems)) as out:
        tables = []
        for problem in problems:
            with out.stage(problem.name):
                # No rows are set aside for validation: every sample brings its own.
                tables.append(curve(study, prepare(problem, settings["seed"], shares=(0.8, 0.0)), settings))
        table = pd.concat(tables, ignore_index=True)
        out.section(study.item, f"{study.about} Test RMSE over {settings['samples']} samples. {note}")
        out.headline(note)
        out.table("errors", table, f"Test RMSE by {study.condition}")
        caption = f"{study.item}: mean test error against the {study.condition}; shaded: from least to greatest."
        figure = errors_figure(table, study)
        out.figure("errors", figure, caption)
    return Findings(
        (ledger_row(study, workspace.claims, table),),
        (Picture((study.item,), FigureBlock.of(figure, caption)),),
        (folder,),
    )


def curve(study: Study, prepared: Prepared, settings: Settings) -> pd.DataFrame:
    """Return the errors on one problem: a row per setting and model with mean, least and greatest RMSE in its unit."""
    rows = []
    for setting in settings[study.condition]:
        errors = judge(study.draw(prepared, setting, settings), prepared.test, settings)
        for model, values in errors.items():
            rmse = values * prepared.unit
            rows.append([prepared.name, setting, model, rmse.mean(), rmse.min(), rmse.max()])
    return pd.DataFrame(rows, columns=["problem", study.condition, "model", "rmse", "least", "greatest"])


def judge(samples: Part, test: Part, settings: Settings) -> dict[str, np.ndarray]:
    """Fit every sample and return, by model, the RMSE (R,) against the truth of the test rows, scaled.

    A fifth of a sample stops the training of its network; linear regression and the mean use all of it.
    """
    n_samples, n, d = samples.x.shape
    n_fit = n - round(VALIDATION_SHARE * n)
    networks = BPNetwork([d, *settings["hidden_sizes"], 1], members=n_samples, seed=settings["seed"])
    train(
        networks,
        samples.x[:, :n_fit],
        samples.y[:, :n_fit],
        validation=(samples.x[:, n_fit:], samples.y[:, n_fit:]),
        max_epochs=settings["max_epochs"],
        max_fail=settings["max_fail"],
    )
    with torch.no_grad():
        predictions = {
            NETWORK: networks(test.x),
            LINEAR: linear_prediction(samples, test.x),
            MEAN: samples.y.mean(1, keepdim=True),
        }
    return {
        model: (predicted - test.truth).square().mean((1, 2)).sqrt().numpy() for model, predicted in predictions.items()
    }


def ledger_row(study: Study, claims: Claims, table: pd.DataFrame) -> Row:
    """Compare both ends of every curve with the claim that LMBP "may not perform optimally" at the hard one.

    It is taken to say that the hard end costs accuracy everywhere, and that somewhere ("may") the simpler model is the better
    one there.
    """
    judged: dict[str, float] = {}
    shown: dict[str, float] = {}
    beaten = []
    for problem, rows in table.groupby("problem", sort=False):
        settings = rows[study.condition].unique()
        easy, hard = settings[0], settings[-1]
        error = rows.pivot(index=study.condition, columns="model", values="rmse")
        worse = error.at[hard, NETWORK] > WORSE * error.at[easy, NETWORK]
        judged[f"{problem}: worse {study.words(hard)} than {study.words(easy)}"] = int(worse)
        beaten.append(error.at[hard, LINEAR] < error.at[hard, NETWORK])
        shown[f"{problem}: linear regression better {study.words(hard)}"] = int(beaten[-1])
        for setting in (easy, hard):
            for model in (NETWORK, LINEAR):
                shown[f"{problem}: RMSE of {model} {study.words(setting)}"] = float(error.at[setting, model])
    judged["somewhere linear regression is better at the hard end"] = int(any(beaten))
    return compare(
        "A",
        study.item,
        study.name,
        ours={**judged, **shown},
        published=dict.fromkeys(judged, claims.printed["A"][study.item]["claim"]),
        tolerance=0.0,
        reason=claims.finding("A", study.item),
        in_kind=True,
    )


def errors_figure(table: pd.DataFrame, study: Study) -> Figure:
    """Draw mean errors against the condition, a panel per problem, the range over samples shaded."""
    problems: Sequence[str] = list(table["problem"].unique())
    figure = Figure(figsize=(4.8 * len(problems), 3.9), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(problems)))
    for axes, problem in zip(panels, problems, strict=True):
        of_problem = table[table["problem"] == problem]
        for model, rows in of_problem.groupby("model", sort=False):
            colour, place = COLOURS[str(model)], rows[study.condition]
            axes.plot(place, rows["rmse"], "o-", color=colour, markersize=4, label=model)
            axes.fill_between(place, rows["least"], rows["greatest"], color=colour, alpha=0.12, linewidth=0)
        axes.set(title=problem, xlabel=study.xlabel, ylabel="test RMSE", xscale=study.xscale, ylim=(0, None))
        axes.spines[["top", "right"]].set_visible(False)
        if study.xscale == "log":
            axes.set_xticks(place, [f"{setting:g}" for setting in place])
            axes.minorticks_off()
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=len(COLOURS))
    return figure
