"""Write a recommender down: metrics, tables, figures and the report, in the order in which a marketing manager reads them."""

from __future__ import annotations

import pandas as pd
from sklearn.metrics import roc_curve

from marketnn.classify import confusion_report, ranking_report
from marketnn.pipeline.recommend.analysis import Config, RecommendAnalysis
from marketnn.pipeline.recommend.record_contacts import record_contacts, record_offers
from marketnn.pipeline.rows import record_columns, repeats_text
from marketnn.report import recommend_figures as figures
from marketnn.spelling import counted
from marketnn.tracking import Run

N_TOP = 10
CELL_NAMES = {
    "tp": "accepted, found (TP)",
    "fn": "accepted, missed (FN)",
    "fp": "refused, called accepted (FP)",
    "tn": "refused, told so (TN)",
}


def record(analysis: RecommendAnalysis, config: Config, out: Run) -> None:
    """Record the whole analysis."""
    for note in analysis.leakage.notes:
        out.headline(note)
    _offers_made(analysis, config, out)
    _which_model(analysis, config, out)
    _how_well(analysis, config, out)
    _what_drives(analysis, out)
    _whether_to_trust(analysis, out)
    record_contacts(analysis, config, out)
    record_offers(analysis, config, out)


def _offers_made(analysis: RecommendAnalysis, config: Config, out: Run) -> None:
    table, y, split, model = analysis.table, analysis.y, analysis.split, analysis.model
    repeats = repeats_text(split.n_duplicates, split.together, "features")
    out.section(
        "What was offered and accepted",
        f"{counted(len(y), 'offer')} of {table.source}; {y.sum():,} ({y.mean():.1%}) were accepted: {model.target} = "
        f"{model.positive}. {len(split.train):,} rows train the models and {len(split.test):,} test them; {repeats}",
    )
    if model.offer is not None:
        made = pd.DataFrame({"offer": table.frame[model.offer], "accepted": y}).groupby("offer")["accepted"]
        offers = pd.DataFrame({"made": made.size(), "accepted": made.sum(), "rate": made.mean()})
        offers["revenue"] = pd.Series(model.revenue)
        out.table(
            "offers_made",
            offers,
            "Offers and what came of them",
            index=True,
            size="made",
            cells={"accepted": ("rate",)},
        )
    out.metric(
        n_rows=len(y),
        n_train=len(split.train),
        n_calibration=len(analysis.calibrating),
        n_test=len(split.test),
        n_duplicates=split.n_duplicates,
        n_accepted=int(y.sum()),
        positives_test=int(y[split.test].sum()),
    )


def _which_model(analysis: RecommendAnalysis, config: Config, out: Run) -> None:
    models, comparison = analysis.models, analysis.comparison
    chosen = analysis.model.classifier.name
    intervals = (
        f"intervals: 95 % over {models.n_splits} splits, decisions at .5"
        if models.n_splits > 1
        else f"intervals: 95 % by the bootstrap of the test rows, decisions at {config.threshold:g}"
    )
    out.section(
        "Which model tells best",
        f"Every model learnt from the same {len(analysis.split.train):,} rows and is judged on the same "
        f"{len(analysis.split.test):,} (paper A, table 4.4); {intervals}. The rest of this page is about {chosen}, the one "
        "that was chosen (classifier=...).",
    )
    verdict = models.verdict()
    best = models.value.index[0]
    out.headline(
        verdict if best == chosen else f"{verdict} The model chosen is {chosen}; classifier={best} takes the best."
    )
    out.table("models", models.table(), "Every model, with intervals", show=False)
    out.table(
        "model_scores", models.value.rename_axis("model"), "Models on the same test rows, best AUC first", index=True
    )
    measures = ["accuracy", "precision", "recall", "f1", "auc"]
    shown = [
        frame[measures].rename(columns={"f1": "F1", "auc": "AUC"}) for frame in (models.value, models.low, models.high)
    ]
    out.figure(
        "models", figures.comparison_figure(*shown), "Models by measure, with 95 % intervals (paper A, figure 4.6)."
    )
    y = analysis.y[analysis.split.test]
    curves = {}
    for name in models.value.index:
        fpr, tpr, _ = roc_curve(y, comparison.probability[name])
        curves[name] = (fpr, tpr, ranking_report(y, comparison.probability[name]).auc)
    out.figure("roc", figures.roc_curves_figure(curves), "ROC curves of all models (paper A, figure 4.5).")
    points = [
        pd.DataFrame({"model": name, "false_positive_rate": fpr, "true_positive_rate": tpr})
        for name, (fpr, tpr, _) in curves.items()
    ]
    out.table("roc", pd.concat(points), "ROC curves", show=False)
    cells = models.confusion.rename(columns=CELL_NAMES)
    caption = f"Confusion matrices at threshold {config.threshold:g} (paper A, table 4.3)"
    out.table("confusion", cells, caption, cells={name: () for name in CELL_NAMES.values()})
    out.metric(**{f"auc_{name}": value for name, value in models.value["auc"].items()})


def _how_well(analysis: RecommendAnalysis, config: Config, out: Run) -> None:
    evidence, model = analysis.evidence, analysis.model
    y, probability = evidence.y, evidence.probability
    ranking, before = ranking_report(y, probability), ranking_report(y, evidence.score)
    confusion = confusion_report(y, probability, config.threshold)
    out.section(
        f"How well {model.classifier.name} tells",
        f"On the {len(y):,} test rows, {y.sum():,} of them accepted. " + _calibration_text(analysis, config),
    )
    out.table(
        "intervals", evidence.intervals.rename_axis("measure"), "With 95 % intervals by the bootstrap", index=True
    )
    out.metric(**ranking.as_metrics(), **confusion.as_metrics(), brier_uncalibrated=before.brier)
    low, high = evidence.intervals.loc["auc", ["low", "high"]]
    told = "As it is" if model.calibration is None else "Calibrated on rows of its own"
    decided = (
        f"its precision is {confusion.precision:.1%} and its recall {confusion.recall:.1%}"
        if confusion.tp + confusion.fp
        else "it names nobody"
    )
    out.headline(
        f"{told}, {model.classifier.name} has an AUC of {ranking.auc:.3f} ({low:.3f} to {high:.3f}); at threshold "
        f"{config.threshold:g} {decided}."
    )
    out.table(
        "gains", evidence.gains, "Lift and gain by tenth of the test rows, highest probability first", size="rows"
    )
    out.figure("gains", figures.gain_figure(evidence.gains), "What contacting the likeliest first finds.")
    out.table("reliability", evidence.reliability, "Predicted and observed rates in groups of equal size")
    out.table("reliability_before", evidence.reliability_before, "The same before calibration", show=False)
    out.figure(
        "reliability",
        figures.reliability_figure(
            evidence.reliability_before, None if model.calibration is None else evidence.reliability
        ),
        f"Reliability; Brier score {before.brier:.4f}"
        + ("." if model.calibration is None else f" before and {ranking.brier:.4f} after calibration."),
    )
    out.pr_curve("test/accepted", y, probability)
    out.histogram("probability/accepted", probability[y == 1])
    out.histogram("probability/refused", probability[y == 0])


def _calibration_text(analysis: RecommendAnalysis, config: Config) -> str:
    if analysis.model.calibration is None:
        return "Its probabilities are not calibrated (pipeline.calibration): tiers take them as they are."
    return (
        f"It learnt from {len(analysis.split.train) - len(analysis.calibrating):,} training rows; the other "
        f"{len(analysis.calibrating):,} calibrate its probabilities ({config.calibration})."
    )


def _what_drives(analysis: RecommendAnalysis, out: Run) -> None:
    evidence, importance = analysis.evidence, analysis.evidence.importance
    top = importance.index[0]
    out.section(
        "What acceptance hangs on",
        "The model's own importance (paper A, table 4.2) is a share of 1: what it used in training. What shuffling a feature "
        "costs on the test rows says what it needs; features that tell the same story hide each other there.",
    )
    out.table("importance", importance, "Every feature", index=True, show=False)
    out.table("importance_top", importance.head(N_TOP), "The most important features", index=True)
    out.figure(
        "importance",
        figures.importance_figure(importance["importance"], importance["permutation"], importance["permutation_sd"]),
        "Importance in training, and on the test rows (standard deviation over shuffles).",
    )
    share = importance["importance"].head(N_TOP).sum()
    out.metric(top_10_importance=share)
    out.headline(
        f"{top} counts most, with {importance['importance'].iloc[0]:.1%} of the importance; the ten most important features "
        f"hold {share:.1%}."
    )
    if evidence.contributions is None:
        out.text(
            f"{analysis.model.classifier.name} does not split its scores into contributions; classifier=xgboost does."
        )
        return
    contributions = evidence.contributions.drop(columns="bias")
    mean = contributions.abs().mean().sort_values(ascending=False).rename("mean_size").rename_axis("feature")
    out.table("contributions", mean.to_frame(), "Mean size of each feature's contribution", index=True, show=False)
    out.figure(
        "contributions",
        figures.contributions_figure(contributions, evidence.features),
        f"SHAP values of {counted(len(contributions), 'test row')}: what each feature adds to the log odds of acceptance.",
    )


def _whether_to_trust(analysis: RecommendAnalysis, out: Run) -> None:
    leakage, findings = analysis.leakage, analysis.models.findings
    out.section("Whether to trust it")
    for note in leakage.notes:
        out.text(note)
    if not leakage.suspects:
        out.text(
            f"No feature alone predicts the outcome almost perfectly; {leakage.auc.index[0]} comes nearest, with an AUC of "
            f"{leakage.auc.iloc[0]:.3f} by itself."
        )
    if not leakage.n_seen:
        out.text("No test row has the same features as a training row.")
    out.text(
        "The models' numbers do not fit together: "
        + "; ".join(f"{found.model} {found.what}".strip() for found in findings)
        if findings
        else "The models' numbers fit together: the same rows and positives for all, every F1 the harmonic mean of its precision "
        "and recall, no AUC below what its confusion matrix allows. The paper's tables 4.3 and 4.4 fail this audit."
    )
    out.table(
        "leakage", leakage.auc.reset_index(), "How well each feature alone tells, on the training rows", show=False
    )
    record_columns(analysis.table, analysis.encoded, out)
    out.metric(n_suspects=len(leakage.suspects), n_seen=leakage.n_seen)
