"""What an experiment is: a module of a ``paper_*`` folder with ``run(workspace) -> Findings``, found by its file name.

A module that says ``FULL_ONLY = True`` runs when it is named or under ``--full``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.claims import Claims
from experiments.ledger import Row
from experiments.settings import read_settings
from marketnn.errors import unknown_name
from marketnn.report.page import FigureBlock

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Workspace:
    """What an experiment is given.

    Attributes:
        claims: the printed numbers and their errata.
        runs: the folder under which run folders go.
        full: whether the published sizes are asked for.
    """

    claims: Claims
    runs: Path
    full: bool = False

    def settings(self, file: Path) -> dict[str, Any]:
        """Read an experiment's settings at the size that is asked for."""
        return read_settings(file, full=self.full)


@dataclass(frozen=True)
class Picture:
    """A figure of ours.

    Attributes:
        items: the rows that it belongs to, the first of them its heading.
        block: the picture and its caption.
    """

    items: tuple[str, ...]
    block: FigureBlock


@dataclass(frozen=True)
class Findings:
    """What an experiment returns.

    Attributes:
        rows: one per claim.
        pictures: for the report.
        runs: the run folders it made.
    """

    rows: tuple[Row, ...]
    pictures: tuple[Picture, ...] = ()
    runs: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Experiment:
    """A named experiment.

    Attributes:
        name: folder and file, ``paper_a/table_4_1``.
        run: what computes it.
        settings: its YAML, which need not exist.
        full_only: whether it is left out unless asked for.
    """

    name: str
    run: Callable[[Workspace], Findings]
    settings: Path
    full_only: bool


def names() -> list[str]:
    """List the experiments there are."""
    files = sorted(FOLDER.glob("paper_*/*.py"))
    return [f"{file.parent.name}/{file.stem}" for file in files if file.stem != "__init__"]


def find(name: str) -> Experiment:
    """Return the experiment of that name.

    Raises:
        ConfigurationError: there is none; the message lists those that exist.
    """
    if name not in names():
        raise unknown_name("experiment", name, names())
    module = importlib.import_module("experiments." + name.replace("/", "."))
    return Experiment(name, module.run, FOLDER / f"{name}.yaml", getattr(module, "FULL_ONLY", False))
