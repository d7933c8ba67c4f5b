"""Checkpoints of training: named tensors in one file that is always whole, and never a pickle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from marketnn.errors import InputError
from marketnn.tracking.files import write_bytes


def save_checkpoint(path: str | Path, named: Mapping[str, Tensor]) -> None:
    """Write what ``train`` hands to ``on_checkpoint``; an earlier checkpoint stays until this one is complete."""
    write_bytes(Path(path), save({name: tensor.detach().cpu().contiguous() for name, tensor in named.items()}))


def load_checkpoint(path: str | Path, device: torch.device | str = "cpu") -> dict[str, Tensor]:
    """Read a checkpoint for ``train(resume=...)``.

    Raises:
        InputError: there is none, or the file is not one.
    """
    try:
        return {name: tensor.to(device) for name, tensor in load(Path(path).read_bytes()).items()}
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no checkpoint.") from error
    except OSError as error:
        raise InputError(f"{path}: this is no checkpoint ({error.strerror}).") from error
    except SafetensorError as error:
        raise InputError(f"{path}: this is no checkpoint ({error}).") from error


@dataclass(frozen=True)
class CheckpointFolder:
    """Checkpoints of many trainings, a file for each.

    Attributes:
        folder: where they lie.
        seconds: the least time from one checkpoint of a training to the next.
    """

    folder: Path
    seconds: float = 2.0

    def load(self, key: str) -> dict[str, Tensor] | None:
        """Return the last checkpoint under a key, on the CPU; ``None`` if there is none."""
        path = self._path(key)
        return load_checkpoint(path) if path.exists() else None

    def save(self, key: str, named: Mapping[str, Tensor]) -> None:
        """Replace the checkpoint under a key."""
        save_checkpoint(self._path(key), named)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.safetensors"
