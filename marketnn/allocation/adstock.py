"""Geometric adstock: what is left of past spends works on, ``a_t = x_t + rate * a_(t-1)``.

Shapes: T periods, last; any dimensions before them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from marketnn.allocation.numbers import Numbers, adstock_rate


class GeometricAdstock(nn.Module):
    """Turn spends into the pressure that they and their predecessors exert.

    Args:
        rate: the share that lasts into the next period, in [0, 1); () or one per series.

    Raises:
        InputError: a rate outside [0, 1).
    """

    rate: Tensor

    def __init__(self, rate: Numbers) -> None:
        super().__init__()
        self.register_buffer("rate", adstock_rate(rate))

    def forward(self, spend: Tensor, before: Tensor | None = None) -> Tensor:
        """Return the adstock (..., T).

        Args:
            spend: (..., T), float64; time is the last dimension, and ``rate`` broadcasts against the others.
            before: (...), the adstock of the period before the first; ``None`` is 0.
        """
        return geometric_adstock(spend, self.rate, before)

    def extra_repr(self) -> str:
        """The rate, for ``print``."""
        return f"rate={self.rate.tolist()}"


def geometric_adstock(spend: Tensor, rate: Tensor, before: Tensor | None = None) -> Tensor:
    """Compute ``a_t = x_t + rate * a_(t-1)`` in log2(T) steps, each of which doubles the past that is summed.

    Args:
        spend: (..., T).
        rate: (...) or ().
        before: (...) or (), ``a_(-1)``; ``None`` is 0.

    Returns:
        The adstock (..., T).
    """
    factor = rate.unsqueeze(-1)
    adstock = spend
    if before is not None:
        first = spend[..., :1] + (rate * before).unsqueeze(-1)
        adstock = torch.cat([first, spend[..., 1:].expand(*first.shape[:-1], -1)], dim=-1)
    covered = 1
    while covered < spend.shape[-1]:
        adstock = adstock + factor * pad(adstock[..., :-covered], (covered, 0))
        factor = factor.square()
        covered *= 2
    return adstock
