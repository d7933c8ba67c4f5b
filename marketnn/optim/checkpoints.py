"""Trainings that outlive their process: each is kept under a fingerprint of what it started from, and goes on from there."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol, TypedDict

import torch
from torch import Tensor, nn

from marketnn.optim.problem import flat_parameters


class Checkpoints(Protocol):
    """Where the checkpoints of trainings are kept, one under each key."""

    @property
    def seconds(self) -> float:
        """The least time from one checkpoint of a training to the next."""

    def load(self, key: str) -> Mapping[str, Tensor] | None:
        """Return the last checkpoint under a key; ``None`` if there is none."""

    def save(self, key: str, named: Mapping[str, Tensor]) -> None:
        """Replace the checkpoint under a key."""


class Keeping(TypedDict, total=False):
    """The options of ``train`` by which a training is kept and goes on."""

    resume: Mapping[str, Tensor] | None
    on_checkpoint: Callable[[Mapping[str, Tensor]], None]
    checkpoint_seconds: float


def keeping(checkpoints: Checkpoints | None, module: nn.Module, *tensors: Tensor) -> Keeping:
    """Return the options of ``train`` by which it goes on where an earlier process was stopped.

    Args:
        checkpoints: where they are kept; ``None`` keeps nothing.
        module: to be trained, with its first weights.
        tensors: the data; with other data or first weights nothing is found, and training starts anew.
    """
    if checkpoints is None:
        return {}
    key = fingerprint(flat_parameters(module), *tensors)
    return {
        "resume": checkpoints.load(key),
        "on_checkpoint": partial(checkpoints.save, key),
        "checkpoint_seconds": checkpoints.seconds,
    }


def fingerprint(*tensors: Tensor) -> str:
    """Return 32 hexadecimal digits that depend on every bit of the tensors, their shapes and types."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(f"{tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:32]
