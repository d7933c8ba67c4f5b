"""The optimiser ``lm_minibatch``: Levenberg-Marquardt on batches of rows, for networks with many parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial

from torch import nn

from marketnn.optim.minibatch import MiniBatchLM


@dataclass(frozen=True)
class Config:
    """Levenberg-Marquardt in the dual form on batches of rows.

    Attributes:
        batch_rows: rows of a batch at most.
        damping: mu relative to the mean of the diagonal of J J^T, the least that is used.
        momentum: share of the previous direction that is carried on.
        rate: the first rate; it falls to 0 over the second half of the training.
        seed: of the order of the rows.
    """

    batch_rows: int = 500
    damping: float = 1e-3
    momentum: float = 0.9
    rate: float = 0.3
    seed: int = 0


def build(config: Config) -> Callable[[nn.Module], MiniBatchLM]:
    """Return the function that makes the optimiser of a module.

    It raises ``InputError`` for a number out of range.
    """
    return partial(MiniBatchLM, **asdict(config))
