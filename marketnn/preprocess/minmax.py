"""Min-max normalisation onto [0, 1]: ``x' = (x - min) / (max - min)`` (paper A, eq. 2.8 = paper B, eq. 1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from marketnn.preprocess.scaling import Policy, Scaler


@dataclass(frozen=True)
class Config:
    """Min-max scaling.

    Attributes:
        policy: values outside the fitted range: ``flag`` (pass and count), ``clip`` or ``raise``.
    """

    policy: Policy = "flag"


class MinMaxScaler(Scaler):
    """Map every column's fitted range onto [0, 1]; a constant column becomes 0.

    The papers leave 0/0 open; 0 keeps a constant column without influence, and the inverse returns its constant.
    """

    name = "minmax"

    def _find(self, x_nd: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        lower_d, upper_d = torch.aminmax(x_nd, dim=0)
        return lower_d, upper_d - lower_d


def build(config: Config) -> MinMaxScaler:
    """Return the scaler that a configuration describes."""
    return MinMaxScaler(policy=config.policy)
