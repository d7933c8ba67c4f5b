"""How Levenberg-Marquardt's damping follows the success of its steps.

A rule is a function ``(damping, growth, gain_ratio, accepted) -> (damping, growth)`` of plain numbers, one network at a time:
the host has them anyway, because it must know whether to try again. ``growth`` is the factor by which the next rejection
raises the damping, ``gain_ratio`` the actual over the predicted decrease.
"""

from __future__ import annotations

from collections.abc import Callable

Rule = Callable[[float, float, float, bool], tuple[float, float]]

LARGEST = 1e10
SMALLEST = 1e-20  # keeps repeated decreases from ending at zero, which no factor raises again
FIRST_GROWTH = 2.0


def nielsen(damping: float, growth: float, gain_ratio: float, accepted: bool) -> tuple[float, float]:
    """Follow the gain ratio: ``damping max(1/3, 1 - (2 rho - 1)^3)``; rejections grow it by 2, 4, 8, ...

    Source: Nielsen, Damping parameter in Marquardt's method, IMM-REP-1999-05.
    """
    if accepted:
        # A cube beyond 1e100 overflows; beyond 1 the maximum is 1/3 anyway, below 0 the ratio stays bounded by it.
        shrink = max(1 / 3, 1 - (2 * min(gain_ratio, 2.0) - 1) ** 3)
        return max(damping * shrink, SMALLEST), FIRST_GROWTH
    return max(damping * growth, SMALLEST), growth * 2


def multiplicative(damping: float, growth: float, gain_ratio: float, accepted: bool) -> tuple[float, float]:
    """Divide by ten after a success and multiply by ten after a failure, as MathWorks' ``trainlm``."""
    return max(damping * (0.1 if accepted else 10), SMALLEST), growth


RULES: dict[str, Rule] = {"nielsen": nielsen, "multiplicative": multiplicative}
