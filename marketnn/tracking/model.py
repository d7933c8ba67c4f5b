"""Saved models: JSON for what is said, safetensors for the numbers; nothing in a stranger's folder is ever executed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from marketnn.errors import InputError
from marketnn.tracking.files import write_bytes, write_json
from marketnn.tracking.links import refuse_links
from marketnn.tracking.partial import refuse_half_written

FORMAT = 1


@dataclass(frozen=True)
class SavedModel:
    """What a model folder holds.

    Attributes:
        kind: the pipeline that made it.
        settings: everything but arrays, as JSON values.
        arrays: name -> numbers.
    """

    kind: str
    settings: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]


def save_model(folder: Path, model: SavedModel) -> None:
    """Write ``model.json`` and ``arrays.safetensors`` into the folder."""
    write_bytes(
        folder / "arrays.safetensors", save({name: np.ascontiguousarray(a) for name, a in model.arrays.items()})
    )
    write_json(folder / "model.json", {"format": FORMAT, "kind": model.kind, "settings": model.settings})


def load_model(folder: str | Path) -> SavedModel:
    """Read a model folder, or the run folder around it.

    Raises:
        InputError: there is no such folder, its run has not ended, it holds no model, or its files are damaged or of another
            format.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise InputError(f"model={folder}: there is no such folder; pass the folder of a finished run.")
    refuse_half_written(folder)
    refuse_links(folder, "model")
    inner = folder / "model" if (folder / "model").is_dir() else folder
    if not (inner / "model.json").is_file():
        raise InputError(
            f"model={folder}: the folder holds no model (no model/model.json); pass the folder of a finished run."
        )
    refuse_links(inner, "model.json", "arrays.safetensors")
    try:
        content = json.loads((inner / "model.json").read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise InputError(
                f"model={folder}: format {content['format']} is not the one this version reads ({FORMAT})."
            )
        return SavedModel(str(content["kind"]), dict(content["settings"]), load_file(inner / "arrays.safetensors"))
    except (OSError, ValueError, KeyError, TypeError, RecursionError, SafetensorError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"model={folder}: the model's files are damaged ({error}).") from error
