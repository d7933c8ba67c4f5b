"""Bounds of the parameters of a fit: a box, with projection onto it and the parameters that it holds.

Shapes: S points, P parameters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from marketnn.errors import InputError


@dataclass(frozen=True)
class Box:
    """Bounds of the parameters, each (P,); infinite where there is none."""

    lower: Tensor
    upper: Tensor

    @cached_property
    def bounded(self) -> bool:
        """Whether there is any bound; the host waits once."""
        return bool((self.lower.isfinite() | self.upper.isfinite()).any())

    def project(self, x_sp: Tensor) -> Tensor:
        """Return the nearest point within the bounds."""
        return torch.minimum(torch.maximum(x_sp, self.lower), self.upper)

    def free(self, x_sp: Tensor, gradient_sp: Tensor) -> Tensor:
        """Return 1 for a parameter that may move against the gradient, 0 for one that its bound holds."""
        held = ((x_sp <= self.lower) & (gradient_sp > 0)) | ((x_sp >= self.upper) & (gradient_sp < 0))
        return (~held).to(x_sp.dtype)


def make_box(x_sp: Tensor, lower: Tensor | float | None, upper: Tensor | float | None) -> Box:
    """Make the bounds of points ``x_sp``, which must lie within them.

    Args:
        x_sp: (S, P).
        lower: a number or (P,); ``None`` is none.
        upper: likewise.

    Raises:
        InputError: bounds of another shape, not numbers, or that cross; a point outside them.
    """
    p = x_sp.shape[-1]
    bounds = []
    for name, given, none in (("lower", lower, -math.inf), ("upper", upper, math.inf)):
        bound = torch.as_tensor(none if given is None else given, dtype=x_sp.dtype, device=x_sp.device)
        if bound.shape not in ((), (p,)):
            raise InputError(f"{name} has shape {tuple(bound.shape)}; pass a number or a tensor ({p},).")
        bounds.append(bound.expand(p))
    box = Box(*bounds)
    require(box.lower <= box.upper, "lower is not at most upper", box.lower)
    require(x_sp >= box.lower, "x0 lies below lower; move it or the bound", x_sp)
    require(x_sp <= box.upper, "x0 lies above upper; move it or the bound", x_sp)
    return box


def require(holds: Tensor, problem: str, values: Tensor) -> None:
    """Refuse values of which some do not hold.

    Raises:
        InputError: the problem, with the position and the value of the first.
    """
    if not bool(holds.all()):
        place = (~holds).nonzero()[0].tolist()
        value = values[tuple(place)].tolist()
        raise InputError(f"{problem}: position {', '.join(map(str, place))} is {value:g}.")
