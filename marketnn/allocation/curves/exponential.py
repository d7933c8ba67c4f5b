"""The saturating exponential curve: ``scale * (1 - exp(-rate * x))``."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from marketnn.allocation.curves.curve import ResponseCurve
from marketnn.allocation.numbers import Numbers


@dataclass(frozen=True)
class Config:
    """A saturating exponential curve, or one per channel.

    Attributes:
        scale: the response that no spend exceeds.
        rate: per unit of spend.
    """

    scale: float | tuple[float, ...] = 1.0
    rate: float | tuple[float, ...] = 1.0


class ExponentialCurve(ResponseCurve):
    """``scale * (1 - exp(-rate * x))``: concave, saturating at ``scale``.

    Args:
        scale: >= 0, in units of the response; () or (K,) like the other.
        rate: > 0, per unit of spend.

    Raises:
        InputError: a parameter out of range, or shapes that disagree.
    """

    parameter_names = ("scale", "rate")
    start_shapes = ((0.3,), (1.0,), (3.0,), (10.0,))
    rate: Tensor

    def __init__(self, scale: Numbers, rate: Numbers) -> None:
        super().__init__(scale=scale, rate=rate)

    @staticmethod
    def value(x: Tensor, *parameters: Tensor) -> Tensor:
        """The response to x."""
        scale, rate = parameters
        return -scale * torch.expm1(-rate * x)

    @staticmethod
    def in_units(spend: float, response: float, *parameters: Tensor) -> tuple[Tensor, ...]:
        """The parameters when spends and responses are counted in other units."""
        scale, rate = parameters
        return scale * response, rate / spend

    def derivative(self, x: Tensor) -> Tensor:
        """``scale * rate * exp(-rate * x)``."""
        return self.scale * self.rate * torch.exp(-self.rate * x)

    def inverse_derivative(self, price: Tensor) -> Tensor:
        """``log(scale * rate / price) / rate``, at least 0."""
        return (torch.log(self.scale * self.rate / price) / self.rate).clamp(min=0)

    @property
    def inflection(self) -> Tensor:
        """0: concave everywhere."""
        return torch.zeros_like(self.scale)


def build(config: Config) -> ExponentialCurve:
    """Return the curve that a configuration describes."""
    return ExponentialCurve(config.scale, config.rate)
