"""Write a planning down, second part: projects before and after, the assignment within limits, and their shadow prices."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from marketnn.data.projects import project_table
from marketnn.pipeline.omnichannel.allotment import NOBODY
from marketnn.pipeline.omnichannel.analysis import OmnichannelAnalysis
from marketnn.pipeline.omnichannel.config import Config
from marketnn.report import plan_figures
from marketnn.tracking import Run


def record_projects(analysis: OmnichannelAnalysis, config: Config, out: Run) -> None:
    """Record who is marketed what, and what that brings."""
    _projects(analysis, out)
    _limits(analysis, config, out)


def pairs(numbers: Mapping[str, Any]) -> pd.DataFrame:
    """Return named numbers as a table of two columns, ``what`` and ``value``."""
    return pd.DataFrame({"what": list(numbers), "value": [float(number) for number in numbers.values()]})


def _projects(analysis: OmnichannelAnalysis, out: Run) -> None:
    allotment = analysis.allotment
    comparison, benefits = allotment.comparison, allotment.benefits.set_index("plan")["benefit"]
    today, after = benefits.iloc[0], benefits.iloc[-1]
    now = comparison.current or 0
    current = comparison.names[now]
    out.section(
        "Projects, before and after",
        f"Today everybody is marketed '{current}'. Each customer's project is the one with the largest P R, the fitness score "
        f"times the revenue of an order (paper B, eq. 13); all projects together then add S = {comparison.gain:,.2f} to today's "
        f"W0 = {comparison.current_benefit:,.2f} before contact costs (eq. 5 and 6).",
    )
    out.table("projects", project_table(allotment.projects), "The projects")
    out.table("comparison", comparison.table, "Projects compared, without limits and contact costs", index=True)
    out.table("benefits", allotment.benefits, "What each plan is expected to bring, all costs counted")
    out.figure("benefits", plan_figures.benefit_figure(allotment.benefits), "Benefit before (grey) and after (blue).")
    out.text(
        f"Movers are worth more with a project than with '{current}'; key users among them have a score below the median with "
        f"'{current}' and above it with the project (paper B, II.B)."
    )
    gains = {
        "W, all projects": comparison.benefit,
        "W0, today": comparison.current_benefit,
        "S, gain of all projects": comparison.gain,
        "gain of the best set": comparison.launch_gain,
    }
    out.table("gains", pairs(gains), "Without limits and contact costs (paper B, eq. 4 to 6)")
    movers = [
        {
            "project": name,
            "movers": len(comparison.movers(now, place)),
            "key_users": len(comparison.key_users(now, place)),
        }
        for place, name in enumerate(comparison.names)
        if place != now
    ]
    out.table(
        "movers",
        pd.DataFrame(movers, columns=["project", "movers", "key_users"]),
        f"Who is worth more with a project than with '{current}'",
        cells={"movers": (), "key_users": ()},
    )
    if comparison.offline:
        out.text(f"Without limits, these are better offline (eq. 7): {', '.join(comparison.offline)}.")
    out.headline(
        f"Today's benefit of {today:,.2f} becomes {after:,.2f} ({after - today:+,.2f}) with customers assigned within the limits."
    )
    out.metric(
        benefit_today=today,
        benefit_assigned=after,
        benefit_gain=after - today,
        project_gain=comparison.gain,
        launch_gain=comparison.launch_gain,
    )


def _limits(analysis: OmnichannelAnalysis, config: Config, out: Run) -> None:
    allotment, assigned = analysis.allotment, analysis.allotment.assigned
    contacted = int((allotment.offer != NOBODY).sum())
    proof = (
        f"no assignment is worth more than {assigned.upper_bound:,.2f}, a gap of {assigned.gap:.1e} ({assigned.status})"
    )
    out.section(
        "Assignment within the limits",
        f"{contacted:,} of {len(allotment.offer):,} customers are contacted, for {assigned.value:,.2f} after contact and fixed "
        f"costs; {proof}.",
    )
    count = np.bincount(allotment.offer + 1, minlength=len(allotment.projects) + 1)[1:]
    offers = pd.DataFrame(
        {
            "project": [project.name for project in allotment.projects],
            "channel": [project.channel for project in allotment.projects],
            "customers": count,
            "capacity": [math.nan if p.capacity is None else float(p.capacity) for p in allotment.projects],
            "shadow_price": assigned.shadow_price,
        }
    )
    out.table("offers", offers, "Customers by project, and what one more contact is worth", cells={"customers": ()})
    prices = _prices(analysis, config)
    for unit, price in prices.items():
        sentence = f"One more {unit} is worth {price:,.2f}."
        out.text(sentence)
        if price > 0:
            out.headline(sentence)
    if prices:
        table = pd.DataFrame({"one_more": list(prices), "is_worth": list(prices.values())})
        out.table("shadow_prices", table, "Shadow prices", show=False)
        out.figure("shadow_prices", plan_figures.prices_figure(prices), "What one more unit of each limit is worth.")
    names = [project.name for project in allotment.projects]
    shares = pd.crosstab(analysis.segmentation.labels, allotment.offer).reindex(
        index=range(len(analysis.segment_names)), columns=[*range(len(names)), NOBODY], fill_value=0
    )
    shares = shares.set_axis(analysis.segment_names).set_axis([*names, "no contact"], axis="columns")
    cells: dict[str, tuple[str, ...]] = {name: () for name in shares.columns}
    caption = "Customers by segment and project"
    out.table("projects_by_segment", shares.rename_axis("segment"), caption, index=True, cells=cells)
    drawn = out.drawn(shares, cells=cells).fillna(0).astype(float)
    out.figure(
        "projects_by_segment",
        plan_figures.shares_figure(drawn.div(shares.sum(axis=1).clip(lower=1), axis=0)),
        "How each segment's customers divide among the projects.",
    )
    _assignment_table(analysis, [*names, "none"], out)
    out.metric(
        n_contacted=contacted,
        assignment_upper_bound=assigned.upper_bound,
        assignment_gap=assigned.gap,
        highest_shadow_price=max(prices.values(), default=0.0),
    )


def _prices(analysis: OmnichannelAnalysis, config: Config) -> dict[str, float]:
    """Return what one more unit of each limit is worth, by what that unit is."""
    allotment, assigned = analysis.allotment, analysis.allotment.assigned
    prices = {
        f"contact with '{project.name}'": float(assigned.shadow_price[place])
        for place, project in enumerate(allotment.projects)
        if project.capacity is not None and allotment.used[place]
    }
    return prices | {
        f"unit of money for contacts through '{name}'": assigned.channel_price[name]
        for name in config.channel_budget or {}
    }


def _assignment_table(analysis: OmnichannelAnalysis, names: list[str], out: Run) -> None:
    """Record every customer's segment and project."""
    table, allotment = analysis.table, analysis.allotment
    told = {
        "row": table.row_numbers,
        "segment": np.array(analysis.segment_names, dtype=object)[analysis.segmentation.labels],
        "project": np.array(names, dtype=object)[allotment.offer],
        "score": allotment.customer_probability,
        "worth": allotment.customer_worth,
    }
    out.table("assignment", pd.DataFrame(told), "Every customer's segment and project", show=False)
