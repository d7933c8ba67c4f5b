"""The optimiser ``lbfgs``: limited-memory BFGS with a strong-Wolfe line search, one iteration per epoch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from marketnn.errors import InputError
from marketnn.optim.first_order import FirstOrder
from marketnn.optim.problem import member_count

_SEARCH_EVALUATIONS = 25  # torch shares out max_eval, which would leave one iteration no line search


@dataclass(frozen=True)
class Config:
    """L-BFGS on the MSE of all rows (Nocedal and Wright, Numerical Optimization, algorithm 7.5).

    Attributes:
        history_size: updates that the inverse Hessian remembers.
    """

    history_size: int = 20


def build(config: Config) -> Callable[[nn.Module], FirstOrder]:
    """Return the function that makes the optimiser of a module.

    Raises:
        InputError: a history below 1; from the function, a module with members, whose line searches would be one.
    """
    if config.history_size < 1:
        raise InputError(f"history_size={config.history_size} is not possible; pass at least 1.")

    def stepper(module: nn.Module) -> FirstOrder:
        if member_count(module) is not None:
            raise InputError(
                "lbfgs cannot train members together (they would share a line search); use lm, gd or adam."
            )
        optimizer = torch.optim.LBFGS(
            module.parameters(),
            max_iter=1,
            max_eval=1 + _SEARCH_EVALUATIONS,
            history_size=config.history_size,
            tolerance_grad=0.0,  # when to stop is decided by training, alike for every optimiser
            tolerance_change=0.0,
            line_search_fn="strong_wolfe",
        )
        return FirstOrder(module, optimizer)

    return stepper
