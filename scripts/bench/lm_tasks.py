"""What the networks of the LM benchmark are fitted to; every task is drawn from its seed alone.

Shapes: n rows, d inputs, m outputs.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from bench.case import Missing
from torch import Tensor

from marketnn.network import BPNetwork
from marketnn.seed import child_seed, torch_generator

_BANK = "bank_additional-full.csv.gz"


@dataclass(frozen=True)
class Task:
    """Rows and the shape of the network that is fitted to them; the hidden layers are sigmoid.

    Attributes:
        layer_sizes: widths from input to output.
        x: (n, d).
        y: (n, m).
        output: activation of the output layer.
    """

    layer_sizes: tuple[int, ...]
    x: Tensor
    y: Tensor
    output: str = "identity"

    def network(self, seed: int, members: int | None = None) -> BPNetwork:
        """Return the network with the first weights of a seed, in the dtype of the rows."""
        return BPNetwork(self.layer_sizes, output=self.output, members=members, seed=seed, dtype=self.x.dtype)


def teacher_task(layer_sizes: tuple[int, ...], rows: int, noise: float, seed: int) -> Task:
    """Draw inputs uniform in [0, 1] and outputs of a network of the same shape, each of variance 1, plus noise.

    Args:
        layer_sizes: of the teacher and of the task.
        rows: n.
        noise: standard deviation of the normal noise; its square is the MSE of the teacher itself.
        seed: of the inputs, the teacher and the noise.
    """
    generator = torch_generator(seed)
    x = torch.rand(rows, layer_sizes[0], generator=generator, dtype=torch.float64)
    with torch.no_grad():
        y = BPNetwork(layer_sizes, output="identity", seed=child_seed(seed, "teacher"))(x)
    y = (y - y.mean(0)) / y.std(0)
    return Task(layer_sizes, x, y + noise * torch.randn(y.shape, generator=generator, dtype=y.dtype))


def sine_task(points: int) -> Task:
    """Take one period of a sine at equally spaced points of [0, 1]; 1-5-1."""
    x = torch.linspace(0, 1, points, dtype=torch.float64).unsqueeze(-1)
    return Task((1, 5, 1), x, torch.sin(2 * torch.pi * x))


def smooth_task(layer_sizes: tuple[int, ...], rows: int, seed: int) -> Task:
    """Draw inputs uniform in [-1, 1] and a smooth function of them without noise, of variance 1, in float32.

    The teacher has hidden layers of 30 and 15 and normal weights of standard deviation 1.5 / sqrt(inputs), biases .3.
    """
    generator = torch_generator(seed)
    x = torch.rand(rows, layer_sizes[0], generator=generator) * 2 - 1
    teacher = BPNetwork((layer_sizes[0], 30, 15, layer_sizes[-1]), output="identity", dtype=torch.float32)
    with torch.no_grad():
        for parameter in teacher.parameters():
            spread = 1.5 / parameter.shape[1] ** 0.5 if parameter.dim() == 2 else 0.3
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * spread)
        y = teacher(x)
    return Task(layer_sizes, x, (y - y.mean(0)) / y.std(0))


def bank_task(hidden: int, seed: int, rows: int | None = None) -> tuple[Task, Task, Task]:
    """Read the bank telemarketing table and split it at random 60/20/20 into training, validation and test rows.

    The column ``duration`` is dropped, since it is known only after the call; text is one-hot, numbers are scaled to
    [0, 1] by the training rows. In float32, with a sigmoid output: the probability of a subscription.

    Args:
        hidden: units of the hidden layer.
        seed: of the split.
        rows: how many rows to take, ``None`` for all.

    Raises:
        Missing: the folder that ``MARKETNN_DATA`` names does not hold the table.
    """
    path = Path(os.environ.get("MARKETNN_DATA", "")) / _BANK
    if not path.is_file():
        raise Missing(f"{_BANK} in the folder that MARKETNN_DATA names")
    table = pd.read_csv(path).drop(columns="duration")
    order = torch.randperm(len(table), generator=torch_generator(seed))[:rows]
    y = torch.as_tensor((table.pop("y") == "yes").to_numpy(np.float32))[order].unsqueeze(-1)
    x = torch.as_tensor(pd.get_dummies(table).to_numpy(np.float32))[order]
    train, validation = int(0.6 * len(x)), int(0.8 * len(x))
    low, high = x[:train].amin(0), x[:train].amax(0)
    x = (x - low) / torch.where(high > low, high - low, 1.0)
    sizes = (x.shape[1], hidden, 1)
    parts = (slice(train), slice(train, validation), slice(validation, None))
    train_part, validation_part, test_part = (Task(sizes, x[part], y[part], "sigmoid") for part in parts)
    return train_part, validation_part, test_part
