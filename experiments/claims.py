"""What the papers print and what is wrong in it, read from YAML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent / "published"


@dataclass(frozen=True)
class Claims:
    """The printed numbers and their errata.

    Attributes:
        printed: paper (``A``, ``B``) -> item (``Equation 2.7``) -> what is printed there.
        errata: paper -> item -> ``finding`` (a text) and named [printed, repaired] pairs.
    """

    printed: Mapping[str, Mapping[str, Any]]
    errata: Mapping[str, Mapping[str, Any]]

    def constants(self, paper: str, item: str) -> dict[str, float]:
        """Return the printed constants of an equation."""
        return dict(self.printed[paper][item]["constants"])

    def repairs(self, paper: str, item: str) -> dict[str, tuple[float, float]]:
        """Return the printed and the repaired value of each constant of an equation that has an erratum."""
        return {name: (pair[0], pair[1]) for name, pair in self.errata[paper][item].get("constants", {}).items()}

    def repaired(self, paper: str, item: str) -> dict[str, float]:
        """Return the constants of an equation after repair."""
        repairs = self.repairs(paper, item)
        return self.constants(paper, item) | {name: repaired for name, (_, repaired) in repairs.items()}

    def finding(self, paper: str, item: str) -> str:
        """Return what the errata say of an item, in words."""
        return self.errata[paper][item]["finding"]


def load_claims(folder: Path = FOLDER) -> Claims:
    """Read ``paper_*.yaml`` and ``errata.yaml``."""
    files = sorted(folder.glob("paper_*.yaml"))
    printed = {file.stem.removeprefix("paper_").upper(): read_yaml(file) for file in files}
    return Claims(printed, read_yaml(folder / "errata.yaml"))


def last_place(text: str) -> float:
    """Return the value of one unit in the last place of a printed number: ``0.0123`` -> 0.0001."""
    exponent = Decimal(text).as_tuple().exponent
    return float(Decimal((0, (1,), int(exponent))))


def read_yaml(file: Path) -> Any:
    """Read plain values from YAML, nothing else."""
    return yaml.safe_load(file.read_text(encoding="utf-8"))
