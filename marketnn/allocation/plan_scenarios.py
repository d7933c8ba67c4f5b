"""One plan for many scenarios: the mean of their curves, and what a plan brings in each of them.

Shapes: B scenarios or posterior draws, K channels, T periods.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from marketnn.allocation.adstock import geometric_adstock
from marketnn.allocation.curves import CurveSet, ResponseCurve
from marketnn.allocation.numbers import Numbers, adstock_rate, positive
from marketnn.errors import InputError


class MeanCurve(nn.Module):
    """The mean of B scenarios of K curves, as K curves: a plan for it maximises the expected response.

    Args:
        curves: parameters (B, K).

    Raises:
        InputError: parameters of another shape.
    """

    def __init__(self, curves: ResponseCurve) -> None:
        super().__init__()
        if len(curves.shape) != 2:
            raise InputError(
                f"the curves have parameters of shape {tuple(curves.shape)}; pass (B, K), a row per scenario."
            )
        self.curves = curves

    def forward(self, x: Tensor) -> Tensor:
        """The mean responses (..., K) to the spends x (..., K)."""
        return self.curves(x.unsqueeze(-2)).mean(-2)

    def derivative(self, x: Tensor) -> Tensor:
        """What one more unit of spend brings in the mean."""
        return self.curves.derivative(x.unsqueeze(-2)).mean(-2)

    @property
    def concave(self) -> bool:
        """Whether the curves of every scenario are."""
        return self.curves.concave

    @property
    def shape(self) -> torch.Size:
        """(K,)."""
        return self.curves.shape[1:]


def plan_outcomes(
    curves: ResponseCurve | CurveSet,
    spend: Tensor | np.ndarray | Sequence,
    *,
    adstock: Numbers = 0.0,
    carry_in: Numbers = 0.0,
    discount: float = 0.0,
) -> np.ndarray:
    """Return the discounted response of a plan in every scenario, (B,), of which ``numpy.quantile`` gives the quantiles.

    Args:
        curves: parameters (B, K), or (K,) for a single outcome ().
        spend: (T, K).
        adstock, carry_in: () or (K,), as in ``plan_budget``.
        discount: per period, as in ``plan_budget``.

    Raises:
        InputError: spends that are no (T, K) of finite numbers >= 0, or rates outside [0, 1).
    """
    device = next(curves.buffers()).device
    spend_tk = positive("spend", spend, zero=True).to(device)
    if spend_tk.dim() != 2 or spend_tk.shape[1] != curves.shape[-1]:
        raise InputError(f"spend has shape {tuple(spend_tk.shape)}; pass (T, {curves.shape[-1]}), a row per period.")
    rate, before = adstock_rate(adstock).to(device), positive("carry_in", carry_in, zero=True).to(device)
    effective_tk = geometric_adstock(spend_tk.T, rate, before).T
    at = effective_tk.reshape(len(spend_tk), *[1] * (len(curves.shape) - 1), -1)
    weight_t = (1 + discount) ** -torch.arange(len(spend_tk), dtype=torch.float64, device=device)
    return torch.tensordot(weight_t, curves(at).sum(-1), dims=1).cpu().numpy()
