"""Write a planning down, first part: customers, features, segments, who holds the value, fitness scores."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA

from marketnn.classify.evaluation import calibration_table
from marketnn.cluster.profile import column_name
from marketnn.pipeline.omnichannel.analysis import OmnichannelAnalysis
from marketnn.pipeline.omnichannel.config import Config
from marketnn.pipeline.omnichannel.record_plan import record_plan
from marketnn.pipeline.omnichannel.record_projects import record_projects
from marketnn.pipeline.rows import record_columns
from marketnn.report import plan_figures, segment_figures
from marketnn.report.cluster_figures import criteria_figure, profile_figure
from marketnn.report.figures import calibration_figure
from marketnn.spelling import counted
from marketnn.tracking import Run

MAP_ROWS = 5_000  # more points hide each other
SHOWN_FEATURES = 14
TENTHS = 10


def record(analysis: OmnichannelAnalysis, config: Config, out: Run) -> None:
    """Record the whole planning."""
    _features(analysis, config, out)
    _how_many(analysis, config, out)
    _segments(analysis, out)
    _value(analysis, config, out)
    _fitness(analysis, out)
    record_projects(analysis, config, out)
    record_plan(analysis, config, out)


def _features(analysis: OmnichannelAnalysis, config: Config, out: Run) -> None:
    table, selection = analysis.table, analysis.selection
    selector = selection.selector
    out.section(
        "Customers and features",
        f"{counted(len(table.frame), 'customer')} of {table.source}. Of {counted(len(selector.importance_), 'feature')}, "
        f"{len(selection.names)} stay, scaled by {analysis.segmentation.scaler.name}: of two that correlate by "
        f"{config.strong_correlation:g} or more the less important one goes, and so does what holds less than "
        f"{config.negligible:.0%} of the importance (paper B, III.A).",
    )
    record_columns(table, selection.encoded, out)
    features = pd.DataFrame(
        {
            "importance": selector.importance_,
            "kept": [name in selection.names for name in selector.importance_.index],
            "why": selector.dropped_.reindex(selector.importance_.index).fillna(""),
        }
    )
    out.table("features", features.sort_values("importance", ascending=False), "Features by importance", index=True)
    out.table("correlation", selector.correlation_, "Correlations", index=True, show=False)
    out.table("strong_pairs", selector.pairs_, f"Pairs with |r| of {config.strong_correlation:g} or more")
    out.figure(
        "correlation",
        plan_figures.correlation_figure(selector.correlation_, config.strong_correlation),
        f"Correlations of the features; pairs of {config.strong_correlation:g} or more are framed (paper B, fig. 1).",
    )
    out.figure(
        "importance",
        plan_figures.importance_figure(selector.importance_, selection.names),
        "What boosted trees gain by each feature (paper B, fig. 2).",
    )
    out.metric(n_rows=len(table.frame), n_features=len(selection.names))


def _how_many(analysis: OmnichannelAnalysis, config: Config, out: Run) -> None:
    found, k = analysis.segmentation, len(analysis.segmentation.segments)
    choices = found.criteria.attrs.get("choices", {})
    chosen = {**choices, "merge heights": found.from_heights}
    said = "pipeline.n_segments fixes it" if config.n_segments is not None else "the merge heights say so"
    out.section(
        "How many segments",
        f"{k}, since {said}. Each criterion's own choice stands below; they judge K-means partitions, the merge heights are the "
        "median of the trees of all samples (paper B, II.B).",
    )
    table = pd.DataFrame({"criterion": [name.replace("_", " ") for name in chosen], "choice": list(chosen.values())})
    out.table("choices", table, "Number of segments by criterion")
    if choices:
        out.table("n_clusters", found.criteria.rename_axis("k"), "Criteria for the number of segments", index=True)
        out.figure("n_clusters", criteria_figure(found.criteria, choices, k), "Each criterion and its choice (red).")
    out.metric(n_clusters=k)


def _segments(analysis: OmnichannelAnalysis, out: Run) -> None:
    found, made = analysis.segmentation, analysis.segmentation.clustering
    names = analysis.segment_names
    size = np.bincount(found.labels, minlength=len(names))
    overview = pd.DataFrame(
        {
            "segment": names,
            "size": size,
            "share": size / len(found.labels),
            "label": [segment.label for segment in found.segments],
            "telling": [segment.telling for segment in found.segments],
        }
    )
    columns = [column_name(*pair) for pair in zip(found.profile["feature"], found.profile["value"], strict=True)]
    profile = found.profile.assign(column=columns)
    wide = {
        what: profile.pivot(index="segment", columns="column", values=what)[list(dict.fromkeys(columns))]
        for what in ("mean", "z")
    }
    out.section(
        "The segments",
        f"{counted(len(names), 'segment')} by {made.name}; total error {made.total_error:.4f} in scaled units. The label is the "
        "feature on which a segment stands highest, in standard deviations (paper B, III.B); telling are the features farthest "
        "from the average, either way.",
    )
    out.table("overview", overview, "Segments", size="size")
    full = overview.join(wide["mean"].add_prefix("mean_")).join(wide["z"].add_prefix("z_"))
    out.table("segments", full, "Segments with every feature's mean and z", show=False)
    z = wide["z"].set_axis(pd.Index([names[int(place)] for place in wide["z"].index]))
    strongest = z.abs().max().sort_values(ascending=False, kind="stable").index[:SHOWN_FEATURES]
    large = out.drawn(overview, size="size")["segment"]
    if len(large):
        figure = profile_figure(z.loc[large, strongest], "all customers")
        out.figure("segments", figure, "What tells the segments apart.")
    if len(large) and found.scaled.shape[1] > 1:
        n = len(found.labels)
        shown = np.arange(n) if n <= MAP_ROWS else np.linspace(0, n - 1, MAP_ROWS).round().astype(int)
        shown = shown[size[found.labels[shown]] >= out.min_cell]
        components = PCA(n_components=2).fit(found.scaled)
        points = components.transform(found.scaled[shown])
        map_ = segment_figures.map_figure(
            points, components.explained_variance_ratio_.tolist(), found.labels[shown], names
        )
        out.figure("map", map_, f"{counted(len(shown), 'customer')} on the plane in which all differ most.")
    for name, number in zip(names, size, strict=True):
        out.metric(**{f"{name.replace(' ', '_')}_size": int(number)})
    out.metric(**made.as_metrics())
    out.headline(
        f"{counted(len(found.labels), 'customer')} fall into {counted(len(names), 'segment')}; the largest has "
        f"{size[0] / size.sum():.0%} of them: {found.segments[0].telling}."
    )
    out.curve(f"total_error/{made.name}", made.history)


def _value(analysis: OmnichannelAnalysis, config: Config, out: Run) -> None:
    spread, name = analysis.spread, analysis.value_name
    if spread is None:
        return
    top, above = spread.top(config.top_share), spread.above_mean
    sentence = (
        f"The top {top.row_share:.0%} of the customers hold {top.value_share:.1%} of the {name}; the {above.row_share:.1%} above "
        f"the mean of {spread.mean:,.6g} hold {above.value_share:.1%}. Gini coefficient {spread.gini:.3f}."
    )
    out.section("Who holds the value", sentence)
    groups = {f"top {top.row_share:.0%}": top, "above the mean": above}
    rows = [{"group": group, "customers": held.row_share, "value": held.value_share} for group, held in groups.items()]
    out.table("groups", pd.DataFrame(rows), f"Shares of the customers and of the {name}")
    shares = np.linspace(0, 1, TENTHS + 1)
    cumulative = np.interp(shares, spread.row_share, spread.value_share)
    tenths = pd.DataFrame(
        {
            "customers": shares[1:],
            "mean": np.diff(cumulative) * spread.mean * TENTHS,
            "cumulative_share": cumulative[1:],
        }
    )
    out.table("concentration", tenths, f"Tenths of the customers, greatest {name} first")
    out.figure(
        "pareto",
        segment_figures.pareto_figure(tenths["mean"].to_list(), tenths["cumulative_share"].to_list(), name),
        f"Mean {name} of each tenth of the customers, and what it holds together with those before it (paper B, fig. 3).",
    )
    out.metric(
        gini=spread.gini,
        top_row_share=top.row_share,
        top_value_share=top.value_share,
        above_mean_row_share=above.row_share,
        above_mean_value_share=above.value_share,
    )


def _fitness(analysis: OmnichannelAnalysis, out: Run) -> None:
    scorers, projects = analysis.fitness.scorers, analysis.allotment.projects
    out.section(
        "Fitness scores",
        "The probability of an order, by customer and project. Scores tell who orders, not who orders because of a project: "
        "only outcomes of customers who were marketed a project by chance would tell that.",
    )
    sources = pd.DataFrame(
        {
            "project": [project.name for project in projects],
            "column": [project.column for project in projects],
            "score": [offer.source for offer in analysis.model.offers],
            "mean": analysis.fitness.probability.mean(axis=0),
            "least": analysis.fitness.probability.min(axis=0),
            "greatest": analysis.fitness.probability.max(axis=0),
        }
    )
    out.table("scores", sources, "Where each project's scores come from")
    if not scorers:
        return
    quality = pd.DataFrame([{"column": key, **scorer.quality} for key, scorer in scorers.items()])
    out.table(
        "score_quality", quality, "The LMBP networks on customers they did not see (rate_brier: one rate for all)"
    )
    for place, (key, scorer) in enumerate(scorers.items(), start=1):
        bins = calibration_table(scorer.actual, scorer.predicted)
        out.table(f"calibration_{place}", bins, f"Predicted and observed: {key}", show=False)
        out.figure(f"calibration_{place}", calibration_figure(bins), f"Scores of '{key}' against what came of them.")
        for curve in ("loss", "validation_loss"):
            out.curve(f"{curve}/{key}", scorer.history[curve])
    out.metric(fitness_brier=float(quality["brier"].mean()))
    if "auc" in quality:
        out.metric(fitness_auc=float(quality["auc"].mean()))
