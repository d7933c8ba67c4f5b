"""Decimal scaling: ``u' = u / 10^k`` with the smallest integer k for which ``max|u'| < 1`` (paper B, eq. 3)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from marketnn.preprocess.scaling import Policy, Scaler


@dataclass(frozen=True)
class Config:
    """Decimal scaling.

    Attributes:
        nonnegative_k: never multiply: small columns keep k = 0 instead of a negative k.
        policy: values outside the fitted range: ``flag`` (pass and count), ``clip`` or ``raise``.
    """

    nonnegative_k: bool = False
    policy: Policy = "flag"


class DecimalScaler(Scaler):
    """Divide every column by the least power of ten that brings it inside (-1, 1).

    Args:
        nonnegative_k: the paper's "smallest integer", read literally, makes k negative for columns below 0.1 (.05 gives
            -1); ``True`` stops at 0.
        policy: see ``Scaler``.
    """

    name = "decimal"

    def __init__(self, *, nonnegative_k: bool = False, policy: Policy = "flag") -> None:
        super().__init__(policy=policy)
        self.nonnegative_k = bool(nonnegative_k)

    @property
    def k(self) -> tuple[int, ...]:
        """The exponent of every column.

        Raises:
            InputError: not fitted.
        """
        return tuple(round(math.log10(power)) for power in self._fitted().scale)

    def _find(self, x_nd: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        least = 0 if self.nonnegative_k else None
        powers = [_power_of_ten(decimal_exponent(largest, least)) for largest in x_nd.abs().amax(0).tolist()]
        scale_d = torch.tensor(powers, dtype=x_nd.dtype, device=x_nd.device)
        return torch.zeros_like(scale_d), scale_d

    def _options(self) -> dict[str, Any]:
        return {"nonnegative_k": self.nonnegative_k, "policy": self.policy}


def decimal_exponent(largest: float, least: int | None = None) -> int:
    """Return the smallest integer k, not below ``least``, with ``largest / 10^k < 1``; 0 for a column of zeros.

    Args:
        largest: the greatest absolute value of a column.
        least: a bound on k, or ``None``.
    """
    if largest == 0:
        return 0
    k = math.floor(math.log10(largest)) + 1
    # log10 rounds: 0.9999999999999999 and 1.0 share a logarithm but not an exponent
    if largest >= _power_of_ten(k):
        k += 1
    elif largest < _power_of_ten(k - 1):
        k -= 1
    return k if least is None else max(k, least)


def _power_of_ten(k: int) -> float:
    """Return the double nearest to 10^k, which ``10.0**k`` is not always."""
    return float(f"1e{k}")


def build(config: Config) -> DecimalScaler:
    """Return the scaler that a configuration describes."""
    return DecimalScaler(nonnegative_k=config.nonnegative_k, policy=config.policy)
