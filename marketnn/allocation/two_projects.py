"""Introducing project B beside project A for a rule f (paper B, eq. 4-7), and the proportional rule f(P_a) = k P_a (eq. 10-12).

A customer is marketed B where P_b >= f(P_a), otherwise A. No rule beats eq. 13's, P_b R_b >= P_a R_a.

Shapes: any leading dimensions (...) of scenarios or factors, then n customers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from marketnn.errors import InputError


@dataclass(frozen=True)
class ProjectIntroduction:
    """What introducing B does under a rule; every attribute has the leading shape (...).

    Attributes:
        benefit: W, customers of A and of B together, both fixed costs paid (eq. 4).
        benefit_without: W0, everybody marketed A (eq. 5).
        gain: S = W - W0 (eq. 6).
        break_even_fixed_cost: of B; S is positive below it (eq. 7).
        n_a: customers of A.
        n_b: customers of B.
        launch: whether S > 0.
    """

    benefit: Tensor
    benefit_without: Tensor
    gain: Tensor
    break_even_fixed_cost: Tensor
    n_a: Tensor
    n_b: Tensor
    launch: Tensor


def introduce_project(
    probability_a: Any,
    probability_b: Any,
    revenue_a: Any,
    revenue_b: Any,
    fixed_cost_a: Any,
    fixed_cost_b: Any,
    threshold: Any,
) -> ProjectIntroduction:
    """Evaluate the rule "market B where P_b >= threshold" (eq. 4-7).

    Args:
        probability_a: (..., n) P_a.
        probability_b: (..., n) P_b.
        revenue_a: (..., n) or a number: R_a.
        revenue_b: (..., n) or a number: R_b.
        fixed_cost_a: (...) or a number.
        fixed_cost_b: (...) or a number.
        threshold: (..., n) f(P_a), for instance ``k[:, None] * probability_a`` for many factors k at once.

    Raises:
        InputError: probabilities outside [0, 1], revenues or thresholds that are no numbers, or shapes that do not broadcast.
    """
    given = (probability_a, probability_b, revenue_a, revenue_b, threshold)
    try:
        p_a, p_b, r_a, r_b, f = torch.broadcast_tensors(*(torch.as_tensor(x, dtype=torch.float64) for x in given))
    except RuntimeError as error:
        shapes = ", ".join(str(tuple(torch.as_tensor(x).shape)) for x in given)
        raise InputError(
            f"probabilities, revenues and threshold have shapes {shapes}; the last must be customers."
        ) from error
    sound = (p_a >= 0) & (p_a <= 1) & (p_b >= 0) & (p_b <= 1) & r_a.isfinite() & r_b.isfinite() & ~f.isnan()
    if not bool(sound.all()):
        raise InputError(
            "a probability is outside [0, 1], or a number is NaN or infinite; calibrate the scores, fill in the rest."
        )
    to_b = p_b >= f
    cost_a, cost_b = (torch.as_tensor(x, dtype=torch.float64, device=p_a.device) for x in (fixed_cost_a, fixed_cost_b))
    benefit_without = (p_a * r_a).sum(-1) - cost_a
    uplift = torch.where(to_b, p_b * r_b - p_a * r_a, 0.0).sum(-1)
    gain = uplift - cost_b
    n_b = to_b.sum(-1)
    return ProjectIntroduction(
        benefit_without + gain, benefit_without, gain, uplift, p_a.shape[-1] - n_b, n_b, gain > 0
    )
