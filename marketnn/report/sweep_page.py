"""The page of a sweep: the settings side by side, with intervals, and every job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from marketnn.report.figures import BLUE, GREY, label
from marketnn.report.page import FigureBlock, Section, TableBlock, TextBlock, render_page

MAIN = ("auc", "rmse", "r2", "silhouette", "total_error")  # the first that a sweep has is shown first


def main_metrics(comparison: pd.DataFrame, limit: int = 4) -> list[str]:
    """Choose what to draw: the best known metrics first, then those that differ most between settings for their spread."""
    if comparison.empty:
        return []
    table = comparison.pivot(index="metric", columns="setting", values="mean")
    spread = (table.max(axis=1) - table.min(axis=1)) / (table.abs().max(axis=1) + 1e-300)
    known = [name for name in MAIN if name in spread.index]
    moving = [name for name in spread.sort_values(ascending=False, kind="stable").index if spread[name] > 0]
    counts = [name for name in moving if name.startswith("n_") or name.endswith("_size")]
    return list(dict.fromkeys([*known, *(name for name in moving if name not in counts)]))[:limit]


def settings_figure(comparison: pd.DataFrame, summary: pd.DataFrame, metric: str) -> Figure:
    """Draw a metric per setting: every job's value as a point, the mean with its 95 % interval where there are two or more.

    Args:
        comparison: of ``comparison_table``, with columns setting, metric, mean, half_width.
        summary: of ``summary_table``.
        metric: which.
    """
    rows = comparison[comparison["metric"] == metric].reset_index(drop=True)
    figure = Figure(figsize=(7.5, 1.4 + 0.5 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for position, row in rows.iterrows():
        values = summary.loc[summary["setting"] == row["setting"], metric].dropna()
        axes.plot(values, np.full(len(values), position), "o", color=GREY, alpha=0.7, markersize=4, zorder=1)
        half = 0.0 if np.isnan(row["half_width"]) else row["half_width"]
        axes.errorbar(row["mean"], position, xerr=half, fmt="o", color=BLUE, capsize=4, zorder=2)
    axes.set_yticks(range(len(rows)), [label(name, 60) for name in rows["setting"]])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel(metric.replace("_", " "))
    axes.grid(axis="x", color="#e3e8ee")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def render_sweep(
    summary: pd.DataFrame, comparison: pd.DataFrame, headlines: Sequence[str], facts: Mapping[str, str]
) -> str:
    """Return the page of a sweep as HTML.

    Args:
        summary: one row per job.
        comparison: one row per setting and metric.
        headlines: sentences that come first.
        facts: name -> value, shown at the end.
    """
    sections = []
    chosen = main_metrics(comparison)
    if chosen:
        settings = Section("Settings", [TextBlock("Grey: one job each. Blue: their mean and its 95 % t interval.")])
        settings.blocks += [
            FigureBlock.of(settings_figure(comparison, summary, name), f"{name.replace('_', ' ')} by setting")
            for name in chosen
        ]
        sections.append(settings)
        compared = Section("Difference to the first setting", [])
        compared.blocks.append(
            TextBlock(
                "Means and standard deviations are over a setting's finished jobs; differences are paired over the seeds that "
                "the first setting finished too, with their 95 % t interval. comparison.csv has every metric."
            )
        )
        several = comparison["setting"].nunique() > 1
        for name in chosen:
            rows = comparison[comparison["metric"] == name]
            dropped = (
                ["metric", "half_width"]
                if several
                else ["metric", "half_width", "n_shared", "difference", "low", "high"]
            )
            compared.blocks.append(TableBlock(name.replace("_", " "), rows.drop(columns=dropped), "comparison.csv"))
        sections.append(compared)
    failed = summary[summary["status"] == "failed"]
    if len(failed):
        rows = failed[["job", "setting", "seed", "failure"]]
        sections.append(Section("Failed jobs", [TableBlock("Not averaged in", rows, "summary.csv")]))
    columns = ["job", "setting", "seed", "status", *chosen]
    sections.append(Section("Jobs", [TableBlock("Every job", summary[columns], "summary.csv")]))
    return render_page("marketnn: sweep", facts, headlines, sections)
