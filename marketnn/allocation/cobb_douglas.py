"""Cobb-Douglas demand: ``Q = constant * advertising^b * promotion^c * price^-a``, each exponent an elasticity.

The demand behind paper A's profit maximisation (section 3.1) and the case of paper B's Table 3. Its logarithm is linear,
which gives one fit; the other minimises the squared errors of Q itself. With b + c < 1 and a > 1 the profit
``(price - unit_cost) Q - advertising - promotion`` has its maximum at

    price* = unit_cost a / (a - 1),   advertising* = b (price* - unit_cost) Q*,   promotion* = c (price* - unit_cost) Q*

so that ``advertising* / (price* Q*) = b / a`` (Dorfman and Steiner, Optimal advertising and optimal quality, 1954).

Shapes: n observations, P parameters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from marketnn.allocation.numbers import Numbers, column, positive
from marketnn.errors import InputError, rows_text
from marketnn.optim.least_squares import covariance_of, least_squares


@dataclass(frozen=True)
class ProfitOptimum:
    """The most profitable plan: price and unit cost in money per piece, advertising, promotion and profit in money."""

    price: float
    advertising: float
    promotion: float
    quantity: float
    profit: float


class CobbDouglasDemand(nn.Module):
    """``Q = constant * advertising^b * promotion^c * price^-a``.

    Args:
        constant: Q where every input is 1, > 0; () or (K,) like the others.
        advertising: b, its elasticity, > 0.
        promotion: c, its elasticity, > 0.
        price: a > 0, by how many per cent Q falls when the price rises by one; ``None`` leaves the price out.

    Raises:
        InputError: a parameter that is not positive.
    """

    constant: Tensor
    advertising: Tensor
    promotion: Tensor
    price: Tensor | None

    def __init__(
        self, constant: Numbers, advertising: Numbers, promotion: Numbers, price: Numbers | None = None
    ) -> None:
        super().__init__()
        given = {"constant": constant, "advertising": advertising, "promotion": promotion, "price": price}
        for name, number in given.items():
            self.register_buffer(name, None if number is None else positive(name, number))

    def forward(self, advertising: Tensor, promotion: Tensor, price: Tensor | None = None) -> Tensor:
        """The demanded quantity; inputs > 0 broadcast against the parameters.

        Raises:
            InputError: a price where the demand has no price elasticity, or none where it has.
        """
        quantity = self.constant * advertising**self.advertising * promotion**self.promotion
        if price is not None and self.price is not None:
            return quantity * price**-self.price
        if price is not None or self.price is not None:
            raise InputError("the demand depends on the price and needs one, or does not and takes none.")
        return quantity

    def profit_optimum(self, unit_cost: float, *, price: float | None = None) -> ProfitOptimum:
        """The spends, and the price unless it is given, with the greatest profit, in closed form.

        Args:
            unit_cost: of a piece, > 0.
            price: a price to keep, > unit_cost; ``None`` finds the best one.

        Raises:
            InputError: the demand is not for one product; b + c >= 1, or no price is given and a <= 1: profit would grow
                without bound; a price that does not exceed the unit cost.
        """
        n_products = max(buffer.numel() for buffer in self.buffers())
        if n_products > 1:
            raise InputError(f"the demand is for {n_products} products; ask for one at a time.")
        log_constant = math.log(self.constant)
        b, c = float(self.advertising), float(self.promotion)
        a = None if self.price is None else float(self.price)
        if b + c >= 1:
            raise InputError(
                f"advertising + promotion = {b + c:g} >= 1: spending more always pays; set a budget instead."
            )
        if not 0 < unit_cost < math.inf:
            raise InputError(f"unit_cost={unit_cost:g} is not possible; pass a finite cost per piece, > 0.")
        if price is None:
            if a is None or a <= 1:
                raise InputError(f"price elasticity {a} does not exceed 1: no price is the best; pass price=...")
            price = unit_cost * a / (a - 1)
        if not unit_cost < price < math.inf:
            raise InputError(f"price={price:g} does not exceed unit_cost={unit_cost:g}: every piece loses money.")
        margin = price - unit_cost
        level = log_constant - (a * math.log(price) if a is not None else 0.0)
        quantity = math.exp((level + b * math.log(b * margin) + c * math.log(c * margin)) / (1 - b - c))
        advertising, promotion = b * margin * quantity, c * margin * quantity
        profit = margin * quantity - advertising - promotion
        return ProfitOptimum(price, advertising, promotion, quantity, profit)

    def extra_repr(self) -> str:
        """The parameters, for ``print``."""
        return ", ".join(f"{name}={buffer.tolist()}" for name, buffer in self.named_buffers())


@dataclass(frozen=True)
class CobbDouglasFit:
    """A fitted demand.

    Attributes:
        demand: the demand.
        table: one row per parameter (``constant``, ``advertising``, ``promotion``, ``price``): ``estimate``, ``std_err``,
            with the elasticities' signs as in ``CobbDouglasDemand``.
        r_squared: of what was fitted: log Q, or Q.
        residual_sd: likewise, ``sqrt(SSE / (n - P))``.
        fitted: (n,) fitted quantities; of ``log`` the fitted medians.
        message: of ``level`` how the search ended; otherwise empty.
    """

    demand: CobbDouglasDemand
    table: pd.DataFrame
    r_squared: float
    residual_sd: float
    fitted: np.ndarray
    message: str


def fit_cobb_douglas(
    quantity: Numbers,
    advertising: Numbers,
    promotion: Numbers,
    price: Numbers | None = None,
    *,
    method: Literal["log", "level"] = "log",
) -> CobbDouglasFit:
    """Fit a demand to observations.

    Args:
        quantity: (n,) > 0.
        advertising: (n,) > 0.
        promotion: (n,) > 0.
        price: (n,) > 0, ``None`` leaves it out.
        method: ``log``, linear least squares of log Q, for errors that are a percentage of Q; ``level``, least squares of Q
            from there, for errors of one size. The constant's standard error is by the delta method.

    Raises:
        InputError: columns of unlike length, numbers that are not positive, too few rows, inputs that move together so that
            their elasticities cannot be told apart, or an elasticity of the wrong sign.
    """
    if method not in ("log", "level"):
        raise InputError(f"method='{method}' is not possible; choose log or level.")
    inputs = {"advertising": advertising, "promotion": promotion} | ({} if price is None else {"price": price})
    quantity_n = _positive_column("quantity", quantity)
    columns = [_positive_column(name, values) for name, values in inputs.items()]
    for name, values in zip(inputs, columns, strict=True):
        if len(values) != len(quantity_n):
            raise InputError(f"{name} has {len(values)} rows and quantity {len(quantity_n)}; pass one per observation.")
    names = ["constant", *inputs]
    if len(quantity_n) <= len(names):
        raise InputError(f"{len(quantity_n)} rows cannot fit {len(names)} parameters; pass at least {len(names) + 1}.")

    # Falling demand has a positive price elasticity, and so the price's logarithm a negative sign.
    logs = [-values.log() if name == "price" else values.log() for name, values in zip(inputs, columns, strict=True)]
    design_np, target_n = torch.stack([torch.ones_like(quantity_n), *logs], dim=1), quantity_n.log()
    w = torch.linalg.lstsq(design_np, target_n.unsqueeze(1), driver="gelsd").solution[:, 0]
    residual_n = target_n - design_np @ w
    covariance, rank = covariance_of(design_np.unsqueeze(0), (residual_n @ residual_n / 2).unsqueeze(0))
    covariance, message = covariance[0], ""
    if int(rank) < len(names):
        raise InputError(f"{', '.join(inputs)} move together or not at all: their elasticities cannot be told apart.")
    if method == "level":
        height = quantity_n.max()
        found = least_squares(lambda w: (quantity_n - torch.exp(design_np @ w)) / height, w)
        w, message, target_n = found.x, str(found.message), quantity_n
        covariance, residual_n = found.covariance, found.residual * height
    return _fit(names, w, covariance, target_n, residual_n, torch.exp(design_np @ w), message)


def _fit(
    names: list[str],
    w: Tensor,
    covariance: Tensor,
    target_n: Tensor,
    residual_n: Tensor,
    fitted_n: Tensor,
    message: str,
) -> CobbDouglasFit:
    estimate, std_err = w.clone(), covariance.diagonal().sqrt()
    estimate[0] = w[0].exp()
    std_err[0] *= estimate[0]
    for name, number, error in zip(names, estimate.tolist(), std_err.tolist(), strict=True):
        if number <= 0:
            raise InputError(
                f"the elasticity of {name} is {number:.3g} (standard error {error:.2g}): of the wrong sign. "
                "Leave it out where it can be, or check whether what it hides behind is missing."
            )
    sse = residual_n @ residual_n
    return CobbDouglasFit(
        demand=CobbDouglasDemand(*estimate.unbind()),
        table=pd.DataFrame({"estimate": estimate.numpy(), "std_err": std_err.numpy()}, index=names),
        r_squared=float(1 - sse / (target_n - target_n.mean()).square().sum()),
        residual_sd=float((sse / (len(target_n) - len(names))).sqrt()),
        fitted=fitted_n.numpy(),
        message=message,
    )


def _positive_column(name: str, given: Numbers) -> Tensor:
    numbers = column(name, given)
    wrong = ~(numbers > 0).numpy()
    if wrong.any():
        raise InputError(
            f"{name} is {numbers[wrong][0]:g} in {rows_text(wrong)}: it has no logarithm; drop those rows."
        )
    return numbers
