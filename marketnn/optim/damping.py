"""How Levenberg-Marquardt's damping follows the success of its steps.

A rule is a function ``(damping, growth, gain_ratio, accepted) -> (damping, growth)`` of tensors () or (R,); ``growth``
is the factor by which the next rejection raises the damping, ``gain_ratio`` the actual over the predicted decrease.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Rule = Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]

LARGEST = 1e10
SMALLEST = 1e-20  # keeps repeated decreases from ending at zero, which no factor raises again


def nielsen(damping: Tensor, growth: Tensor, gain_ratio: Tensor, accepted: Tensor) -> tuple[Tensor, Tensor]:
    """Follow the gain ratio: ``damping max(1/3, 1 - (2 rho - 1)^3)``; rejections grow it by 2, 4, 8, ...

    Source: Nielsen, Damping parameter in Marquardt's method, IMM-REP-1999-05.
    """
    shrink = (1 - (2 * gain_ratio - 1) ** 3).clamp(min=1 / 3)
    next_damping = torch.where(accepted, damping * shrink, damping * growth)
    return next_damping.clamp(min=SMALLEST), torch.where(accepted, 2.0, growth * 2)


def multiplicative(damping: Tensor, growth: Tensor, gain_ratio: Tensor, accepted: Tensor) -> tuple[Tensor, Tensor]:
    """Divide by ten after a success and multiply by ten after a failure, as MathWorks' ``trainlm``."""
    return torch.where(accepted, damping * 0.1, damping * 10).clamp(min=SMALLEST), growth


RULES: dict[str, Rule] = {"nielsen": nielsen, "multiplicative": multiplicative}
