"""The fields of paper A's customers and offers (tables 3.1-3.5, 4.2), under one spelling each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd
import yaml

from marketnn.errors import InputError, unknown_name

_FILE = Path(__file__).with_suffix(".yaml")
NAMED = ("Table 3.1", "Table 3.2", "Table 3.3", "Table 3.4", "Table 3.5")
PERIODS = {"12": (12, 0), "24": (24, 0), "3+9": (3, 9), "6+6": (6, 6), "12+12": (12, 12)}  # months of the two phases


@dataclass(frozen=True)
class Field:
    """A field as the paper names it.

    Attributes:
        name: its one spelling here.
        table: where it stands.
        meaning: in words.
        kind: ``number``, ``flag`` (0 or 1), ``category`` or ``text``.
        role: ``feature``, ``id``, ``target`` or ``derived``.
        spellings: others in the paper.
    """

    name: str
    table: str
    meaning: str
    kind: str
    role: str
    spellings: tuple[str, ...]


@cache
def fields() -> Mapping[str, Field]:
    """Return name -> field, in the paper's order."""
    read = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return {
        name: Field(
            name,
            table,
            entry["meaning"],
            entry["kind"],
            entry.get("role", "feature"),
            tuple(entry.get("spellings", ())),
        )
        for table, entries in read.items()
        for name, entry in entries.items()
    }


def normalised_name(name: str) -> str:
    """Return the one spelling of a field, whatever case or variant the paper has it in.

    Raises:
        ConfigurationError: no field is called so; the message names the nearest.
    """
    spelt = {field.name.lower(): field.name for field in fields().values()}
    spelt |= {other.lower(): field.name for field in fields().values() for other in field.spellings}
    if name.strip().lower() not in spelt:
        raise unknown_name("field", name, fields())
    return spelt[name.strip().lower()]


def period_type(front: pd.Series, after: pd.Series) -> pd.Series:
    """Name the phases of offers (n,): ``12`` for twelve months alone, ``3+9`` for three and then nine.

    Raises:
        InputError: a number of months that is negative or not whole, or no first phase.
    """
    for name, months in (("Period_front", front), ("Period_after", after)):
        wrong = ~((months >= 0) & (months % 1 == 0))
        if wrong.any():
            raise InputError(f"{name} is {months[wrong].iloc[0]}; write whole months from 0 on.")
    if (front == 0).any():
        raise InputError("Period_front is 0; an offer has a first phase.")
    first, second = front.astype(int).astype(str), after.astype(int).astype(str)
    return first.where(after == 0, first + "+" + second)


def added_traffic(offered: pd.Series, present: pd.Series) -> pd.Series:
    """Return ``Inclu_flh_up`` (n,): the offer's traffic less that of the present plan, in its unit."""
    return offered - present
