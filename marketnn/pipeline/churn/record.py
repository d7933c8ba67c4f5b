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
from marketnn.pipeline.churn.analysis import ChurnAnalysis, Config
from marketnn.pipeline.rows import record_columns, repeats_text
from marketnn.report import figures
from marketnn.report.cluster_figures import criteria_figure, profile_figure
from marketnn.spelling import counted
from marketnn.tracking import Run

LIKELY = {"likely": ("mean_probability",)}  # counts of customers in the table of portraits -> what describes them


def record(analysis: ChurnAnalysis, config: Config, out: Run) -> None:
    """Record the whole analysis."""
    _customers(analysis, out)
    _why(analysis, config, out)
    _how_well(analysis, config, out)
    _portraits(analysis, out)
    _whom_to_call(analysis, out)


def _customers(analysis: ChurnAnalysis, out: Run) -> None:
    table, y, split = analysis.table, analysis.y, analysis.split
    repeats = repeats_text(split.n_duplicates, split.together, "features")
    out.section(
        "Customers",
        f"{len(y):,} customers of {table.source}; {y.sum():,} ({y.mean():.1%}) have {table.options.target} = "
        f"{analysis.model.positive}. {len(split.train):,} rows train the model and {len(split.test):,} test it; {repeats}",
    )
    record_columns(table, analysis.encoded, out)
    out.metric(
        n_rows=len(y),
        n_train=len(split.train),
        n_test=len(split.test),
        n_duplicates=split.n_duplicates,
        n_churned=int(y.sum()),
        positives_test=int(y[split.test].sum()),
    )


def _why(analysis: ChurnAnalysis, config: Config, out: Run) -> None:
    drivers, split = analysis.drivers, analysis.split
    result = drivers.result
    rule = f"p < {config.level:g}" + ("" if config.correction == "none" else " after the Benjamini-Hochberg correction")
    out.section(
        "Why customers leave",
        f"Logistic regression on the training rows (paper A, Table 4.1): {drivers.n_significant} of "
        f"{len(result.table) - 1} features have {rule}. McFadden's R² is {result.mcfadden:.3f}.",
    )
    if not drivers.n_significant:
        out.text(
            f"No feature has {rule}; the {len(drivers.kept)} with the smallest p stand in for them, and the portraits below "
            "rest on features that may be noise."
        )
        out.headline(f"No feature has {rule}: portraits rest on the {len(drivers.kept)} with the smallest p.")
    if not result.converged:
        out.headline("The logistic fit did not converge; its coefficients and p are approximate.")
    if drivers.left_out:
        left_out = pd.DataFrame({"column": list(drivers.left_out), "why": list(drivers.left_out.values())})
        out.table("left_out", left_out, "Columns without a coefficient of their own")
    table = result.table.rename_axis("variable")
    out.table("coefficients", table, "Coefficients, in units of the columns", index=True)
    coefficients = table.drop("const")
    spread = analysis.encoded.frame.iloc[split.train].std(ddof=0)[coefficients.index]
    effects = pd.DataFrame(
        {
            "effect": coefficients["coef"] * spread,
            "low": coefficients["ci_low"] * spread,
            "high": coefficients["ci_high"] * spread,
        }
    )
    out.figure("effects", figures.effects_figure(effects), "Red raises the odds of leaving, green lowers them.")
    out.metric(
        log_likelihood=result.log_likelihood,
        mcfadden=result.mcfadden,
        n_features=len(result.table) - 1,
        n_significant=drivers.n_significant,
    )
    strongest = effects["effect"].abs().loc[drivers.kept].idxmax()
    verb = "is" if drivers.n_significant == 1 else "are"
    factor = np.exp(effects.loc[strongest, "effect"])
    out.headline(
        f"{counted(drivers.n_significant, 'feature')} {verb} significant on {len(split.train):,} training customers; the "
        f"strongest effect is {strongest} (odds times {factor:.2g} per standard deviation)."
    )


def _how_well(analysis: ChurnAnalysis, config: Config, out: Run) -> None:
    test = analysis.split.test
    y, probability = analysis.y[test], analysis.probability[test]
    ranking = ranking_report(y, probability)
    confusion = confusion_report(y, probability, config.threshold)
    curve = threshold_curve(y, probability)
    out.section("How well the model tells", f"On the {len(test):,} test customers, {y.sum():,} of whom left.")
    counts = pd.DataFrame(
        {
            "": ["left", "stayed"],
            "called churn": [confusion.tp, confusion.fp],
            "called stay": [confusion.fn, confusion.tn],
        }
    )
    cells: dict[str, tuple[str, ...]] = {name: () for name in counts.columns[1:]}
    out.table("confusion", counts, f"Confusion matrix at threshold {config.threshold:g}", cells=cells)
    metrics = {**ranking.as_metrics(), **confusion.as_metrics()}
    out.metric(**metrics)
    reached = reach_precision(y, probability, config.target_precision)
    share = f"{config.target_precision:.2%}"
    if reached is None:
        best = curve["precision"].max()
        sentence = f"No threshold reaches a precision of {share} on the test rows; the best is {best:.2%}."
    else:
        sentence = (
            f"A precision of {share} is a question of the threshold: in hindsight {reached.threshold:.3f} reaches it on the "
            f"test rows, names {counted(reached.n_selected, 'customer')} and finds {reached.recall:.1%} of the leavers."
        )
        out.metric(
            target_precision_threshold=reached.threshold,
            target_precision_recall=reached.recall,
            target_precision_n_selected=reached.n_selected,
        )
    out.headline(
        f"AUC {ranking.auc:.3f}; at threshold {config.threshold:g} precision {confusion.precision:.1%}, "
        f"recall {confusion.recall:.1%}."
    )
    out.headline(sentence)
    out.text(sentence)
    out.table("threshold_curve", curve, "Precision and recall by threshold", show=False)
    out.figure(
        "threshold",
        figures.threshold_figure(curve, config.threshold, config.target_precision),
        "Precision and its price.",
    )
    fpr, tpr, _ = roc_curve(y, probability)
    point = (confusion.fp / (confusion.fp + confusion.tn), confusion.recall)
    out.figure("roc", figures.roc_figure(fpr, tpr, ranking.auc, point), "ROC curve on the test rows.")
    calibration = calibration_table(y, probability)
    out.table("calibration", calibration, "Predicted and observed churn in groups of equal size")
    out.figure("calibration", figures.calibration_figure(calibration), f"Calibration; Brier score {ranking.brier:.4f}.")
    out.pr_curve("test/churn", y, probability)
    out.histogram("probability/left", probability[y == 1])
    out.histogram("probability/stayed", probability[y == 0])


def _portraits(analysis: ChurnAnalysis, out: Run) -> None:
    portraits, model = analysis.portraits, analysis.model
    criteria, k = portraits.criteria, len(model.portraits)
    out.section(
        "Kinds of leavers",
        f"K-means on {len(model.portrait_columns)} features of the {len(portraits.labels):,} churned customers makes "
        f"{counted(k, 'portrait')}; total error {portraits.total_error:.4f} (paper A, eq. 2.9). A portrait's driver is the "
        "feature that raises its log odds of leaving most over those of customers who stay; its action follows from the "
        "driver's name (pipeline.actions).",
    )
    if len(criteria):
        choices, chosen = criteria.attrs["choices"], criteria.attrs["chosen"]
        votes = ", ".join(f"{name.replace('_', ' ')} {choice}" for name, choice in choices.items())
        out.text(f"Number of portraits by criterion: {votes}; the most votes win, and the smaller number on a tie.")
        out.table("n_clusters", criteria.rename_axis("k"), "Criteria for the number of portraits", index=True)
        out.figure("n_clusters", criteria_figure(criteria, choices, chosen), "Each criterion and its choice (red).")
    out.curve("portraits/total_error", portraits.history)
    out.charts("portraits", {"total error by round": ["portraits/total_error"]})
    out.table("segments", segments(analysis), "Portraits, largest first", size="churned", cells=LIKELY)
    out.table("portrait_profile", portraits.profile, "Every portrait's means", show=False)
    z = portraits.profile.assign(
        column=portraits.profile["feature"]
        + portraits.profile["value"].map(lambda value: f" = {value}" if value else "")
    ).pivot(index="segment", columns="column", values="z")
    shown = z.abs().max().sort_values(ascending=False).index[:14]
    z.index = [portrait.name for portrait in model.portraits]
    large = out.drawn(segments(analysis), size="churned")["portrait"]
    if len(large):
        figure = profile_figure(z.loc[large, shown], "all churned customers")
        out.figure("portraits", figure, "The features that tell the portraits apart most.")
    out.metric(n_portraits=k, portraits_total_error=portraits.total_error)
    for index in range(k):
        out.metric(**{f"portrait_{index + 1}_size": int((portraits.labels == index).sum())})


def _whom_to_call(analysis: ChurnAnalysis, out: Run) -> None:
    likely, model = analysis.likely, analysis.model
    out.section(
        "Whom to call",
        f"{likely.sum():,} customers who are still here reach the threshold of {model.threshold:g}; each is treated like the "
        "portrait nearest to it. tables/likely_churners.csv lists them by row number, most likely first. The model has learnt "
        "from most of them, so their probabilities are a little flattered; those of new customers (pipeline=predict) are not.",
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
    out.table("likely_churners", calls, "Customers likely to churn", show=False)
    summary = out.drawn(segments(analysis), size="churned", cells=LIKELY)
    out.figure(
        "segments",
        figures.bars_figure(
            list(summary["portrait"]),
            {"churned": list(summary["churned"]), "likely to churn": list(summary["likely"])},
            "customers",
        ),
        "Portraits by the customers already lost and those that can be kept.",
    )
    out.metric(n_likely=int(likely.sum()))
    alike = len(np.unique(analysis.portrait[likely]))
    out.headline(
        f"{counted(int(likely.sum()), 'customer')} still here are likely to churn; they fall into {counted(alike, 'portrait')}."
        if likely.any()
        else f"No customer still here reaches the threshold of {model.threshold:g}."
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
