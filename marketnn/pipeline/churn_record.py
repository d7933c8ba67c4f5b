"""Write a churn analysis down: metrics, tables, figures and the report, in the order in which a reader meets them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.metrics import roc_curve

from marketnn.classify import (
    calibration_table,
    confusion_report,
    ranking_report,
    reach_precision,
    threshold_curve,
)
from marketnn.pipeline.churn import ChurnAnalysis, Config
from marketnn.report import figures
from marketnn.tracking import Run


def record(analysis: ChurnAnalysis, config: Config, run: Run) -> None:
    """Record the whole analysis."""
    _customers(analysis, run)
    _why(analysis, config, run)
    _how_well(analysis, config, run)
    _portraits(analysis, run)
    _whom_to_call(analysis, run)


def _customers(analysis: ChurnAnalysis, run: Run) -> None:
    table, y, split = analysis.table, analysis.y, analysis.split
    run.section(
        "Customers",
        f"{len(y):,} customers of {table.source}; {y.sum():,} ({y.mean():.1%}) have {table.options.target} = "
        f"{analysis.model.positive}. {len(split.train):,} rows train the model and {len(split.test):,} test it; the "
        f"{split.n_duplicates:,} rows that repeat another row's features stay on that row's side.",
    )
    for note in table.notes:
        run.text(note)
    run.table("columns", table.schema.frame().drop(columns="problem"), "Columns and their roles")
    run.metric(
        n_rows=len(y),
        n_train=len(split.train),
        n_test=len(split.test),
        n_duplicates=split.n_duplicates,
        n_churned=int(y.sum()),
        positives_test=int(y[split.test].sum()),
    )


def _why(analysis: ChurnAnalysis, config: Config, run: Run) -> None:
    drivers, split = analysis.drivers, analysis.split
    result = drivers.result
    rule = f"p < {config.level:g}" + ("" if config.correction == "none" else " after the Benjamini-Hochberg correction")
    run.section(
        "Why customers leave",
        f"Logistic regression on the training rows (paper A, Table 4.1): {len(drivers.significant)} of "
        f"{len(result.table) - 1} features have {rule}. McFadden's R² is {result.mcfadden:.3f}.",
    )
    if drivers.fell_back:
        run.text(
            f"No feature has {rule}; the {len(drivers.significant)} with the smallest p stand in for them, and the portraits "
            "below rest on features that may be noise."
        )
        run.headline(f"No feature has {rule}: portraits rest on the {len(drivers.significant)} with the smallest p.")
    if drivers.left_out:
        left_out = pd.DataFrame({"column": list(drivers.left_out), "why": list(drivers.left_out.values())})
        run.table("left_out", left_out, "Columns without a coefficient of their own")
    table = result.table.rename_axis("variable")
    run.table("coefficients", table, "Coefficients, in units of the columns", index=True)
    spread = _spread(analysis)
    effects = pd.DataFrame(
        {
            "effect": table["coef"] * spread,
            "low": table["ci_low"] * spread,
            "high": table["ci_high"] * spread,
        }
    ).drop("const")
    run.figure("effects", figures.effects_figure(effects), "Red raises the odds of leaving, green lowers them.")
    run.metric(
        log_likelihood=result.log_likelihood,
        mcfadden=result.mcfadden,
        n_features=len(result.table) - 1,
        n_significant=0 if drivers.fell_back else len(drivers.significant),
    )
    strongest = effects["effect"].abs().loc[drivers.significant].idxmax()
    run.headline(
        f"{0 if drivers.fell_back else len(drivers.significant)} features are significant on {len(split.train):,} training "
        f"customers; the strongest effect is {strongest} (odds times {np.exp(effects.loc[strongest, 'effect']):.2f} per "
        "standard deviation)."
    )


def _how_well(analysis: ChurnAnalysis, config: Config, run: Run) -> None:
    test = analysis.split.test
    y, probability = analysis.y[test], analysis.probability[test]
    ranking = ranking_report(y, probability)
    confusion = confusion_report(y, probability, config.threshold)
    curve = threshold_curve(y, probability)
    run.section("How well the model tells", f"On the {len(test):,} test customers, {y.sum():,} of whom left.")
    counts = pd.DataFrame(
        {
            "": ["left", "stayed"],
            "called churn": [confusion.tp, confusion.fp],
            "called stay": [confusion.fn, confusion.tn],
        }
    )
    run.table("confusion", counts, f"Confusion matrix at threshold {config.threshold:g}")
    metrics = {**ranking.as_metrics(), **confusion.as_metrics()}
    run.metric(**metrics)
    reached = reach_precision(y, probability, config.target_precision)
    share = f"{config.target_precision:.2%}"
    if reached is None:
        best = curve["precision"].max()
        sentence = f"No threshold reaches the published precision of {share} on the test rows; the best is {best:.2%}."
    else:
        sentence = (
            f"The published precision of {share} is a threshold: {reached.threshold:.3f} reaches it here, and then only "
            f"{reached.n_selected:,} customers are named and {reached.recall:.1%} of the leavers are found."
        )
        run.metric(
            target_precision_threshold=reached.threshold,
            target_precision_recall=reached.recall,
            target_precision_n_selected=reached.n_selected,
        )
    run.headline(
        f"AUC {ranking.auc:.3f}; at threshold {config.threshold:g} precision {confusion.precision:.1%}, "
        f"recall {confusion.recall:.1%}."
    )
    run.headline(sentence)
    run.text(sentence)
    run.table("threshold_curve", curve, "Precision and recall by threshold", show=False)
    run.figure(
        "threshold",
        figures.threshold_figure(curve, config.threshold, config.target_precision),
        "Precision and its price.",
    )
    fpr, tpr, _ = roc_curve(y, probability)
    point = (confusion.fp / (confusion.fp + confusion.tn), confusion.recall)
    run.figure("roc", figures.roc_figure(fpr, tpr, ranking.auc, point), "ROC curve on the test rows.")
    calibration = calibration_table(y, probability)
    run.table("calibration", calibration, "Predicted and observed churn in groups of equal size")
    run.figure("calibration", figures.calibration_figure(calibration), f"Calibration; Brier score {ranking.brier:.4f}.")


def _portraits(analysis: ChurnAnalysis, run: Run) -> None:
    portraits, model = analysis.portraits, analysis.model
    criteria, k = portraits.criteria, len(model.portraits)
    run.section(
        "Kinds of leavers",
        f"K-means on the {len(model.portrait_columns)} significant features of the {len(portraits.labels):,} churned customers "
        f"makes {k} portraits; total error {portraits.total_error:.4f} (paper A, eq. 2.9).",
    )
    if len(criteria):
        choices, chosen = criteria.attrs["choices"], criteria.attrs["chosen"]
        votes = ", ".join(f"{name.replace('_', ' ')} {choice}" for name, choice in choices.items())
        run.text(f"Number of portraits by criterion: {votes}; the most votes win, and the smaller number on a tie.")
        run.table("n_clusters", criteria.rename_axis("k"), "Criteria for the number of portraits", index=True)
        run.figure(
            "n_clusters", figures.criteria_figure(criteria, choices, chosen), "Each criterion and its choice (red)."
        )
    run.curve("portraits/total_error", portraits.history)
    run.table("segments", segments(analysis), "Portraits, largest first")
    run.table("portrait_profile", portraits.profile, "Every portrait's means", show=False)
    z = portraits.profile.assign(
        column=portraits.profile["feature"]
        + portraits.profile["value"].map(lambda value: f" = {value}" if value else "")
    ).pivot(index="segment", columns="column", values="z")
    shown = z.abs().max().sort_values(ascending=False).index[:14]
    z.index = [portrait.name for portrait in model.portraits]
    run.figure("portraits", figures.portrait_figure(z[shown]), "The features that tell the portraits apart most.")
    run.metric(n_portraits=k, portraits_total_error=portraits.total_error)
    for index in range(k):
        run.metric(**{f"portrait_{index + 1}_size": int((portraits.labels == index).sum())})


def _whom_to_call(analysis: ChurnAnalysis, run: Run) -> None:
    likely, model = analysis.likely, analysis.model
    run.section(
        "Whom to call",
        f"{likely.sum():,} customers who are still here reach the threshold of {model.threshold:g}; each is treated like the "
        "portrait nearest to it. tables/likely_churners.csv lists them by row number, most likely first.",
    )
    chosen = np.flatnonzero(likely)
    chosen = chosen[np.argsort(-analysis.probability[chosen], kind="stable")]
    calls = pd.DataFrame(
        {
            "row": analysis.table.row_numbers[chosen],
            "probability": analysis.probability[chosen],
            "portrait": [model.portraits[index].name for index in analysis.portrait[chosen]],
            "action": [model.portraits[index].action for index in analysis.portrait[chosen]],
        }
    )
    run.table("likely_churners", calls, "Customers likely to churn", show=False)
    summary = segments(analysis)
    run.figure(
        "segments",
        figures.bars_figure(
            list(summary["portrait"]),
            {"churned": list(summary["churned"]), "likely to churn": list(summary["likely"])},
            "customers",
        ),
        "Portraits by the customers already lost and those that can be kept.",
    )
    run.metric(n_likely=int(likely.sum()))
    run.headline(
        f"{likely.sum():,} customers still here are likely to churn; they fall into {len(model.portraits)} portraits."
    )


def segments(analysis: ChurnAnalysis) -> pd.DataFrame:
    """Return one row per portrait: sizes, what it is like, what drives it and what to do."""
    labels, likely = analysis.portraits.labels, analysis.likely
    rows = []
    for index, portrait in enumerate(analysis.model.portraits):
        size = int((labels == index).sum())
        here = likely & (analysis.portrait == index)
        rows.append(
            {
                "portrait": portrait.name,
                "churned": size,
                "share": size / len(labels),
                "likely": int(here.sum()),
                "mean_probability": float(analysis.probability[here].mean()) if here.any() else np.nan,
                "telling": portrait.telling,
                "driver": portrait.driver,
                "action": portrait.action,
            }
        )
    return pd.DataFrame(rows)


def _spread(analysis: ChurnAnalysis) -> pd.Series:
    """Standard deviation of each encoded column on the training rows; 1 for the intercept."""
    features = analysis.table.features.iloc[analysis.split.train]
    spread = analysis.model.encoder.transform(features).frame.std(ddof=0)
    return pd.concat([pd.Series({"const": 1.0}), spread])[analysis.drivers.result.table.index]
