"""What each experiment answers for: its rows of the ledger, and the ``marketnn experiment=...`` that goes further."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from experiments.claims import read_yaml

FILE = Path(__file__).with_suffix(".yaml")


@dataclass(frozen=True)
class Entry:
    """The plan of one experiment.

    Attributes:
        items: of the ledger, ``Equation 2.7`` or a further claim in words.
        answers: the questions it was planned for.
        configs: YAML files under ``configs/experiment`` that run the same on the command line.
        no_config: why there is none.
        seeds: those that do not stand in the YAML beside the experiment.
    """

    items: tuple[str, ...]
    answers: tuple[str, ...] = ()
    configs: tuple[str, ...] = ()
    no_config: str = ""
    seeds: str = ""


@cache
def read_plan() -> dict[str, Entry]:
    """Return the entry of every experiment, the longest to compute first."""
    return {
        name: Entry(
            items=tuple(told["items"]),
            answers=tuple(told.get("answers", ())),
            configs=tuple(told.get("configs", ())),
            no_config=told.get("no_config", ""),
            seeds=told.get("seeds", ""),
        )
        for name, told in read_yaml(FILE).items()
    }


def paper_of(name: str) -> str:
    """Return ``A`` for an experiment of ``paper_a``."""
    return name.partition("/")[0].removeprefix("paper_").upper()
