"""Runs of the ``marketnn`` command, started and read as a user would: a process of its own, then the files it left."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.claims import read_yaml
from marketnn.errors import InputError

CHECKOUT = Path(__file__).parent.parent


@dataclass(frozen=True)
class RunFolder:
    """A finished run's files."""

    path: Path

    @cached_property
    def metrics(self) -> dict[str, float]:
        """``metrics.json``."""
        return json.loads((self.path / "metrics.json").read_text(encoding="utf-8"))

    @cached_property
    def config(self) -> dict[str, Any]:
        """``config.yaml``."""
        return read_yaml(self.path / "config.yaml")

    def table(self, name: str) -> pd.DataFrame:
        """Read ``tables/<name>.csv``, every cell as text."""
        return pd.read_csv(self.path / "tables" / f"{name}.csv", dtype=str, keep_default_na=False)


def run_command(words: Sequence[str], folder: Path) -> RunFolder:
    """Run ``marketnn`` with these words and return the folder it filled.

    Raises:
        InputError: the command failed; the message is its own.
    """
    quoted = str(folder.resolve()).replace("\\", "\\\\").replace("'", "\\'")
    command = [sys.executable, "-m", "marketnn.cli", *words, f"hydra.run.dir='{quoted}'"]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if done.returncode:
        last_lines = "\n".join(done.stderr.strip().splitlines()[-3:])
        raise InputError(f"'marketnn {' '.join(words)}' ended with status {done.returncode}:\n{last_lines}")
    return RunFolder(folder)
