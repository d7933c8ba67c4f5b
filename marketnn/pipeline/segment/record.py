"""Write a segmentation down: metrics, tables, figures and the report, in the order in which a reader meets them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA

from marketnn.cluster.profile import column_name
from marketnn.pipeline.segment.analysis import Config, SegmentAnalysis
from marketnn.report import segment_figures
from marketnn.report.cluster_figures import criteria_figure, profile_figure
from marketnn.spelling import counted
from marketnn.tracking import Run

MAP_ROWS = 5_000  # more points hide each other, and weigh on a browser
SHOWN_FEATURES = 14
TENTHS = 10


def record(analysis: SegmentAnalysis, config: Config, out: Run) -> None:
    """Record the whole segmentation."""
    _rows(analysis, out)
    _how_many(analysis, out)
    _segments(analysis, config, out)
    _value(analysis, config, out)
    _algorithms(analysis, out)
    _tensorboard(analysis, out)


def segments(analysis: SegmentAnalysis, value: str | None = None) -> pd.DataFrame:
    """Return one row per segment: its size, what it is like, and the mean and z of every feature.

    Args:
        analysis: of the table.
        value: a number column to sum up by segment.
    """
    labels, model = analysis.labels, analysis.model
    k = len(model.segments)
    size = np.bincount(labels, minlength=k)
    table = pd.DataFrame(
        {
            "segment": [segment.name for segment in model.segments],
            "size": size,
            "share": size / len(labels),
            "label": [segment.label for segment in model.segments],
            "telling": [segment.telling for segment in model.segments],
        }
    )
    if value is not None:
        held = np.bincount(labels, weights=analysis.table.frame[value], minlength=k)
        table[f"total_{value}"] = held
        table[f"share_of_{value}"] = held / held.sum()
    wide = _wide(analysis, "mean").add_prefix("mean_").join(_wide(analysis, "z").add_prefix("z_"))
    return table.join(wide)


def _wide(analysis: SegmentAnalysis, what: str) -> pd.DataFrame:
    """Return the profile with a row per segment and a column per feature, in the table's order."""
    profile = analysis.profile
    names = [column_name(*pair) for pair in zip(profile["feature"], profile["value"], strict=True)]
    return profile.assign(column=names).pivot(index="segment", columns="column", values=what)[
        list(dict.fromkeys(names))
    ]


def _rows(analysis: SegmentAnalysis, out: Run) -> None:
    table, n_columns = analysis.table, analysis.scaled.shape[1]
    out.section(
        "Rows",
        f"{counted(len(table.frame), 'row')} of {table.source}; {counted(len(table.schema.features), 'feature')} "
        f"as {counted(n_columns, 'number')}, scaled by {analysis.model.scaler.name}.",
    )
    for note in (*table.notes, *analysis.encoded.met.notes):
        out.text(note)
    out.table("columns", table.schema.frame().drop(columns="problem"), "Columns and their roles")
    out.metric(n_rows=len(table.frame), n_features=len(table.schema.features))


def _how_many(analysis: SegmentAnalysis, out: Run) -> None:
    criteria, k = analysis.criteria, len(analysis.model.segments)
    out.metric(n_clusters=k)
    if not len(criteria):
        return
    choices = criteria.attrs["choices"]
    votes = ", ".join(f"{name.replace('_', ' ')} {choice}" for name, choice in choices.items())
    out.section(
        "How many segments", f"Best number by criterion: {votes}; the most votes win, and the smaller on a tie: {k}."
    )
    out.table("n_clusters", criteria.rename_axis("k"), "Criteria for the number of segments", index=True)
    out.figure("n_clusters", criteria_figure(criteria, choices, k), "Each criterion and its choice (red).")


def _segments(analysis: SegmentAnalysis, config: Config, out: Run) -> None:
    table, model, made = analysis.table, analysis.model, analysis.clusterings[0]
    full = segments(analysis, config.value)
    out.section(
        "The segments",
        f"{counted(len(model.segments), 'segment')} by {made.name}; total error {made.total_error:.4f} in scaled units "
        "(paper A, eq. 2.9). The label is the feature on which a segment stands highest, in standard deviations (paper B, "
        "III.B); telling are the features farthest from the average, either way. tables/segments.csv has every feature's "
        "mean and z, tables/labels.csv the segment of every row.",
    )
    out.table("segments", full, "Segments", show=False)
    overview = full.loc[:, [name for name in full if not name.startswith(("mean_", "z_"))]]
    out.table("overview", overview, "Segments", size="size")
    z = _wide(analysis, "z")
    z.index = pd.Index([model.segments[int(place)].name for place in z.index])
    strongest = z.abs().max().sort_values(ascending=False, kind="stable").index[:SHOWN_FEATURES]
    large = out.drawn(full, size="size")["segment"]
    if len(large):
        out.figure("segments", profile_figure(z.loc[large, strongest], "all rows"), "What tells the segments apart.")
    if len(large) and analysis.scaled.shape[1] > 1:
        shown = _shown_rows(analysis)
        shown = shown[full["size"].to_numpy()[analysis.labels[shown]] >= out.min_cell]
        components = PCA(n_components=2).fit(analysis.scaled)
        explained = components.explained_variance_ratio_.tolist()
        points = components.transform(analysis.scaled[shown])
        names = [segment.name for segment in model.segments]
        out.figure(
            "map",
            segment_figures.map_figure(points, explained, analysis.labels[shown], names),
            f"{counted(len(shown), 'row')} on the plane in which all rows differ most.",
        )
    named = [model.segments[place].name for place in analysis.labels]
    out.table(
        "labels", pd.DataFrame({"row": table.row_numbers, "segment": named}), "The segment of every row", show=False
    )
    for segment, size in zip(model.segments, full["size"], strict=True):
        out.metric(**{f"{segment.name.replace(' ', '_')}_size": int(size)})
    out.headline(
        f"{counted(len(table.frame), 'row')} fall into {counted(len(model.segments), 'segment')}; the largest has "
        f"{full['share'].iloc[0]:.0%} of them: {model.segments[0].telling}."
    )


def _value(analysis: SegmentAnalysis, config: Config, out: Run) -> None:
    spread = analysis.concentration
    if spread is None:
        return
    name, top, above = str(config.value), spread.top(config.top_share), spread.above_mean
    sentence = (
        f"The top {top.row_share:.0%} of the rows hold {top.value_share:.1%} of {name}; the {above.row_share:.1%} above the "
        f"mean of {spread.mean:,.6g} hold {above.value_share:.1%}. Gini coefficient {spread.gini:.3f}."
    )
    out.section("Where the value lies", sentence)
    out.headline(sentence)
    shares = np.linspace(0, 1, TENTHS + 1)
    cumulative = np.interp(shares, spread.row_share, spread.value_share)
    means = np.diff(cumulative) * spread.mean * TENTHS
    tenths = pd.DataFrame(
        {
            "rows": shares[1:],
            f"mean_{name}": means,
            f"share_of_{name}": np.diff(cumulative),
            "cumulative": cumulative[1:],
        }
    )
    out.table("concentration", tenths, f"Tenths of the rows, greatest {name} first")
    out.figure(
        "pareto",
        segment_figures.pareto_figure(means, cumulative[1:], name),
        f"Mean {name} of each tenth of the rows, and what it holds together with those before it (paper B, Fig. 3).",
    )
    groups = {
        f"top {top.row_share:.0%}": (top.row_share, top.value_share),
        "above the mean": (above.row_share, above.value_share),
    }
    out.figure(
        "lorenz",
        segment_figures.lorenz_figure(spread.row_share, spread.value_share, spread.gini, groups, name),
        f"The share of {name} that the greatest rows hold.",
    )
    out.metric(
        gini=spread.gini,
        top_row_share=top.row_share,
        top_value_share=top.value_share,
        above_mean_row_share=above.row_share,
        above_mean_value_share=above.value_share,
    )


def _algorithms(analysis: SegmentAnalysis, out: Run) -> None:
    made, *others = analysis.clusterings
    out.section(
        "Algorithms" if others else "The algorithm",
        "Errors in scaled units, to the centre or medoid that an algorithm returns. A round is what the algorithm counts as one: "
        "all rows assigned and all centres moved, a swap, or a sample. Seconds are in timings.json.",
    )
    table = pd.DataFrame([{"algorithm": found.name, **found.as_metrics()} for found in analysis.clusterings])
    out.table("algorithms", table, "Algorithms on the same rows, with the same number of segments")
    histories = {f"{found.name}, {found.lowered}": found.history for found in analysis.clusterings}
    out.figure("rounds", segment_figures.rounds_figure(histories), "What each algorithm lowers, round by round.")
    if others:
        errors = {found.name: found.total_error for found in analysis.clusterings}
        out.figure("errors", segment_figures.errors_figure(errors), "Final total error.")
        ranked = sorted(analysis.clusterings, key=lambda found: found.sse)
        out.headline(
            "Total error, lowest first: " + ", ".join(f"{found.name} {found.total_error:.4f}" for found in ranked) + "."
        )
    out.metric(**made.as_metrics())
    for found in others:
        out.metric(**{f"{name}_{found.name}": number for name, number in found.as_metrics().items()})
    for found in analysis.clusterings:
        out.timing(f"clustering: {found.name}", found.seconds)
    for found in analysis.clusterings:
        out.curve(f"total_error/{found.name}", found.errors)
        if found.lowered == "sum of distances":
            out.curve(f"sum_of_distances/{found.name}", found.history)
    # Alike in every run, whichever algorithms it has: a sweep shows the layout of one.
    out.charts(
        "clustering",
        {f"{family} by round": [f"{family.replace(' ', '_')}/"] for family in ("total error", "sum of distances")},
    )


def _tensorboard(analysis: SegmentAnalysis, out: Run) -> None:
    """Record what only TensorBoard shows: how far rows lie from their segments' centres, and the rows in its projector."""
    own_centre = analysis.model.centres[analysis.labels]
    out.histogram("distance/to_own_centre", np.linalg.norm(analysis.scaled - own_centre, axis=1))
    shown = _shown_rows(analysis)
    segment = [analysis.model.segments[place] for place in analysis.labels[shown]]
    labels = pd.DataFrame(
        {
            "segment": [found.name for found in segment],
            "label": [found.label for found in segment],
            "row": analysis.table.row_numbers[shown],
        }
    )
    out.projector("segments", analysis.scaled[shown], labels)


def _shown_rows(analysis: SegmentAnalysis) -> np.ndarray:
    """Return evenly spaced row positions, all of them where there are few."""
    n = len(analysis.labels)
    return np.arange(n) if n <= MAP_ROWS else np.linspace(0, n - 1, MAP_ROWS).round().astype(int)
