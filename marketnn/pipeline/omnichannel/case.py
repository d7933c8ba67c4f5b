"""Tables 3 and 4 of paper B as a calibration: the demand that passes through both products and has A2's spends as its optimum.

The table has two products, the demand four unknowns, and the unit cost is a fifth. They follow from A2's printed profit rate
(the unit cost), from its spends being the most profitable ones at its price (both elasticities) and from the two volumes (price
elasticity and constant). Nothing is left over that could confirm it: a calibration, no validation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from marketnn.allocation import CobbDouglasDemand
from marketnn.errors import InputError
from marketnn.pipeline.omnichannel.config import Config

SHARES = np.linspace(0.02, 0.98, 97)


@dataclass(frozen=True)
class Case:
    """The calibration.

    Attributes:
        parameters: ``parameter, value``: the demand's, and the unit cost.
        products: a row per product: what is printed, and what follows from the demand.
        split: A2's spend divided otherwise: ``advertising_share, profit``.
    """

    parameters: pd.DataFrame
    products: pd.DataFrame
    split: pd.DataFrame


def calibrate(config: Config) -> Case:
    """Calibrate the demand to the two products.

    Raises:
        InputError: the numbers belong to no demand with falling returns.
    """
    (a1, a2), (s1, s2) = config.case_advertising, config.case_promotion
    (p1, p2), (q1, q2) = config.case_price, config.case_quantity
    unit_cost = p2 * (1 - config.case_profit_rate) - (a2 + s2) / q2
    margin = (p2 - unit_cost) * q2
    advertising, promotion = a2 / margin, s2 / margin
    spends = advertising * math.log(a2 / a1) + promotion * math.log(s2 / s1)
    elasticity = (spends - math.log(q2 / q1)) / math.log(p2 / p1) if p1 != p2 else math.nan
    if unit_cost <= 0 or advertising + promotion >= 1 or not elasticity > 0:
        raise InputError(
            f"pipeline.case_*: unit cost {unit_cost:.4g}, elasticities {advertising:.4g}, {promotion:.4g} and of the price "
            f"{elasticity:.4g} are no demand; correct the numbers, or pass pipeline.case=false."
        )
    constant = q2 / (a2**advertising * s2**promotion * p2**-elasticity)
    demand = CobbDouglasDemand(constant, advertising, promotion, elasticity)
    best = demand.profit_optimum(unit_cost, price=p2)
    products = pd.DataFrame(
        {
            "product": ["A1", "A2"],
            "advertising": [a1, a2],
            "promotion": [s1, s2],
            "price": [p1, p2],
            "quantity": [q1, q2],
        }
    )
    given = [torch.tensor(products[name].to_numpy()) for name in ("advertising", "promotion", "price")]
    products["calibrated_quantity"] = demand(*given).numpy()
    products["revenue"] = products["price"] * products["quantity"]
    products["spend"] = products["advertising"] + products["promotion"]
    products["profit"] = (products["price"] - unit_cost) * products["quantity"] - products["spend"]
    products["profit_rate"] = products["profit"] / products["revenue"]
    spend = torch.tensor((a2 + s2) * SHARES)
    quantity = demand(spend, a2 + s2 - spend, torch.tensor(p2, dtype=torch.float64))
    split = pd.DataFrame({"advertising_share": SHARES, "profit": (p2 - unit_cost) * quantity.numpy() - a2 - s2})
    names = ("unit_cost", "constant", "advertising", "promotion", "price", "best_advertising", "best_promotion")
    values = (unit_cost, constant, advertising, promotion, elasticity, best.advertising, best.promotion)
    return Case(pd.DataFrame({"parameter": names, "value": values}), products, split)
