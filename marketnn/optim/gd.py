"""The optimiser ``gd``: gradient descent, the BP baseline of paper A (eq. 2.6).

The step is ``-eta dMSE/dw``, for all parameters. With E of eq. 2.1 squared as it must be, MSE = 2 E / (n m), so this is
eq. 2.6 with the rate ``2 eta / (n m)``: one ``learning_rate`` serves data of any length.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from marketnn.errors import InputError
from marketnn.optim.first_order import FirstOrder


@dataclass(frozen=True)
class Config:
    """Gradient descent on the MSE of all rows.

    Attributes:
        learning_rate: eta.
        momentum: share of the previous step that is carried on.
    """

    learning_rate: float = 0.1
    momentum: float = 0.0


def build(config: Config) -> Callable[[nn.Module], FirstOrder]:
    """Return the function that makes the optimiser of a module.

    Raises:
        InputError: a learning rate not above 0, a momentum outside [0, 1).
    """
    if not config.learning_rate > 0:
        raise InputError(f"learning_rate={config.learning_rate:g} is not possible; pass a number above 0.")
    if not 0 <= config.momentum < 1:
        raise InputError(f"momentum={config.momentum:g} is not possible; pass at least 0 and below 1.")

    def stepper(module: nn.Module) -> FirstOrder:
        optimizer = torch.optim.SGD(module.parameters(), lr=config.learning_rate, momentum=config.momentum)
        return FirstOrder(module, optimizer)

    return stepper
