"""What a call of ``python -m experiments`` found before it was stopped, so that the next one goes on from there.

A file for each experiment that ended well, removed when the ledger is written. Numbers come back as they were, bit for bit.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from experiments.experiment import Findings, Picture, Workspace
from experiments.ledger import Row
from experiments.running import Done
from marketnn.report.page import FigureBlock
from marketnn.tracking.files import write_json
from marketnn.tracking.run import installed_versions

CHECKOUT = Path(__file__).parent.parent
SOURCES = ("experiments", "marketnn", "configs")
FOLDER = ".partial"
_KINDS = frozenset({".py", ".yaml", ".csv", ".jinja"})


class Kept:
    """The ends of experiments in ``<runs>/.partial``, taken back only by the call that would compute the very same.

    Args:
        workspace: where the run folders go, and at which size.
        identity: what else the numbers depend on.
    """

    def __init__(self, workspace: Workspace, identity: str) -> None:
        size = "full" if workspace.full else "reduced"
        self._folder = workspace.runs / FOLDER
        self._identity = f"{identity} {size}"

    def load(self, name: str) -> Done | None:
        """Return how an experiment ended; ``None`` where that is not known, or something it rests on is not as it was."""
        try:
            told = json.loads(self._file(name).read_text(encoding="utf-8"))
            return _restored(name, told) if told["identity"] == self._identity else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def save(self, done: Done) -> None:
        """Keep an end; one that failed is not kept and will be tried again."""
        if not done.failure:
            with suppress(OSError):  # where nothing can be kept, the ledger is still worth having
                write_json(self._file(done.name), {"identity": self._identity, **_told(done)})

    def clear(self) -> None:
        """Forget everything."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _file(self, name: str) -> Path:
        return self._folder / f"{name.replace('/', '.')}.json"


def identity() -> str:
    """Return a digest of all that an experiment's numbers depend on: sources, settings, versions, and where the data are."""
    digest = hashlib.sha256()
    for folder in SOURCES:
        for file in sorted((CHECKOUT / folder).rglob("*")):
            if file.suffix in _KINDS and file.is_file():
                digest.update(file.relative_to(CHECKOUT).as_posix().encode() + b"\0" + file.read_bytes())
    facts = {**installed_versions(), "data": os.environ.get("MARKETNN_DATA", "")}
    digest.update(json.dumps(facts, sort_keys=True).encode())
    return digest.hexdigest()


def _told(done: Done) -> dict[str, Any]:
    return {
        "seconds": done.seconds,
        "rows": [asdict(row) for row in done.findings.rows],
        "pictures": [
            {"items": picture.items, **asdict(picture.block), "png": base64.b64encode(picture.block.png).decode()}
            for picture in done.findings.pictures
        ],
        "runs": [run.as_posix() for run in done.findings.runs],
    }


def _restored(name: str, told: Mapping[str, Any]) -> Done | None:
    runs = tuple(Path(run) for run in told["runs"])
    if not all(run.is_dir() for run in runs):
        return None
    pictures = tuple(
        Picture(
            tuple(picture["items"]),
            FigureBlock(picture["caption"], base64.b64decode(picture["png"]), picture["width"], picture["kind"]),
        )
        for picture in told["pictures"]
    )
    return Done(name, Findings(tuple(Row(**row) for row in told["rows"]), pictures, runs), told["seconds"])
