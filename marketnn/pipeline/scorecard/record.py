"""Write a scorecard down: metrics, tables, figures and the report, in the order in which a reader meets them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from marketnn.pipeline.parts import Parts
from marketnn.pipeline.rows import record_columns, repeats_text
from marketnn.pipeline.scorecard.analysis import Config, ScorecardAnalysis
from marketnn.pipeline.scorecard.directions import Directions
from marketnn.pipeline.scorecard.scores import grade_counts
from marketnn.report import figures
from marketnn.report.network_diagram import network_diagram
from marketnn.report.scorecard_figures import radar_figure
from marketnn.scorecard import MAX_SPECTRUM, ScoreErrors
from marketnn.spelling import counted
from marketnn.tracking import Run

CURVES = ("loss", "validation_loss", "damping", "gain_ratio", "gradient_norm")
CHARTS = {"loss": ["loss", "validation_loss"], "damping": ["damping"], "gain ratio": ["gain_ratio"]}


def record(analysis: ScorecardAnalysis, config: Config, parts: Parts, out: Run) -> None:
    """Record the whole analysis."""
    _rows(analysis, out)
    _how_well(analysis, out)
    _grades(analysis, out)
    _what_moves(analysis, out)
    if analysis.directions is not None:
        _directions(analysis, analysis.directions, out)
    _training(analysis, config, parts, out)


def _rows(analysis: ScorecardAnalysis, out: Run) -> None:
    table, split, score = analysis.table, analysis.split, analysis.score
    repeats = repeats_text(split.n_duplicates, split.together, "indices")
    low, high = analysis.model.score_range
    out.section(
        "Rows",
        f"{len(score):,} rows of {table.source}; the score is {table.options.target}, mean {score.mean():.4g}, on a scale "
        f"from {low:g} to {high:g}. {len(split.train):,} rows train the network, {len(split.validation):,} stop its training "
        f"and {len(split.test):,} test it; {repeats}",
    )
    record_columns(table, analysis.encoded, out)
    out.metric(
        n_rows=len(score),
        n_train=len(split.train),
        n_validation=len(split.validation),
        n_test=len(split.test),
        n_duplicates=split.n_duplicates,
        n_features=analysis.encoded.frame.shape[1],
    )


def _how_well(analysis: ScorecardAnalysis, out: Run) -> None:
    test, target = analysis.split.test, analysis.model.target
    score = analysis.score[test]
    errors = {
        name: ScoreErrors.of(score, predicted[test])
        for name, predicted in (("network", analysis.predicted), *analysis.baselines.items())
    }
    network, linear = errors["network"], errors["linear"]
    out.metric(**network.as_metrics(), **linear.as_metrics("_linear"), **errors["mean"].as_metrics("_mean"))
    out.section(
        "How well the score is predicted",
        f"On the {len(test):,} test rows; linear regression and the mean learnt from all other rows.",
    )
    names = {"network": "BP network", "linear": "linear regression", "mean": "mean of the score"}
    rows = [{"model": names[name], **found.as_metrics()} for name, found in errors.items()]
    out.table("models", pd.DataFrame(rows), f"Errors in units of {target}")
    out.headline(
        f"{target}: RMSE {network.rmse:.4g} and R² {network.r2:.3f} on {len(test):,} test rows; "
        f"linear regression {linear.rmse:.4g}, the mean {errors['mean'].rmse:.4g}."
    )
    if network.rmse >= linear.rmse:
        sentence = "Linear regression does as well or better: nothing here asks for a network."
        out.headline(sentence)
        out.text(sentence)
    out.figure(
        "predicted",
        figures.predicted_figure(score, analysis.predicted[test], target),
        "Predicted against actual scores of the test rows.",
    )
    rows_table = pd.DataFrame(
        {
            "row": analysis.table.row_numbers[test],
            "actual": score,
            "predicted": analysis.predicted[test],
            "grade": analysis.model.grades(analysis.predicted[test]),
        }
    )
    out.table("test_rows", rows_table, "Test rows", show=False)


def _grades(analysis: ScorecardAnalysis, out: Run) -> None:
    test, model = analysis.split.test, analysis.model
    score, predicted = analysis.score[test], analysis.predicted[test]
    same = float((model.grades(score) == model.grades(predicted)).mean())
    out.section("Grades", f"{same:.1%} of the test rows get the grade that their actual score earns.")
    table = grade_counts(model, {"actual": score, "predicted": predicted})
    out.table("grades", table, "Test rows by grade", cells={"actual": (), "predicted": ()})
    out.metric(same_grade=same)


def _what_moves(analysis: ScorecardAnalysis, out: Run) -> None:
    table, target = analysis.sensitivities, analysis.model.target
    out.section(
        "What moves the score",
        f"The slope is the mean derivative of {target} by an index over the test rows, all other indices held; the effect is "
        "the slope times the index's standard deviation, by which indices are comparable. The sign share says in how many "
        "rows the slope has the sign of the mean. The column of a category counts as a number between 0 and 1.",
    )
    out.table("sensitivities", table, "Indices, the strongest first", index=True)
    out.figure(
        "sensitivities",
        figures.effects_figure(
            table,
            xlabel="slope × standard deviation of the index: mean, and 90 % of the rows",
            raising=figures.GREEN,
            lowering=figures.RED,
        ),
        "Green raises the score, red lowers it.",
    )
    strongest = table.iloc[0]
    out.headline(
        f"{table.index[0]} moves {target} most: its slope is {strongest['slope']:.4g} on average, of the same sign in "
        f"{strongest['sign_share']:.0%} of the test rows."
    )
    out.metric(min_sign_share=float(table["sign_share"].min()))


def _directions(analysis: ScorecardAnalysis, directions: Directions, out: Run) -> None:
    judged = directions.judged
    wrong = judged.index[~judged["right"]]
    out.section(
        "Directions and dimensions",
        f"The index system says of {len(judged)} indices whether more is better. In nine test rows of ten or more the learnt "
        f"score moves that way with {len(judged) - len(wrong)} of them"
        + (f"; not with {', '.join(wrong)}." if len(wrong) else "."),
    )
    out.table(
        "directions", directions.signs, "Share of the test rows whose slope has the index's direction", index=True
    )
    out.metric(
        mean_direction_share=float(judged["right_share"].mean()),
        min_direction_share=float(judged["right_share"].min()),
        n_wrong_directions=len(wrong),
    )
    out.headline(
        f"The score moves as the index system says in {judged['right_share'].mean():.1%} of all slopes on test rows."
    )
    rank = pd.Series(analysis.predicted).rank(pct=True).to_numpy()
    groups = {"best quarter": rank > 0.75, "all rows": np.ones(len(rank), dtype=bool), "worst quarter": rank <= 0.25}
    means = pd.DataFrame({name: directions.dimensions[rows].mean() for name, rows in groups.items()}).rename_axis(
        "dimension"
    )
    out.table("dimensions", means, "Mean quality of the indices by dimension, 0 to 1", index=True)
    out.figure(
        "dimensions",
        radar_figure(means),
        "Dimensions of the rows that the network scores best and worst, and of all: mean quality of the indices, 0 to 1.",
    )


def _training(analysis: ScorecardAnalysis, config: Config, parts: Parts, out: Run) -> None:
    fit, network = analysis.fit, analysis.model.network
    n_parameters, n_train = sum(p.numel() for p in network.parameters()), len(analysis.split.train)
    shape = "-".join(map(str, network.layer_sizes))
    out.section(
        "The network and its training",
        f"A {shape} network ({n_parameters:,} parameters for {n_train:,} training rows), {network.hidden} units and "
        f"{network.output} output, trained by optimizer={parts.optimizer['name']} in {counted(len(fit.restarts), 'restart')}; "
        f"the best on the validation rows is kept, at its epoch {fit.best_epoch} of {len(fit.history['loss'])} "
        f"(ended by: {fit.stop_reason.replace('_', ' ')}).",
    )
    if fit.path is not None:
        out.text(f"Each step took the {fit.path} path (optimizer.solver={parts.optimizer.get('solver', 'auto')}).")
    if fit.path is not None and analysis.singular_values is None:
        out.text(f"The singular values of the Jacobian are left out: more than {MAX_SPECTRUM:,} parameters.")
    if len(fit.restarts) < config.members:
        out.text(f"optimizer={parts.optimizer['name']} trains one network at a time, so there is one restart.")
    out.table("restarts", fit.restarts, "Restarts, MSE of the scaled score")
    history = pd.DataFrame({name: values for name, values in fit.history.items() if name != "seconds"})
    out.table("history", history, "Training by epoch", show=False)
    out.figure(
        "training", figures.training_figure(fit.history, fit.best_epoch), "Training of the restart that was kept."
    )
    out.figure(
        "network",
        network_diagram(network, inputs=list(analysis.encoded.frame.columns), outputs=[analysis.model.target]),
        "The network: blue connections raise, red ones lower, the width is the weight (paper A, Fig. 2.1).",
    )
    out.metric(
        n_parameters=n_parameters,
        restarts=len(fit.restarts),
        epochs=len(fit.history["loss"]),
        best_epoch=fit.best_epoch,
        last_train_mse=fit.history["loss"][-1],
        validation_mse=float(fit.restarts["validation_mse"].min()),
    )
    _tensorboard(analysis, out)


def _tensorboard(analysis: ScorecardAnalysis, out: Run) -> None:
    """Record what only TensorBoard shows: curves by epoch, and the parameters and singular values as histograms."""
    fit = analysis.fit
    for name in CURVES:
        if name in fit.history:
            out.curve(f"training/{name}", fit.history[name])
    shown = {
        title: [f"training/{name}" for name in names] for title, names in CHARTS.items() if names[0] in fit.history
    }
    out.charts("training", shown)
    for name, values in fit.network.named_parameters():
        out.histogram(f"parameters/{name}", fit.first_weights[name].cpu().numpy(), 0)
        out.histogram(f"parameters/{name}", values.detach().cpu().numpy(), fit.best_epoch)
    # A saturated network's Jacobian may be zero, which has no logarithm.
    if analysis.singular_values is not None and analysis.singular_values[0] > 0:
        out.histogram("jacobian/log10_singular_values", np.log10(analysis.singular_values), fit.best_epoch)
