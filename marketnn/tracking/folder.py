"""What a run folder holds, and which of it a run may replace.

``report.html`` comes last and goes first: a folder that has it, and no ``failure.json``, is of a finished run.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from marketnn import __version__
from marketnn.errors import InputError
from marketnn.plain_yaml import read_yaml
from marketnn.redact import redact
from marketnn.tracking import projector
from marketnn.tracking.files import write_json, write_text
from marketnn.tracking.links import refuse_links
from marketnn.tracking.partial import NOTE, PARTIAL, REPORT, refuse_half_written

FAILURE, JOB = "failure.json", "job.json"
_READ = ("config.yaml", "metrics.json", "versions.json", "tables")
_SIGNED = ("versions.json", JOB, FAILURE)  # each says that marketnn wrote it
ENTRIES = (
    "metrics.json",
    "timings.json",
    "versions.json",
    "tables",
    "figures",
    REPORT,
    "model",
    "config.yaml",
    FAILURE,
    JOB,
    projector.FOLDER,
    projector.CONFIG,
)


@dataclass(frozen=True)
class FinishedRun:
    """What a finished run left behind.

    Attributes:
        folder: where it lies.
        config: its configuration, as nested plain values, secrets masked.
        metrics: name -> number.
        versions: library or setting -> version or value.
        tables: name -> table, sorted by name.
    """

    folder: Path
    config: Mapping[str, Any]
    metrics: Mapping[str, float]
    versions: Mapping[str, str]
    tables: Mapping[str, pd.DataFrame]


def read_finished(folder: str | Path) -> FinishedRun:
    """Read the folder of a finished run.

    Raises:
        InputError: no such folder, a run that failed or did not finish, or a damaged file.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder; name the folder of a finished run.")
    if (folder / FAILURE).exists():
        raise InputError(f"{folder}: this run failed ({FAILURE} says why); name the folder of a finished run.")
    refuse_half_written(folder)
    tables = sorted((folder / "tables").glob("*.csv"))
    refuse_links(folder, *_READ, *(f"tables/{file.name}" for file in tables))
    try:
        finished = FinishedRun(
            folder=folder,
            config=read_yaml(folder / "config.yaml") or {},
            metrics=json.loads((folder / "metrics.json").read_text(encoding="utf-8")),
            versions=json.loads((folder / "versions.json").read_text(encoding="utf-8")),
            tables={file.stem: pd.read_csv(file) for file in tables},
        )
        (folder / REPORT).stat()
    except FileNotFoundError as error:
        raise InputError(
            f"{folder}: there is no {Path(error.filename).name}; name the folder of a finished run."
        ) from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{folder}: a file of this run is damaged ({str(error).splitlines()[0]}).") from error
    for name, content in (("config.yaml", finished.config), ("versions.json", finished.versions)):
        if not isinstance(content, dict):
            raise InputError(f"{folder}: a file of this run is damaged ({name} holds no keys).")
    if not isinstance(finished.metrics, dict) or not all(map(_is_number, finished.metrics.values())):
        raise InputError(f"{folder}: a file of this run is damaged (metrics.json holds other things than numbers).")
    return finished


def write_failure(folder: Path, kind: str, message: str, config: str) -> None:
    """Leave in a job's folder why it failed, and nothing that looks like a result.

    Args:
        folder: the job's.
        kind: of the error, such as ``InputError``.
        message: what it says; passwords are masked here.
        config: the configuration as text, secrets masked.
    """
    write_text(folder / "config.yaml", config)
    write_json(folder / FAILURE, {"marketnn": __version__, "kind": kind, "message": redact(message)})


def check_free(folder: Path) -> None:
    """Refuse a folder in which a run's files would meet somebody else's.

    Raises:
        InputError: it is a file, or holds files of a run's names that no run made.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: this is a file; choose another hydra.run.dir.")
    if folder.is_dir() and not run_entries(folder):
        taken = sorted(entry.name for entry in folder.iterdir() if entry.name in ENTRIES)
        if taken:
            raise InputError(f"{folder}: '{taken[0]}' in it was not made by a run; choose another hydra.run.dir.")


def run_entries(folder: Path) -> list[Path]:
    """List what a run left in a folder; nothing where no file of its own says that one did."""
    if not any(_made_here(folder / name) for name in (*_SIGNED, f"{PARTIAL}/{NOTE}")):
        return []
    begun = ("events.out.tfevents.", *(f".{name}." for name in ENTRIES))  # the latter while they are written
    return [entry for entry in folder.iterdir() if entry.name in ENTRIES or entry.name.startswith(begun)]


def clear_run(folder: Path, keep: str = "") -> None:
    """Remove what a run left in a folder, except an entry to ``keep``, and nothing else."""
    order = {
        REPORT: 0,
        **dict.fromkeys(_SIGNED, 2),
    }  # stopped on the way, it is not finished and still known as a run's
    for entry in sorted(run_entries(folder), key=lambda entry: order.get(entry.name, 1)):
        if entry.name != keep:
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()


def remove_if_empty(folder: Path) -> None:
    """Remove an empty folder, and the folders above it while they are empty and inside the working directory."""
    here = Path.cwd()
    folder = folder.resolve()
    try:
        folder.rmdir()
        while here in folder.parents and folder.parent != here:
            folder = folder.parent
            folder.rmdir()
    except OSError:
        return


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _made_here(file: Path) -> bool:
    try:
        return "marketnn" in json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
