"""First weights of a dense layer: Nguyen-Widrow and Glorot.

Both draw in float64 on the CPU, so that every device and every dtype starts from the same numbers.

Shapes: i inputs and h outputs of the layer.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

# Half the width of the activation's nearly straight stretch; sigmoid(z) = (1 + tanh(z/2)) / 2 doubles that of tanh.
_STRAIGHT = {"tanh": 1.0, "sigmoid": 2.0}


def nguyen_widrow(
    n_in: int, n_out: int, activation: str, input_range: tuple[float, float], generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Spread the units of a hidden layer evenly over their inputs' range.

    Each unit gets a random direction of length ``0.7 h^(1/i)``, and the units' straight stretches tile the range from
    end to end (Nguyen and Widrow, IJCNN 1990).

    Args:
        n_in: inputs i.
        n_out: units h.
        activation: ``sigmoid`` or ``tanh``.
        input_range: the smallest and the largest value of every input.
        generator: a CPU generator.

    Returns:
        weight (h, i) and bias (h,).
    """
    length = 0.7 * n_out ** (1 / n_in)
    direction_hi = torch.nn.functional.normalize(_uniform((n_out, n_in), 1.0, generator), dim=-1)
    place_h = torch.linspace(-1, 1, n_out, dtype=torch.float64) if n_out > 1 else torch.zeros(1, dtype=torch.float64)
    weight_hi = length * direction_hi
    bias_h = length * place_h * direction_hi[:, 0].sign()

    low, high = input_range
    weight_hi = _STRAIGHT[activation] * 2 / (high - low) * weight_hi
    bias_h = _STRAIGHT[activation] * bias_h - weight_hi.sum(-1) * (high + low) / 2
    return weight_hi, bias_h


def glorot(n_in: int, n_out: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw weights uniformly within ``sqrt(6 / (i + h))``; biases are zero (Glorot and Bengio, AISTATS 2010).

    Returns:
        weight (h, i) and bias (h,).
    """
    weight_hi = _uniform((n_out, n_in), math.sqrt(6 / (n_in + n_out)), generator)
    return weight_hi, torch.zeros(n_out, dtype=torch.float64)


def small_uniform(n_in: int, n_out: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw weights and biases uniformly within one half, as Nguyen and Widrow do for the output layer.

    Returns:
        weight (h, i) and bias (h,).
    """
    return _uniform((n_out, n_in), 0.5, generator), _uniform((n_out,), 0.5, generator)


def _uniform(shape: tuple[int, ...], bound: float, generator: torch.Generator) -> Tensor:
    return bound * (2 * torch.rand(shape, dtype=torch.float64, generator=generator) - 1)
