"""Run by ``torchrun``: LM on this process's rows together with the others', until the second process is gone.

Arguments: the file to write checkpoints to. Imported by the test for the training.
"""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from marketnn.network import BPNetwork
from marketnn.optim import LevenbergMarquardt, TrainingResult, train
from marketnn.tracking.checkpoint import save_checkpoint

EPOCHS = 12
LAST_EPOCH = 5  # of the second process
SPLIT = 120


def data() -> tuple[Tensor, Tensor]:
    """All rows: x (300, 4) and y (300, 1)."""
    x = torch.rand(300, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return x, (6 * x[:, :1] * x[:, 1:2]).sin() + x[:, 2:3]


def network() -> BPNetwork:
    return BPNetwork([4, 8, 1], hidden="tanh", output="identity", seed=2)


def fit(module: BPNetwork, rows: slice, group: Any, **options: Any) -> TrainingResult:
    """Train on some of the rows."""
    x, y = (part[rows] for part in data())
    optimizer = partial(LevenbergMarquardt, solver="packed", process_group=group)
    return train(module, x, y, optimizer=optimizer, max_epochs=EPOCHS, **options)


def main() -> None:
    checkpoint = Path(sys.argv[1])
    dist.init_process_group("gloo", timeout=timedelta(seconds=10))
    if dist.get_rank() == 0:
        fit(
            network(), slice(0, SPLIT), dist.group.WORLD, on_checkpoint=lambda named: save_checkpoint(checkpoint, named)
        )
    else:
        fit(network(), slice(SPLIT, None), dist.group.WORLD, on_epoch=leave)


def leave(record: dict[str, Any]) -> None:
    """End this process without a word, as the kernel does when memory is short."""
    if record["epoch"] == LAST_EPOCH:
        os._exit(9)


if __name__ == "__main__":
    main()
