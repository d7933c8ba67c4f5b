"""A:72, "enhances training speed and accuracy": LM against gradient descent, momentum, Adam and L-BFGS on equal terms."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from experiments.claims import Claims
from experiments.experiment import Findings, Picture, Workspace
from experiments.fitting import load_problems, prepare
from experiments.ledger import Row, compare
from experiments.optimizer_race import Lap, run_lap, standings
from experiments.recording import recorded
from marketnn.report.figures import BLUE, GREEN, GREY, ORANGE, RED
from marketnn.report.page import FigureBlock
from marketnn.spelling import counted

NAME = "paper_a/lm_vs_bp"
ITEMS = ("LMBP training speed", "LMBP accuracy")
BP = "gradient descent"
SETTINGS = Path(__file__).with_suffix(".yaml")
COLOURS = (RED, BLUE, GREEN, ORANGE, GREY)
RATES = "The rates of the others were picked on these very problems, in their favour."


def run(workspace: Workspace) -> Findings:
    """Race the optimisers, and compare who was first with what the paper says."""
    return race(workspace, workspace.settings(SETTINGS))


def race(workspace: Workspace, settings: Mapping[str, Any]) -> Findings:
    """Run the experiment with given sizes.

    Args:
        workspace: claims and folder.
        settings: the keys of ``lm_vs_bp.yaml``.
    """
    problems, note = load_problems(settings["n_scorecard"], seed=0)
    folder = workspace.runs / NAME
    with recorded(folder, "LMBP against other optimisers", SETTINGS, n_stages=len(problems)) as out:
        for how in settings["methods"].values():
            # What is loaded at first use is nobody's training time.
            run_lap(prepare(problems[0], 0), "", {**how, "max_epochs": 1}, settings["hidden_sizes"], 0)
        laps: list[Lap] = []
        for problem in problems:
            with out.stage(problem.name):
                for seed in settings["seeds"]:
                    prepared = prepare(problem, seed)
                    laps += [
                        run_lap(prepared, method, how, settings["hidden_sizes"], seed)
                        for method, how in settings["methods"].items()
                    ]
        table = standings(laps, settings["levels"])
        for lap in laps:
            out.curve(f"{lap.problem}/{lap.method}/seed_{lap.seed}", lap.loss.tolist())
        abouts = "; ".join(f"{problem.name}: {problem.about}" for problem in problems)
        out.section("Optimisers on equal terms", f"{abouts}. {note}")
        out.text(
            "Medians over seeds. Epochs to 5: until the training error is the one that LM has after 5 epochs; inf: not reached "
            "within the budget. The test error is at the weights of the best validation error; where ended is 0, the validation "
            f"error still fell when the budget was spent, and the test error says nothing of what comes after. {RATES}"
        )
        out.table("standings", table, "LM against the others", index=True)
        not_won = where_lm_does_not_win(table) or ["LM is first on every problem by every measure."]
        for line in (note, *sooner_there(table), *not_won, *cut_off(table, settings["levels"][0])):
            out.headline(line)
        caption = "Training error by epoch and by second, one line per seed, from the same first weights."
        out.figure("race", race_figure(laps), caption)
    block = FigureBlock.of(race_figure(laps), caption)
    return Findings(ledger_rows(workspace.claims, table, settings), (Picture(ITEMS, block),), (folder,))


def where_lm_does_not_win(table: pd.DataFrame) -> list[str]:
    """Say in sentences where another optimiser was faster or better than LM, by the columns of ``standings`` that are there."""
    lines = []
    for problem, rows in table.groupby(level="problem", sort=False):
        of_problem = rows.droplevel("problem")
        for column in (name for name in table if name == "test_rmse" or name.startswith(("epochs_to_", "seconds_to_"))):
            better = of_problem.loc[of_problem[column] < of_problem.at["LM", column], column]
            if len(better):
                others = ", ".join(f"{method} {value:.3g}" for method, value in better.items())
                measure = column.replace("_", " ").replace("rmse", "RMSE")
                lines.append(
                    f"LM does not win on {problem}, {measure}: {others}, LM {of_problem.at['LM', column]:.3g}."
                )
    return lines


def sooner_there(table: pd.DataFrame) -> list[str]:
    """Say in sentences how much sooner LM has the training error with which each other optimiser ends."""
    lines = []
    for (problem, method), found in table.drop("LM", level="method").iterrows():
        epochs, seconds = found["lm_epochs_until_its_end"], found["lm_seconds_until_its_end"]
        if math.isfinite(epochs):
            lines.append(
                f"LM on {problem} has the last training error of {method} {found['epochs'] / epochs:.0f} times sooner by epochs "
                f"({epochs:.0f} for {found['epochs']:.0f}) and {found['seconds'] / seconds:.1f} times by seconds."
            )
    return lines


def cut_off(table: pd.DataFrame, level: int) -> list[str]:
    """Say in sentences what the budgets of epochs left undecided: errors that were not reached, runs that had not ended."""
    lines = []
    for (problem, method), found in table.iterrows():
        within = f"within {found['epochs']:.0f} epochs"
        if math.isinf(found[f"epochs_to_{level}"]):
            lines.append(
                f"{method} on {problem}: LM's training error after {counted(level, 'epoch')} not reached {within}."
            )
        if not found["ended"]:
            lines.append(f"{method} on {problem}: the validation error had not stopped falling {within}.")
    return lines


def ledger_rows(claims: Claims, table: pd.DataFrame, settings: Mapping[str, Any]) -> tuple[Row, Row]:
    """Compare the race with the two halves of the claim; BP is plain gradient descent (eq. 2.6).

    A run that did not reach an error counts as needing more than its budget. What that leaves open, and the test error of a
    run that was cut off, is compared with nothing: ``ours`` lacks it, and the verdict says so.
    """
    speed: dict[str, float | None] = {}
    accuracy: dict[str, float | None] = {}
    epochs: dict[str, float] = {}
    errors: dict[str, float] = {}
    level = settings["levels"][0]
    for problem in table.index.get_level_values("problem").unique():
        of_problem = table.loc[problem]
        lm, bp = of_problem.loc["LM"], of_problem.loc[BP]
        speed[f"{problem}: fewer epochs than BP"] = _sooner(lm, bp, "epochs", level)
        speed[f"{problem}: less time than BP"] = _sooner(lm, bp, "seconds", level)
        comparable = lm["ended"] and bp["ended"]
        accuracy[f"{problem}: lower test error than BP"] = (
            int(lm["test_rmse"] < bp["test_rmse"]) if comparable else None
        )
        for method, found in of_problem.iterrows():
            errors[f"{problem}: test RMSE of {method}"] = float(found["test_rmse"])
            # A budget that was not enough is a lower bound.
            if method != "LM" and math.isfinite(found["lm_epochs_until_its_end"]):
                epochs[f"{problem}: epochs of {method} per epoch of LM to its last training error"] = float(
                    found["epochs"] / found["lm_epochs_until_its_end"]
                )
            epochs[f"{problem}: epochs of {method}"] = float(min(found[f"epochs_to_{level}"], found["epochs"]))
    # Seconds differ between machines, and a ledger must not.
    not_won = where_lm_does_not_win(table[[name for name in table if not name.startswith("seconds")]])
    remarks = [RATES, *cut_off(table.loc[table.index.isin(["LM", BP], level="method")], level)]
    return _row(claims, ITEMS[0], speed, epochs, [*not_won, *remarks]), _row(
        claims, ITEMS[1], accuracy, errors, remarks
    )


def race_figure(laps: Sequence[Lap]) -> Figure:
    """Draw the training errors by epoch (left) and by second (right), a row per problem, on logarithmic axes."""
    problems = list(dict.fromkeys(lap.problem for lap in laps))
    methods = list(dict.fromkeys(lap.method for lap in laps))
    figure = Figure(figsize=(9.5, 0.7 + 2.9 * len(problems)), layout="constrained")
    panels = figure.subplots(len(problems), 2, sharey="row", squeeze=False)
    for lap in laps:
        colour = COLOURS[methods.index(lap.method)]
        left, right = panels[problems.index(lap.problem)]
        label = lap.method if lap.seed == laps[0].seed else None
        left.plot(np.arange(1, len(lap.loss) + 1), lap.loss, color=colour, linewidth=1.2, label=label)
        right.plot(lap.seconds, lap.loss, color=colour, linewidth=1.2)
    for problem, (left, right) in zip(problems, panels, strict=True):
        left.set(xscale="log", yscale="log", xlabel="epoch", ylabel="training MSE, scaled", title=problem)
        right.set(xscale="log", yscale="log", xlabel="seconds", title=problem)
        for axes in (left, right):
            axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=len(methods))
    return figure


def _sooner(lm: pd.Series, bp: pd.Series, measure: str, level: int) -> int | None:
    """Whether LM reached the error with less of a measure than BP; ``None`` where BP's budget ended too early to tell."""
    mine, theirs = lm[f"{measure}_to_{level}"], bp[f"{measure}_to_{level}"]
    if math.isinf(theirs) and mine >= bp[measure]:
        return None
    return int(mine < theirs)


def _row(
    claims: Claims, item: str, judged: Mapping[str, float | None], shown: Mapping[str, float], remarks: Sequence[str]
) -> Row:
    claim = claims.printed["A"][item]["claim"]
    decided = {name: value for name, value in judged.items() if value is not None}
    return compare(
        "A",
        item,
        NAME,
        ours={**decided, **shown},
        published=dict.fromkeys(judged, claim),
        tolerance=0.0,
        reason=" ".join([claims.finding("A", item), *remarks]),
        in_kind=True,
    )
