"""Equations 3.1-3.4 of paper A, what marketing costs: the library's values against the repaired formulas written out.

The amounts are those of the example cost sheet that comes along; the paper prints none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from experiments.claims import Claims
from experiments.experiment import Findings, Picture, Workspace
from experiments.ledger import Row, compare
from marketnn.allocation import MarketingCost
from marketnn.data.cost_sheet import EXAMPLE
from marketnn.errors import InputError
from marketnn.report.cost_figures import tornado_figure
from marketnn.report.page import FigureBlock

NAME = "paper_a/equations_3"
TOLERANCE = 1e-9
Numbers = dict[str, float]
Constants = Mapping[str, float]


def run(workspace: Workspace) -> Findings:
    """Evaluate every equation both ways, and draw what moves the cost."""
    cost = MarketingCost.read(EXAMPLE)
    rows = tuple(_row(workspace.claims, cost, item) for item in EQUATIONS)
    low, high = cost.interval
    figure = tornado_figure(cost.tornado(), cost.total, xlabel=f"C ({cost.currency})")
    caption = (
        f"Equation 3.4 on the example sheet: C = {cost.total:,.0f}, {low:,.0f} to {high:,.0f} over the rates' ranges."
    )
    return Findings(rows, (Picture(("Equation 3.4",), FigureBlock.of(figure, caption)),))


def human(cost: MarketingCost, printed: Constants, repaired: Constants) -> tuple[Numbers, Numbers]:
    """Eq. 3.1: H = h + b + x, x = alpha h."""
    by_hand = repaired["salaries"] * cost.salaries + repaired["travel"] * cost.travel
    by_hand += repaired["training"] * cost.training_ratio * cost.salaries
    ours = {"H": cost.human, **_range(cost, "training_ratio", "alpha")}
    return ours, {"H": by_hand, "lowest alpha": repaired["lowest"], "highest alpha": repaired["highest"]}


def physical(cost: MarketingCost, printed: Constants, repaired: Constants) -> tuple[Numbers, Numbers]:
    """Eq. 3.2: M = beta m1 + m2."""
    by_hand = repaired["depreciation"] * cost.depreciation_rate * cost.hardware
    by_hand += repaired["office_space"] * cost.office_space
    ends = _range(cost, "depreciation_rate", "beta")
    ours = {
        "M": cost.physical,
        **ends,
        "the range leaves its ends out": float(not _accepts(cost, "depreciation_rate", ends["lowest beta"])),
    }
    published = {"M": by_hand, "lowest beta": repaired["lowest"], "highest beta": repaired["highest"]}
    return ours, {**published, "the range leaves its ends out": repaired["strict"]}


def channel(cost: MarketingCost, printed: Constants, repaired: Constants) -> tuple[Numbers, Numbers]:
    """Eq. 3.3: J = j1 + j2, j1 = theta Q; and the F that the text announces and no equation has."""
    j = repaired["after_sales"] * cost.after_sales_rate * cost.sales + repaired["dealers"] * cost.dealer_network
    terms = (cost.advertising, cost.market_development, cost.office_supplies, cost.hospitality)
    ours = {"J": cost.channel, "F": cost.financial, **_range(cost, "after_sales_rate", "theta")}
    published = {"J": j, "F": sum(terms[: int(repaired["financial_terms"])]), "lowest theta": repaired["lowest"]}
    return ours, {**published, "highest theta": repaired["highest"]}


def total(cost: MarketingCost, printed: Constants, repaired: Constants) -> tuple[Numbers, Numbers]:
    """Eq. 3.4: C = H + M + F + J + S, and how wide its interval is over the rates' ranges."""
    parts = {
        "human": 1.15 * cost.salaries + cost.travel,
        "physical": 0.15 * cost.hardware + cost.office_space,
        "financial": cost.advertising + cost.market_development + cost.office_supplies + cost.hospitality,
        "channel": 0.0075 * cost.sales + cost.dealer_network,
        "promotion": cost.sales_promotion,
    }
    low, high = cost.interval
    width = 0.1 * cost.salaries + 0.1 * cost.hardware + 0.005 * cost.sales
    published = {"C": sum(repaired[part] * amount for part, amount in parts.items()), "width of C's interval": width}
    return {"C": cost.total, "width of C's interval": high - low}, published


EQUATIONS: Mapping[str, Callable[[MarketingCost, Constants, Constants], tuple[Numbers, Numbers]]] = {
    "Equation 3.1": human,
    "Equation 3.2": physical,
    "Equation 3.3": channel,
    "Equation 3.4": total,
}


def _row(claims: Claims, cost: MarketingCost, item: str) -> Row:
    printed, repairs = claims.constants("A", item), claims.repairs("A", item)
    ours, published = EQUATIONS[item](cost, printed, claims.repaired("A", item))
    for name, (expected, _) in repairs.items():
        # A repair stands only on the print that it was made for.
        ours[f"{name} as printed"], published[f"{name} as printed"] = expected, printed[name]
    reason = claims.finding("A", item)
    return compare("A", item, NAME, ours=ours, published=published, tolerance=TOLERANCE, reason=reason)


def _range(cost: MarketingCost, rate: str, symbol: str) -> Numbers:
    """Find the lowest and the highest rate that the library takes, to twelve digits, by halving."""
    return {f"{word} {symbol}": _end(cost, rate, outside) for word, outside in (("lowest", 0.0), ("highest", 1.0))}


def _end(cost: MarketingCost, rate: str, outside: float) -> float:
    inside = getattr(cost, rate)
    while abs(inside - outside) > 1e-13:
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if _accepts(cost, rate, middle) else (inside, middle)
    return round(inside, 12)


def _accepts(cost: MarketingCost, rate: str, value: float) -> bool:
    changes: dict[str, float] = {rate: value}
    try:
        replace(cost, **changes)  # type: ignore[arg-type]
    except InputError:
        return False
    return True
