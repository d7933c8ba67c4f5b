"""The optimiser ``adam``: Adam (Kingma and Ba, ICLR 2015) on the MSE of all rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from marketnn.errors import InputError
from marketnn.optim.first_order import FirstOrder


@dataclass(frozen=True)
class Config:
    """Adam on the MSE of all rows.

    Attributes:
        learning_rate: the step's size for each parameter.
    """

    learning_rate: float = 0.01


def build(config: Config) -> Callable[[nn.Module], FirstOrder]:
    """Return the function that makes the optimiser of a module.

    Raises:
        InputError: a learning rate not above 0.
    """
    if not config.learning_rate > 0:
        raise InputError(f"learning_rate={config.learning_rate:g} is not possible; pass a number above 0.")

    def stepper(module: nn.Module) -> FirstOrder:
        return FirstOrder(module, torch.optim.Adam(module.parameters(), lr=config.learning_rate))

    return stepper
