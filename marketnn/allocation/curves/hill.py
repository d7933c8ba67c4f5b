"""The Hill curve, S-shaped above slope 1: ``scale * x^slope / (x^slope + half_saturation^slope)``."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from marketnn.allocation.curves.curve import ResponseCurve
from marketnn.allocation.numbers import Numbers

_NEWTON_STEPS = 60  # at a double root, where the price is the steepest slope, each step halves the distance
_TINY = torch.finfo(torch.float64).tiny
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Config:
    """A Hill curve, or one per channel.

    Attributes:
        scale: the response that no spend exceeds.
        half_saturation: the spend that brings half of it.
        slope: above 1 the curve is S-shaped, up to 1 concave.
    """

    scale: float | tuple[float, ...] = 1.0
    half_saturation: float | tuple[float, ...] = 1.0
    slope: float | tuple[float, ...] = 1.0


class HillCurve(ResponseCurve):
    """``scale * x^slope / (x^slope + half_saturation^slope)``; concave where slope <= 1, S-shaped above.

    Args:
        scale: the saturation, >= 0, in units of the response; () or (K,) like the others.
        half_saturation: the spend that brings half of it, > 0.
        slope: > 0.

    Raises:
        InputError: a parameter out of range, or shapes that disagree.
    """

    parameter_names = ("scale", "half_saturation", "slope")
    start_shapes = tuple(itertools.product((0.1, 0.4, 1.5), (0.7, 1.5, 4.0)))
    half_saturation: Tensor
    slope: Tensor

    def __init__(self, scale: Numbers, half_saturation: Numbers, slope: Numbers) -> None:
        super().__init__(scale=scale, half_saturation=half_saturation, slope=slope)

    @staticmethod
    def value(x: Tensor, *parameters: Tensor) -> Tensor:
        """The response to x."""
        scale, half_saturation, slope = parameters
        low, high = _ratios(x, half_saturation)
        power, inverse_power = low**slope, high**slope
        return scale * torch.where(x > half_saturation, 1 / (1 + inverse_power), power / (1 + power))

    @staticmethod
    def in_units(spend: float, response: float, *parameters: Tensor) -> tuple[Tensor, ...]:
        """The parameters when spends and responses are counted in other units."""
        scale, half_saturation, slope = parameters
        return scale * response, half_saturation * spend, slope

    def derivative(self, x: Tensor) -> Tensor:
        """What one more unit brings: infinite at 0 where slope < 1."""
        low, high = _ratios(x, self.half_saturation)
        below = low ** (self.slope - 1) / (1 + low**self.slope).square()
        above = high ** (self.slope + 1) / (1 + high**self.slope).square()
        steepness = torch.where(x > self.half_saturation, above, below)
        # scale 0 is flat everywhere, also where the curve starts vertically.
        return torch.where(self.scale > 0, self.scale * self.slope / self.half_saturation * steepness, 0.0)

    def inverse_derivative(self, price: Tensor) -> Tensor:
        """The largest spend whose last unit brings ``price`` > 0; it lies beyond the inflection.

        With z = slope * log(x / half_saturation) the slope's logarithm is, up to a constant,
        ``g(z) = log sigmoid(z) + log sigmoid(-z) - z / slope``, which is concave, so that Newton's steps from the right
        of the root never pass it.
        """
        slope = self.slope
        target = torch.log(price * self.half_saturation / (self.scale * slope))
        z = torch.where(target >= 0, -slope * target, -target * slope / (1 + slope))  # g(z) <= -z/slope - max(z, 0)
        top = -torch.log(((slope + 1) / (slope - 1).clamp(min=0)).clamp(min=1.0))  # z of the inflection
        for _ in range(_NEWTON_STEPS):
            value = logsigmoid(z) + logsigmoid(-z) - z / slope
            descent = 1 / slope - 1 + 2 * torch.sigmoid(z)
            z = torch.maximum(z - (target - value).clamp(min=0) / descent.clamp(min=_TINY), top)
        x = self.half_saturation * torch.exp(z / slope)
        reached = logsigmoid(z) + logsigmoid(-z) - z / slope >= target - _ROUNDING
        return torch.where((self.scale > 0) & reached, x, 0.0)

    @property
    def inflection(self) -> Tensor:
        """``half_saturation * ((slope - 1) / (slope + 1))^(1 / slope)`` where slope > 1, else 0."""
        return self.half_saturation * ((self.slope - 1).clamp(min=0) / (self.slope + 1)) ** (1 / self.slope)


def _ratios(x: Tensor, half_saturation: Tensor) -> tuple[Tensor, Tensor]:
    """x / half_saturation and its inverse, each at most 1, so that no power of them overflows."""
    ratio = x / half_saturation
    return ratio.clamp(max=1), 1 / ratio.clamp(min=1)


def build(config: Config) -> HillCurve:
    """Return the curve that a configuration describes."""
    return HillCurve(config.scale, config.half_saturation, config.slope)
