"""The most profitable price, advertising and promotion, within a budget and bounds (paper A, section 3.1).

    maximise  ((1 - theta) price - unit_cost) Q - A - S,   Q = kappa price^-a A^b S^c,   subject to  A + S <= budget,  bounds

The best price does not hang on A and S: up to ``unit_cost a / ((1 - theta)(a - 1))`` the profit rises with it, beyond it falls.
At that price the maximum over A and S lies where both slopes are 0, on the budget, or on a bound, and on each of these in closed
form; all of them are compared, so that the answer is exact.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product

from marketnn.allocation.cobb_douglas import CobbDouglasDemand, ProfitOptimum
from marketnn.errors import InputError, unknown_name

VARIABLES = ("price", "advertising", "promotion")
_CLOSE = 1e-9  # relative distance within which a limit is reached

Spend = tuple[float, float]  # advertising and promotion


@dataclass(frozen=True)
class ProfitPlan(ProfitOptimum):
    """The most profitable plan within limits.

    Attributes:
        dorfman_steiner: advertising over revenue net of theta; b / a where nothing binds (Dorfman and Steiner 1954).
        elasticity_ratio: b / a; ``None`` where the demand does not depend on the price.
        shadow_price: what a further unit of budget would add.
        binding: the limits that are reached: ``budget``, or a variable's name.
    """

    dorfman_steiner: float
    elasticity_ratio: float | None
    shadow_price: float
    binding: tuple[str, ...]


def maximise_profit(
    demand: CobbDouglasDemand,
    unit_cost: float,
    *,
    budget: float | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    price: float | None = None,
    after_sales_rate: float = 0.0,
) -> ProfitPlan:
    """Find the most profitable plan.

    Args:
        demand: for one product.
        unit_cost: of a piece, above 0.
        budget: for advertising and promotion together; ``None`` for no limit.
        bounds: ``price``, ``advertising`` or ``promotion`` -> lowest (0 or more) and highest value.
        price: a price to keep.
        after_sales_rate: theta, the share of revenue that after-sales service costs.

    Raises:
        InputError: a number out of range, an unknown variable, lower bounds above the budget, a price that earns nothing, or a
            profit that grows without bound.
    """
    if not 0 <= after_sales_rate < 1:
        raise InputError(f"after_sales_rate={after_sales_rate:g} must be at least 0 and below 1.")
    if not 0 < unit_cost < math.inf:
        raise InputError(f"unit_cost={unit_cost:g} is not possible; pass a finite cost per piece, > 0.")
    if max(buffer.numel() for buffer in demand.buffers()) > 1:
        raise InputError("the demand is for several products; ask for one at a time.")
    limits = _limits(bounds or {}, math.inf if budget is None else budget, price)
    kept = 1 - after_sales_rate
    a = None if demand.price is None else float(demand.price)
    b, c = float(demand.advertising), float(demand.promotion)
    best_price = _best_price(a, unit_cost / kept, limits["price"])
    margin = kept * best_price - unit_cost
    if margin <= 0:
        raise InputError(f"price={best_price:g} earns nothing at unit_cost={unit_cost:g}; allow a higher price.")
    scale = math.exp(math.log(demand.constant) - (0.0 if a is None else a * math.log(best_price)))
    room = _Room(margin * scale, b, c, limits["advertising"], limits["promotion"], limits["budget"][1])
    room.refuse_unbounded()
    spend = max(room.candidates(), key=room.profit)
    quantity = scale * spend[0] ** b * spend[1] ** c
    return ProfitPlan(
        price=best_price,
        advertising=spend[0],
        promotion=spend[1],
        quantity=quantity,
        profit=room.profit(spend),
        dorfman_steiner=spend[0] / (kept * best_price * quantity) if quantity > 0 else 0.0,
        elasticity_ratio=None if a is None else b / a,
        shadow_price=room.shadow_price(spend),
        binding=_binding(limits, (best_price, *spend)),
    )


def _limits(
    bounds: Mapping[str, tuple[float, float]], budget: float, price: float | None
) -> dict[str, tuple[float, float]]:
    """Return lowest and highest value of every variable and of the budget."""
    limits = dict.fromkeys(VARIABLES, (0.0, math.inf))
    for name, (low, high) in bounds.items():
        if name not in VARIABLES:
            raise unknown_name("variable in bounds", name, VARIABLES)
        if not 0 <= low <= high or low == math.inf:
            raise InputError(f"bounds of {name} are {low:g} and {high:g}; give numbers from 0 on, the lower one first.")
        limits[name] = (float(low), float(high))
    if price is not None:
        if not 0 < price < math.inf or not limits["price"][0] <= price <= limits["price"][1]:
            raise InputError(f"price={price:g} must be a number above 0 and within its bounds.")
        limits["price"] = (float(price), float(price))
    least = limits["advertising"][0] + limits["promotion"][0]
    if not least <= budget:
        raise InputError(
            f"budget={budget:g} is {least - budget:g} less than the lower bounds of advertising and promotion."
        )
    return limits | {"budget": (least, float(budget))}


def _best_price(a: float | None, least: float, bounds: tuple[float, float]) -> float:
    """Return the price within bounds at which a piece's margin times the demand is largest.

    Args:
        a: price elasticity.
        least: the price that earns nothing.
        bounds: lowest and highest price.
    """
    best = math.inf if a is None or a <= 1 else least * a / (a - 1)
    price = min(max(best, bounds[0]), bounds[1])
    if math.isinf(price):
        raise InputError(f"price elasticity {a} does not exceed 1: no price is the best; pass price=... or its bounds.")
    return price


@dataclass(frozen=True)
class _Room:
    """``gain A^b S^c - A - S`` within bounds and a budget."""

    gain: float
    b: float
    c: float
    advertising: tuple[float, float]
    promotion: tuple[float, float]
    budget: float

    def profit(self, spend: Spend) -> float:
        return self.gain * spend[0] ** self.b * spend[1] ** self.c - sum(spend)

    def refuse_unbounded(self) -> None:
        growth = sum(
            exponent
            for exponent, (_, high) in ((self.b, self.advertising), (self.c, self.promotion))
            if math.isinf(high)
        )
        if math.isinf(self.budget) and growth >= 1:
            raise InputError(
                f"the elasticities of what is not limited sum to {growth:g} >= 1: spending more always pays; set a budget."
            )

    def candidates(self) -> Iterator[Spend]:
        """Yield the spends among which the best is: where slopes are 0, on the budget, and on bounds."""
        b, c, both = self.b, self.c, self.b + self.c
        if both < 1:
            total = (both * self.gain * (b / both) ** b * (c / both) ** c) ** (1 / (1 - both))
            yield from self._inside((total * b / both, total * c / both))
        if math.isfinite(self.budget):
            yield from self._inside((self.budget * b / both, self.budget * c / both))
        advertising, promotion = (
            [end for end in ends if math.isfinite(end)] for ends in (self.advertising, self.promotion)
        )
        for first in advertising:
            yield from ((first, second) for second in self._against(first, b, c, self.promotion))
        for second in promotion:
            yield from ((first, second) for first in self._against(second, c, b, self.advertising))
        yield from (spend for spend in product(advertising, promotion) if sum(spend) <= self.budget)

    def shadow_price(self, spend: Spend) -> float:
        """Return what a further unit adds, if the budget is spent: the steepest slope of what may still grow."""
        if sum(spend) < self.budget * (1 - _CLOSE) or 0 in spend:
            return 0.0
        product_ = self.gain * spend[0] ** self.b * spend[1] ** self.c
        ways = ((self.b, spend[0], self.advertising[1]), (self.c, spend[1], self.promotion[1]))
        slopes = [exponent * product_ / amount - 1 for exponent, amount, high in ways if amount < high * (1 - _CLOSE)]
        return max(0.0, *slopes) if slopes else 0.0

    def _inside(self, spend: Spend) -> Iterator[Spend]:
        within = all(
            low <= amount <= high for amount, (low, high) in zip(spend, (self.advertising, self.promotion), strict=True)
        )
        if within and sum(spend) <= self.budget * (1 + 1e-12):
            yield spend

    def _against(self, fixed: float, own: float, other: float, bounds: tuple[float, float]) -> Iterator[float]:
        """Yield the other spend's best values while one is ``fixed``: where its slope is 0, and where the budget ends."""
        low, high = bounds[0], min(bounds[1], self.budget - fixed)
        if high < low:
            return
        if math.isfinite(high):
            yield high
        if other < 1:
            yield min(max((other * self.gain * fixed**own) ** (1 / (1 - other)), low), high)


def _binding(limits: Mapping[str, tuple[float, float]], plan: tuple[float, float, float]) -> tuple[str, ...]:
    reached = [
        name
        for name, value in zip(VARIABLES, plan, strict=True)
        if any(math.isclose(value, end, rel_tol=_CLOSE) for end in limits[name] if end > 0)
    ]
    spent = math.isclose(sum(plan[1:]), limits["budget"][1], rel_tol=_CLOSE)
    return (*reached, *(("budget",) if spent else ()))
