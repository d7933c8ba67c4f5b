"""A:104, "based on the principle of profit maximization": no formula is printed; ours against first-order conditions."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from experiments.experiment import Findings, Picture, Workspace
from experiments.ledger import compare
from marketnn.allocation import CobbDouglasDemand, maximise_profit
from marketnn.report.figures import predicted_figure
from marketnn.report.page import FigureBlock
from marketnn.seed import numpy_generator

NAME = "paper_a/profit_max"
SETTINGS = Path(__file__).with_suffix(".yaml")
ITEM = "Profit maximisation"


def run(workspace: Workspace) -> Findings:
    """Maximise the profit of drawn demands and compare with the first-order conditions solved by hand."""
    settings = workspace.settings(SETTINGS)
    table = optima(settings["demands"], settings["seed"])
    ours = {
        "greatest relative difference from the closed form": float(
            (table["profit"] / table["by_hand"] - 1).abs().max()
        ),
        "greatest difference of A / (price Q) from b / a": float((table["ratio"] - table["b_over_a"]).abs().max()),
    }
    claimed = workspace.claims.printed["A"][ITEM]
    row = compare(
        "A",
        ITEM,
        NAME,
        ours=ours,
        published=dict.fromkeys(ours, claimed["difference"]),
        tolerance=settings["tolerance"],
        reason=workspace.claims.finding("A", ITEM),
        in_kind=True,
    )
    figure = predicted_figure(table["b_over_a"].to_numpy(), table["ratio"].to_numpy(), "advertising over revenue")
    block = FigureBlock.of(figure, "Dorfman and Steiner's rule, b / a, and the plans' own ratios.")
    return Findings((row,), (Picture((ITEM,), block),))


def optima(n: int, seed: int) -> pd.DataFrame:
    """Draw demands and maximise their profits, by the library and by solving the first-order conditions."""
    rng = numpy_generator(seed)
    rows = []
    for _ in range(n):
        b, c = rng.uniform(0.05, 0.45, 2)
        constant, a, unit_cost = rng.uniform(1, 100), rng.uniform(1.1, 5), rng.uniform(0.5, 20)
        plan = maximise_profit(CobbDouglasDemand(constant, b, c, a), unit_cost)
        rows.append((plan.profit, profit_by_hand(constant, a, b, c, unit_cost), plan.dorfman_steiner, b / a))
    return pd.DataFrame(rows, columns=["profit", "by_hand", "ratio", "b_over_a"])


def profit_by_hand(constant: float, a: float, b: float, c: float, unit_cost: float) -> float:
    """Solve ``price = u a / (a - 1), A = b m Q, S = c m Q, Q^(1-b-c) = kappa price^-a (b m)^b (c m)^c`` for the profit."""
    price = unit_cost * a / (a - 1)
    margin = price - unit_cost
    quantity = (constant * price**-a * (b * margin) ** b * (c * margin) ** c) ** (1 / (1 - b - c))
    return float(margin * quantity * (1 - b - c))
