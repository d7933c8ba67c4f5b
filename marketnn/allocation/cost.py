"""What marketing costs, item by item (paper A, section 3.1, eq. 3.1-3.4).

    H = (1 + alpha) h + b           human                       eq. 3.1
    M = beta m1 + m2                physical                    eq. 3.2
    F = A + G + d + e               financial                   its equation is missing in print
    J = theta Q + j2                after-sales and dealers     eq. 3.3
    C = H + M + F + J + S           all                         eq. 3.4

The paper defines neither J, Q nor S. Read here: theta Q is the after-sales cost that grows with sales, j2 the fixed cost of
dealers and service stations, S the sales promotion: then every item of the text has a symbol and no symbol is left over.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Self

import pandas as pd

from marketnn.data.cost_sheet import read_cost_sheet
from marketnn.errors import InputError

RANGES = {
    "training_ratio": (0.1, 0.2, "alpha", "3.1"),
    "depreciation_rate": (0.1, 0.2, "beta", "3.2"),
    "after_sales_rate": (0.005, 0.01, "theta", "3.3"),
}
SWING = 0.1  # by which the tornado moves an amount


@dataclass(frozen=True, kw_only=True)
class MarketingCost:
    """Every item of the cost, in one currency.

    Attributes:
        salaries: h, of the marketing staff.
        travel: b.
        training_ratio: alpha, training over salaries, .1 to .2.
        hardware: m1.
        depreciation_rate: beta, of the hardware, .1 to .2.
        office_space: m2.
        advertising: A.
        market_development: G.
        office_supplies: d.
        hospitality: e.
        sales: Q.
        after_sales_rate: theta, after-sales cost over sales, .005 to .01.
        dealer_network: j2.
        sales_promotion: S.
        sales_base: what Q is: ``revenue``, or the ``volume`` sold.
        currency: its name.

    Raises:
        InputError: an amount that is negative or no number, or a rate outside its range.
    """

    salaries: float
    travel: float
    training_ratio: float
    hardware: float
    depreciation_rate: float
    office_space: float
    advertising: float
    market_development: float
    office_supplies: float
    hospitality: float
    sales: float
    after_sales_rate: float
    dealer_network: float
    sales_promotion: float
    sales_base: Literal["revenue", "volume"] = "revenue"
    currency: str = ""

    def __post_init__(self) -> None:
        for name in _AMOUNTS:
            amount = getattr(self, name)
            if not _is_number(amount) or not amount >= 0:
                raise InputError(f"{name}={amount} is no cost; pass a number from 0 on.")
        for name, (low, high, symbol, equation) in RANGES.items():
            rate = getattr(self, name)
            if not _is_number(rate) or not low <= rate <= high:
                raise InputError(
                    f"{name}={rate} is outside [{low:g}, {high:g}], the range of {symbol} (paper A, eq. {equation}); pass a rate "
                    "in it."
                )
        if self.sales_base not in ("revenue", "volume"):
            raise InputError(f"sales_base={self.sales_base} is not possible; choose revenue or volume.")

    @classmethod
    def read(cls, path: str) -> Self:
        """Read a cost sheet (``marketnn.data.cost_sheet``).

        Raises:
            InputError: as ``read_cost_sheet``, or a rate outside its range; the message names the file.
        """
        items: dict[str, Any] = read_cost_sheet(path)
        try:
            return cls(**items)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error

    @property
    def human(self) -> float:
        """H, eq. 3.1."""
        return (1 + self.training_ratio) * self.salaries + self.travel

    @property
    def physical(self) -> float:
        """M, eq. 3.2."""
        return self.depreciation_rate * self.hardware + self.office_space

    @property
    def financial(self) -> float:
        """F."""
        return self.advertising + self.market_development + self.office_supplies + self.hospitality

    @property
    def channel(self) -> float:
        """J, eq. 3.3: after-sales and dealers."""
        return self.after_sales_rate * self.sales + self.dealer_network

    @property
    def total(self) -> float:
        """C, eq. 3.4."""
        return self.human + self.physical + self.financial + self.channel + self.sales_promotion

    @property
    def interval(self) -> tuple[float, float]:
        """C at the lowest and at the highest rates: .1 h + .1 m1 + .005 Q apart."""
        low, high = (self._at({name: ends[side] for name, ends in RANGES.items()}).total for side in (0, 1))
        return low, high

    def _at(self, changes: dict[str, Any]) -> Self:
        return replace(self, **changes)

    @property
    def ratio(self) -> float:
        """C over revenue.

        Raises:
            InputError: Q is a volume, or 0.
        """
        if self.sales_base != "revenue" or self.sales == 0:
            raise InputError(
                f"sales={self.sales:g} are no revenue (sales_base={self.sales_base}): there is no cost ratio."
            )
        return self.total / self.sales

    @property
    def gradient(self) -> dict[str, float]:
        """By how much C rises with a unit of each item and rate."""
        slope = dict.fromkeys(_AMOUNTS, 1.0)
        slope |= {
            "salaries": 1 + self.training_ratio,
            "hardware": self.depreciation_rate,
            "sales": self.after_sales_rate,
            "training_ratio": self.salaries,
            "depreciation_rate": self.hardware,
            "after_sales_rate": self.sales,
        }
        return slope

    def items(self) -> pd.DataFrame:
        """List what is paid: ``part, item, symbol, equation, amount, share``; the amounts sum to C."""
        rows = [
            ("human", "salaries", "h", "3.1", self.salaries),
            ("human", "training", "alpha h", "3.1", self.training_ratio * self.salaries),
            ("human", "travel", "b", "3.1", self.travel),
            ("physical", "depreciation of hardware", "beta m1", "3.2", self.depreciation_rate * self.hardware),
            ("physical", "office space", "m2", "3.2", self.office_space),
            ("financial", "advertising", "A", "3.3, text", self.advertising),
            ("financial", "market development", "G", "3.3, text", self.market_development),
            ("financial", "office supplies", "d", "3.3, text", self.office_supplies),
            ("financial", "hospitality", "e", "3.3, text", self.hospitality),
            ("channel", "after-sales", "theta Q", "3.3", self.after_sales_rate * self.sales),
            ("channel", "dealer network", "j2", "3.3", self.dealer_network),
            ("promotion", "sales promotion", "S", "3.4", self.sales_promotion),
        ]
        table = pd.DataFrame(rows, columns=["part", "item", "symbol", "equation", "amount"])
        return table.assign(share=table["amount"] / self.total if self.total > 0 else 0.0)

    def tornado(self) -> pd.DataFrame:
        """Move one item at a time, rates over their ranges and amounts by a tenth either way.

        Returns:
            Indexed by ``item``, the widest swing first: ``from``, ``to`` (the item's ends), ``low``, ``high`` (C at them),
            ``swing``.
        """
        rows = {}
        for name, slope in self.gradient.items():
            value = getattr(self, name)
            low, high = RANGES[name][:2] if name in RANGES else ((1 - SWING) * value, (1 + SWING) * value)
            rows[name] = (low, high, self.total + slope * (low - value), self.total + slope * (high - value))
        table = pd.DataFrame.from_dict(rows, orient="index", columns=["from", "to", "low", "high"])
        table = table.assign(swing=table["high"] - table["low"]).rename_axis("item")
        return table.sort_values("swing", ascending=False, kind="stable")


_AMOUNTS = tuple(field.name for field in fields(MarketingCost) if field.name not in (*RANGES, "sales_base", "currency"))


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
