"""Figures 1 and 2 of paper B, correlations and importances of eight features, on made-up customers."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from scipy.stats import spearmanr

from experiments.claims import Claims
from experiments.experiment import Findings, Picture, Workspace
from experiments.ledger import Row, compare
from marketnn.data.omnichannel import draw_customers
from marketnn.preprocess import PearsonImportanceSelector
from marketnn.report.page import FigureBlock
from marketnn.report.plan_figures import correlation_figure, importance_figure

NAME = "paper_b/features"
SETTINGS = Path(__file__).with_suffix(".yaml")
TARGET, ID = "orders_again", "customer_id"


def run(workspace: Workspace) -> Findings:
    """Draw customers, correlate their features and weigh them by boosted trees."""
    claims, settings = workspace.claims, workspace.settings(SETTINGS)
    frame = draw_customers(settings["customers"], seed=settings["seed"]).frame
    x = pd.get_dummies(frame.drop(columns=[TARGET, ID]), drop_first=True, dtype=float)
    x.columns = [column.partition("_")[0] if column.startswith("gender") else column for column in x.columns]
    threshold = float(claims.printed["B"]["Figure 1"]["correlation"])
    selector = PearsonImportanceSelector(threshold=threshold).fit(x, frame[TARGET])
    rows = (
        correlation_row(claims, selector.correlation_, settings["tolerance"]),
        importance_row(claims, x, selector.importance_, settings["least_rank_correlation"]),
    )
    kept = list(claims.printed["B"]["Figure 2"]["kept"])
    about = f"{settings['customers']:,} made-up customers"
    heat_map = FigureBlock.of(correlation_figure(selector.correlation_, threshold), f"Figure 1 in kind: {about}.")
    bars = FigureBlock.of(importance_figure(selector.importance_, kept), f"Figure 2 in kind: {about}; blue is kept.")
    return Findings(rows, (Picture(("Figure 1",), heat_map), Picture(("Figure 2",), bars)))


def correlation_row(claims: Claims, correlation: pd.DataFrame, tolerance: float) -> Row:
    """Figure 1: the printed pair correlates as printed, and no other pair as strongly."""
    printed = claims.printed["B"]["Figure 1"]
    first, second = printed["pair"]
    others = correlation.abs().copy()
    for place in others.index:
        others.loc[place, place] = 0.0
    others.loc[first, second] = others.loc[second, first] = 0.0
    ours = {
        f"r of {first} and {second}": float(correlation.loc[first, second]),
        "no other pair is as strong": float(others.to_numpy().max() < abs(float(correlation.loc[first, second]))),
        "greatest |r| of another pair": float(others.to_numpy().max()),
        "features": len(correlation),
    }
    published = {
        f"r of {first} and {second}": float(printed["correlation"]),
        "no other pair is as strong": 1,
        "features": len(claims.printed["B"]["Figure 2"]["importance"]),
    }
    allowed = {name: tolerance if name.startswith("r of") else 0.0 for name in published}
    return _compare(claims, "Figure 1", ours, published, allowed)


def importance_row(claims: Claims, x: pd.DataFrame, importance: pd.Series, least: float) -> Row:
    """Figure 2: the printed importances sum to 1 and keep six features by the rule; on made-up customers the order is alike."""
    printed = claims.printed["B"]["Figure 2"]
    told = pd.Series({name: float(value) for name, value in printed["importance"].items()})
    pair = set(claims.printed["B"]["Figure 1"]["pair"])
    weaker = min(pair, key=lambda name: told[name])
    kept = [name for name in told.index if told[name] > 0 and name != weaker]
    rank = float(spearmanr(told, importance.reindex(told.index)).statistic)
    ours = {
        "sum": float(told.sum()),
        **{f"{name} is kept": float(name in kept) for name in printed["kept"]},
        "kept": len(kept),
        "ranked alike on made-up customers": float(rank >= least),
        "rank correlation": rank,
        "features on made-up customers": len(x.columns),
    }
    published = {
        "sum": 1.0,
        **{f"{name} is kept": 1 for name in printed["kept"]},
        "kept": len(printed["kept"]),
        "ranked alike on made-up customers": 1,
    }
    return _compare(claims, "Figure 2", ours, published, {name: 1e-9 for name in published})


def _compare(
    claims: Claims, item: str, ours: dict[str, float], published: dict[str, float], tolerance: dict[str, float]
) -> Row:
    return compare(
        "B",
        item,
        NAME,
        ours=ours,
        published=published,
        tolerance=tolerance,
        reason=claims.finding("B", item),
        in_kind=True,
    )
