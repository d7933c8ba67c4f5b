"""What training checks before it computes: that data are tensors, and that numbers are numbers and in range."""

from __future__ import annotations

import math
from numbers import Integral, Real

from torch import Tensor

from marketnn.errors import InputError


def check_tensors(**given: object) -> None:
    """Refuse data that are no tensors of floating-point numbers; ``None`` passes.

    Raises:
        InputError: the message names the argument and the conversion.
    """
    for name, data in given.items():
        if data is not None and not isinstance(data, Tensor):
            values = f"{name}.to_numpy()" if hasattr(data, "to_numpy") else name
            raise InputError(f"{name} is a {type(data).__name__}; pass a tensor, such as torch.as_tensor({values}).")
        if data is not None and not data.is_floating_point():
            raise InputError(f"{name} holds {data.dtype}; pass floating-point numbers, such as {name}.double().")


def check_whole(least: int, **given: object) -> None:
    """Refuse what is no whole number from ``least`` on.

    Raises:
        InputError: the message names the argument and its value.
    """
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
            raise InputError(f"{name}={value!r} is not possible; pass a whole number, at least {least}.")


def check_number(least: float, **given: object) -> None:
    """Refuse what is no finite number from ``least`` on; ``None`` passes.

    Raises:
        InputError: the message names the argument and its value.
    """
    for name, value in given.items():
        if value is not None and (not is_number(value) or value < least):  # type: ignore[operator]
            raise InputError(f"{name}={shown(value)} is not possible; pass a number, at least {least:g}, or None.")


def is_number(value: object) -> bool:
    """Whether a value is a finite real number, and not a truth value."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def shown(value: object) -> str:
    """Write a value for a message: numbers short, anything else as Python does."""
    return f"{value:g}" if isinstance(value, Real) else repr(value)
