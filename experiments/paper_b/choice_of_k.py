"""Section III.B of paper B: six clusters are the best choice of two to eight, and who buys most (figure 3)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from experiments.centre_audit import greatest_share
from experiments.claims import Claims
from experiments.experiment import Findings, Picture, Workspace
from experiments.ledger import Row, compare
from experiments.recording import recorded
from marketnn.cluster import choose_n_clusters
from marketnn.cluster.concentration import Concentration, concentration
from marketnn.preprocess import StandardScaler
from marketnn.report.cluster_figures import criteria_figure
from marketnn.report.page import FigureBlock
from marketnn.report.segment_figures import lorenz_figure, pareto_figure
from marketnn.seed import numpy_generator

NAME = "paper_b/choice_of_k"
SETTINGS = Path(__file__).with_suffix(".yaml")
TENTHS = 10


def run(workspace: Workspace) -> Findings:
    """Choose k on made-up customers, and draw figure 3's counterpart."""
    return study(workspace, workspace.settings(SETTINGS))


def study(workspace: Workspace, settings: Mapping[str, Any]) -> Findings:
    """Run the experiment with given sizes.

    Args:
        workspace: claims and folder.
        settings: the keys of ``choice_of_k.yaml``.
    """
    claims, folder = workspace.claims, workspace.runs / NAME
    printed = claims.printed["B"]["Number of clusters"]
    with recorded(folder, "How many clusters, and who buys most", SETTINGS, n_stages=2) as out:
        with out.stage("number of clusters"):
            tables = {
                float(separation): criteria_table(settings, separation, printed)
                for separation in settings["separations"]
            }
        with out.stage("figure 3"):
            quantity = purchases(settings, claims.printed["B"]["Figure 3"])
            spread = concentration(quantity, name="quantity")
        judged = tables[float(settings["separations"][0])]
        criteria = criteria_figure(judged, judged.attrs["choices"], judged.attrs["chosen"])
        shares = np.linspace(0, 1, TENTHS + 1)
        held = np.interp(shares, spread.row_share, spread.value_share)
        pareto = pareto_figure(np.diff(held) * spread.mean * TENTHS, held[1:], "pieces bought")
        group = {"above the mean": (spread.above_mean.row_share, spread.above_mean.value_share)}
        lorenz = lorenz_figure(spread.row_share, spread.value_share, spread.gini, group, "pieces bought")
        blocks = [
            FigureBlock.of(
                criteria, "Paper B's choice of k on made-up customers in six groups: each criterion, its k red."
            ),
            FigureBlock.of(
                pareto, "Figure 3 of paper B on made-up purchases: tenths of the customers and what they buy."
            ),
            FigureBlock.of(lorenz, "The same purchases: the share that the greatest buyers hold."),
        ]
        out.section("How many clusters", "A row per k and separation of the groups.")
        out.table("criteria", pd.concat(tables, names=["separation"]), "Criteria", index=True)
        out.figure("criteria", criteria, blocks[0].caption)
        out.section("Who buys most")
        out.figure("pareto", pareto, blocks[1].caption)
        out.figure("lorenz", lorenz, blocks[2].caption)
    rows = (choice_row(claims, tables), shares_row(claims, quantity, spread))
    items = ("Number of clusters", "Figure 3", "Figure 3")
    pictures = tuple(Picture((item,), block) for item, block in zip(items, blocks, strict=True))
    return Findings(rows, pictures, (folder,))


def criteria_table(settings: Mapping[str, Any], separation: float, printed: Mapping[str, Any]) -> pd.DataFrame:
    """Compare the paper's numbers of clusters on customers in as many groups as it finds, each high on a feature of its own."""
    seed, k = settings["seed"], printed["chosen"]
    rng = numpy_generator(seed)
    x = rng.normal(size=(settings["n"], k)) + separation * np.eye(k)[rng.integers(k, size=settings["n"])]
    return choose_n_clusters(StandardScaler().fit_transform(x), printed["candidates"], random_state=seed)


def purchases(settings: Mapping[str, Any], printed: Mapping[str, Any]) -> np.ndarray:
    """Draw quantities (n,) with the printed mean, range and shares: few great buyers above the mean, everyone else below.

    The great buyers' mean follows from their share of the volume, the others' from the mean of all.
    """
    rng = numpy_generator(settings["seed"])
    n, n_great, mean = settings["customers"], settings["buyers"], float(printed["threshold"])
    great_mean = float(printed["volume_share"]) * n * mean / n_great
    small_mean = (1 - float(printed["volume_share"])) * n * mean / (n - n_great)
    great = mean + rng.exponential(great_mean - mean, size=n_great)
    middle = (small_mean - printed["least"]) / (mean - printed["least"])
    small = printed["least"] + (mean - printed["least"]) * rng.beta(5, 5 * (1 - middle) / middle, size=n - n_great)
    return np.concatenate([great, small])


def choice_row(claims: Claims, tables: Mapping[float, pd.DataFrame]) -> Row:
    """The criteria find the number of groups where groups are apart; where they overlap, what they find is told."""
    item = "Number of clusters"
    first = next(iter(tables))
    ours: dict[str, float] = {"best number of clusters": int(tables[first].attrs["chosen"])}
    for separation, table in tables.items():
        ours[f"separation {separation:g}: chosen"] = int(table.attrs["chosen"])
        ours |= {f"separation {separation:g}: {name}": int(k) for name, k in table.attrs["choices"].items()}
    return compare(
        "B",
        item,
        NAME,
        ours=ours,
        published={"best number of clusters": claims.printed["B"][item]["chosen"]},
        tolerance=0.0,
        reason=claims.finding("B", item),
        in_kind=True,
    )


def shares_row(claims: Claims, quantity: np.ndarray, spread: Concentration) -> Row:
    """Figure 3: the arithmetic of the printed numbers, and a table of purchases that has the printed shares."""
    item = "Figure 3"
    printed = claims.printed["B"][item]
    errata = claims.errata["B"][item]
    great = quantity > printed["threshold"]
    z = float(claims.printed["B"]["Table 2"]["centres"]["Product purchase quantity"][0])
    n, n_great, volume = printed["customers"], printed["buyers"], float(printed["volume_share"])
    ours = {
        "share that the printed numbers make": n_great / n,
        "stand-in: share of the customers above 400": float(great.mean()),
        "stand-in: their share of the pieces": float(quantity[great].sum() / quantity.sum()),
        "stand-in: mean quantity": float(quantity.mean()),
        "stand-in: gini": spread.gini,
        "mean quantity of the great, 16.7 % of the customers": volume
        * printed["threshold"]
        / float(printed["buyers_share"]),
        "mean quantity of the great, 500 of 30,000": volume * printed["threshold"] * n / n_great,
        "greatest possible share of cluster 1 of Table 2": greatest_share(z),
    }
    published = {
        "share that the printed numbers make": float(errata["buyers_share"][1]),
        "stand-in: share of the customers above 400": float(printed["buyers_share"]),
        "stand-in: their share of the pieces": volume,
        "stand-in: mean quantity": printed["threshold"],
    }
    tolerance = {
        "share that the printed numbers make": 5e-5,
        "stand-in: share of the customers above 400": 5e-4,
        "stand-in: their share of the pieces": 0.02,
        "stand-in: mean quantity": 10.0,
    }
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
