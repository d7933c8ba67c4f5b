"""Zero-mean normalisation: ``u' = (u - mean) / sigma`` (paper B, eq. 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from marketnn.errors import InputError
from marketnn.preprocess.scaling import Policy, Scaler

_ROUNDINGS = 8  # a spread of so many roundings of its values is no spread: the mean of 0.1, 0.1, 0.1 is not exactly 0.1


@dataclass(frozen=True)
class Config:
    """Zero-mean scaling.

    Attributes:
        ddof: sigma divides by n - ddof: 0 for the population's, 1 for the sample's.
        policy: values outside the fitted range: ``flag`` (pass and count), ``clip`` or ``raise``.
    """

    ddof: int = 0
    policy: Policy = "flag"


class StandardScaler(Scaler):
    """Give every column mean 0 and standard deviation 1; a constant column becomes 0.

    Args:
        ddof: sigma divides by n - ddof. Paper B does not say which; 0 is the default.
        policy: see ``Scaler``.
    """

    name = "standard"

    def __init__(self, *, ddof: int = 0, policy: Policy = "flag") -> None:
        super().__init__(policy=policy)
        if ddof not in (0, 1):
            raise InputError(f"ddof={ddof} is not possible; use 0 (population) or 1 (sample).")
        self.ddof = int(ddof)

    def _find(self, x_nd: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if len(x_nd) <= self.ddof:
            raise InputError(f"{len(x_nd)} row has no sample standard deviation; fit on more rows, or use ddof=0.")
        return mean_and_deviation(x_nd, self.ddof)

    def _options(self) -> dict[str, Any]:
        return {"ddof": self.ddof, "policy": self.policy}


def mean_and_deviation(x_nd: torch.Tensor, ddof: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean (d,) and standard deviation (d,) of the columns; a deviation that is only rounding is 0."""
    deviation_d, mean_d = torch.std_mean(x_nd, dim=0, correction=ddof)
    rounding_d = _ROUNDINGS * torch.finfo(x_nd.dtype).eps * x_nd.abs().amax(0)
    return mean_d, torch.where(deviation_d <= rounding_d, torch.zeros_like(deviation_d), deviation_d)


def build(config: Config) -> StandardScaler:
    """Return the scaler that a configuration describes."""
    return StandardScaler(ddof=config.ddof, policy=config.policy)
