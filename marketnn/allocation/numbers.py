"""Numbers that callers pass: parameters, rates and columns, checked once and turned into float64 tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from marketnn.errors import InputError, rows_text

Numbers = float | Sequence[float] | np.ndarray | Tensor


def positive(name: str, given: Numbers, *, zero: bool = False) -> Tensor:
    """Return a parameter, () or (...), as a float64 tensor.

    Raises:
        InputError: not numbers, not finite, negative, or 0 unless ``zero``.
    """
    tensor = _tensor(name, given)
    wrong = ~((tensor >= 0 if zero else tensor > 0) & (tensor < math.inf))
    if bool(wrong.any()):
        raise InputError(
            f"{name}={tensor[wrong][0]:g} is not possible; pass a finite number {'>=' if zero else '>'} 0."
        )
    return tensor


def adstock_rate(given: Numbers) -> Tensor:
    """Return adstock rates, () or (...), as a float64 tensor.

    Raises:
        InputError: not numbers in [0, 1).
    """
    tensor = _tensor("adstock rate", given)
    outside = ~((tensor >= 0) & (tensor < 1))
    if bool(outside.any()):
        raise InputError(
            f"adstock rate={tensor[outside][0]:g} is not possible: carry-over must be there or fade; pass a rate in [0, 1)."
        )
    return tensor


def column(name: str, given: Numbers) -> Tensor:
    """Return observations (n,) as a float64 tensor on the CPU.

    Raises:
        InputError: not one finite number per row.
    """
    try:
        tensor = torch.tensor(np.array(given.detach().cpu() if isinstance(given, Tensor) else given, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} is no column of numbers; pass one number per observation, (n,).") from error
    if tensor.dim() != 1:
        raise InputError(f"{name} has shape {tuple(tensor.shape)}; pass one number per observation, (n,).")
    wrong = ~tensor.isfinite().numpy()
    if wrong.any():
        raise InputError(f"{name} is NaN or infinite in {rows_text(wrong)}; drop those rows or fill the values in.")
    return tensor


def _tensor(name: str, given: Numbers) -> Tensor:
    try:
        return torch.as_tensor(given, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{name}={given!r} is not a number; pass a number, a list of numbers or a tensor.") from error
