"""Tables 3 and 4 of paper B, two products before and after: what their numbers imply, and a demand that passes through them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from experiments.claims import Claims, last_place
from experiments.experiment import Findings, Picture, Workspace
from experiments.ledger import Row, compare
from marketnn.pipeline.omnichannel.case import calibrate
from marketnn.pipeline.omnichannel.config import Config
from marketnn.report.page import FigureBlock
from marketnn.report.plan_figures import case_figure

NAME = "paper_b/tables_3_4"
COLUMNS = ("advertising", "promotion", "price", "quantity")


def run(workspace: Workspace) -> Findings:
    """Audit both tables and calibrate the demand."""
    claims = workspace.claims
    found = calibrate(_config(claims))
    a2 = found.products.set_index("product").loc["A2"]
    share = a2["advertising"] / a2["spend"]
    figure = case_figure(found.split, share, float(a2["profit"]), float(a2["spend"]))
    caption = "Table 3's product A2: its spend divided otherwise, by the calibrated demand. The maximum is there by construction."
    return Findings(
        (volumes_row(claims), quarters_row(claims)), (Picture(("Table 3",), FigureBlock.of(figure, caption)),)
    )


def volumes_row(claims: Claims) -> Row:
    """Table 3: the calibrated demand gives both volumes; costs did fall."""
    products, errata = claims.printed["B"]["Table 3"]["products"], claims.errata["B"]["Table 3"]
    found = calibrate(_config(claims))
    parameters = found.parameters.set_index("parameter")["value"]
    calibrated = found.products.set_index("product")["calibrated_quantity"]
    ours = {
        **{f"volume of {name} by the demand": float(calibrated[name]) for name in products},
        **{f"{name} of the demand": float(parameters[name]) for name in errata["calibrated"]},
        "spend fell": float(_spend(products["A2"]) < _spend(products["A1"])),
        "revenue, change": _revenue(products["A2"]) / _revenue(products["A1"]) - 1,
        "spend, change": _spend(products["A2"]) / _spend(products["A1"]) - 1,
    }
    published = {
        **{f"volume of {name} by the demand": float(product["quantity"]) for name, product in products.items()},
        **{f"{name} of the demand": float(value) for name, value in errata["calibrated"].items()},
        "spend fell": claims.printed["B"]["Table 3"]["costs_fell"],
    }
    tolerance = {name: 1e-9 for name in published}
    tolerance |= {f"{name} of the demand": last_place(value) for name, value in errata["calibrated"].items()}
    return _compare(claims, "Table 3", ours, published, tolerance)


def quarters_row(claims: Claims) -> Row:
    """Table 4: the unit costs that the two profit rates need, which would have to be one; and how the market must have grown."""
    products, printed = claims.printed["B"]["Table 3"]["products"], claims.printed["B"]["Table 4"]
    rates, shares = ([float(value) / 100 for value in printed[name]] for name in ("profit", "share"))
    unit_cost = {name: _unit_cost(products[name], rate) for name, rate in (("A1", rates[0]), ("A2", rates[-1]))}
    market = (products["A2"]["quantity"] / shares[-1]) / (products["A1"]["quantity"] / shares[0]) - 1
    growth = claims.errata["B"]["Table 4"]["market_growth"]
    ours = {
        "unit cost by A2's last rate": unit_cost["A2"],
        "growth of the market": market,
        "share, points gained": 100 * (shares[-1] - shares[0]),
        "profit rate, points gained": 100 * (rates[-1] - rates[0]),
    }
    published = {"unit cost by A2's last rate": unit_cost["A1"], "growth of the market": float(growth)}
    tolerance = {"unit cost by A2's last rate": 0.01, "growth of the market": last_place(growth)}
    return _compare(claims, "Table 4", ours, published, tolerance)


def _config(claims: Claims) -> Config:
    """Return the printed case as the omni-channel pipeline takes it."""
    products, rate = claims.printed["B"]["Table 3"]["products"], claims.printed["B"]["Table 4"]["profit"][-1]
    columns = {f"case_{name}": tuple(float(products[product][name]) for product in ("A1", "A2")) for name in COLUMNS}
    return replace(Config(), **columns, case_profit_rate=float(rate) / 100)  # type: ignore[arg-type]


def _spend(product: Mapping[str, float]) -> float:
    return product["advertising"] + product["promotion"]


def _revenue(product: Mapping[str, float]) -> float:
    return product["price"] * product["quantity"]


def _unit_cost(product: Mapping[str, float], rate: float) -> float:
    """Return the cost of a piece at which the profit is that share of the revenue."""
    return product["price"] * (1 - rate) - _spend(product) / product["quantity"]


def _compare(
    claims: Claims,
    item: str,
    ours: Mapping[str, float],
    published: Mapping[str, float],
    tolerance: Mapping[str, float],
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
