"""Where tensors live: the one place that turns a device name into a device."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from marketnn.errors import ConfigurationError


@dataclass(frozen=True)
class Config:
    """Where a run computes.

    Attributes:
        name: ``auto`` (CUDA when there is a card, otherwise the CPU), ``cpu``, ``cuda`` or ``cuda:1``.
        threads: CPU threads per operation; ``None`` keeps PyTorch's own choice.
    """

    name: str = "auto"
    threads: int | None = None


def resolve(device: str | torch.device | None = "auto") -> torch.device:
    """Return the device of that name; ``auto`` and ``None`` take CUDA when there is a card.

    Raises:
        ConfigurationError: no such device on this machine.
    """
    if device is None or device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
        torch.zeros((), device=resolved) + 1
    except (RuntimeError, NotImplementedError, AssertionError) as error:
        raise ConfigurationError(f"device '{device}' is not to be had on this machine; use device=cpu.") from error
    if resolved.type == "meta":
        raise ConfigurationError("device 'meta' holds no numbers; use device=cpu.")
    return resolved
