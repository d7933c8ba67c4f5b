"""The power curve: ``scale * x^exponent``, the Cobb-Douglas response to one input."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from marketnn.allocation.curves.curve import ResponseCurve
from marketnn.allocation.numbers import Numbers


@dataclass(frozen=True)
class Config:
    """A power curve, or one per channel.

    Attributes:
        scale: the response to one unit of spend.
        exponent: the elasticity; up to 1 the curve is concave.
    """

    scale: float | tuple[float, ...] = 1.0
    exponent: float | tuple[float, ...] = 0.5


class PowerCurve(ResponseCurve):
    """``scale * x^exponent``: concave where exponent <= 1, convex above.

    Args:
        scale: the response to one unit, >= 0; () or (K,) like the other.
        exponent: the elasticity, > 0.

    Raises:
        InputError: a parameter out of range, or shapes that disagree.
    """

    parameter_names = ("scale", "exponent")
    start_shapes = ((0.3,), (0.6,), (1.2,))
    exponent: Tensor

    def __init__(self, scale: Numbers, exponent: Numbers) -> None:
        super().__init__(scale=scale, exponent=exponent)

    @staticmethod
    def value(x: Tensor, *parameters: Tensor) -> Tensor:
        """The response to x."""
        scale, exponent = parameters
        return scale * x**exponent

    @staticmethod
    def in_units(spend: float, response: float, *parameters: Tensor) -> tuple[Tensor, ...]:
        """The parameters when spends and responses are counted in other units."""
        scale, exponent = parameters
        return scale * response / spend**exponent, exponent

    def derivative(self, x: Tensor) -> Tensor:
        """``scale * exponent * x^(exponent - 1)``: infinite at 0 where exponent < 1."""
        return torch.where(self.scale > 0, self.scale * self.exponent * x ** (self.exponent - 1), 0.0)

    def inverse_derivative(self, price: Tensor) -> Tensor:
        """``(scale * exponent / price)^(1 / (1 - exponent))``; from exponent 1 on all or nothing."""
        ratio = self.scale * self.exponent / price
        bent = ratio ** (1 / (1 - self.exponent))
        rises_on = (self.exponent > 1) & (ratio > 0) | (self.exponent == 1) & (ratio >= 1)
        return torch.where(self.exponent < 1, bent, torch.where(rises_on, math.inf, 0.0))

    @property
    def inflection(self) -> Tensor:
        """0 where exponent <= 1, else infinite."""
        return torch.where(self.exponent > 1, torch.full_like(self.scale, math.inf), 0.0)


def build(config: Config) -> PowerCurve:
    """Return the curve that a configuration describes."""
    return PowerCurve(config.scale, config.exponent)
