"""The projects that customers can be marketed: a file with a row per project (paper B, section II.B).

Columns of the file, of which the first three are needed:

    project      its name
    revenue      what an order brings, R, from 0 on
    column       the customers' column with what came of it (0/1 or yes/no), or with its propensity in [0, 1]
    above        a number column counts as an order where it exceeds this; empty: it is 0/1 or a propensity itself
    basis        ``score``: each customer's own (the default), or ``segment``: the mean of the customer's segment
    fixed_cost   paid if anybody is marketed it; empty is 0
    cost         of one contact; empty is 0
    capacity     most customers; empty is no limit
    channel      what its contacts go through; empty is the project's name
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
import pandas as pd

from marketnn.data import csv
from marketnn.data.columns import type_columns
from marketnn.errors import InputError, rows_text, unknown_name

Basis = Literal["score", "segment"]
NEEDED = ("project", "revenue", "column")
BASES = ("score", "segment")
_TEXTS = ("project", "column", "basis", "channel")
_NUMBERS = ("revenue", "above", "fixed_cost", "cost", "capacity")


@dataclass(frozen=True)
class Project:
    """A project.

    Attributes:
        name: of the project.
        revenue: of an order, R.
        column: the customers' column with the outcome or the propensity.
        above: a number column is an outcome where it exceeds this; ``None`` takes it as it is.
        basis: ``score``, each customer's own, or ``segment``, the segment's mean.
        fixed_cost: paid if anybody is marketed it.
        cost: of one contact.
        capacity: most customers; ``None`` is no limit.
        channel: what its contacts go through.
    """

    name: str
    revenue: float
    column: str
    above: float | None = None
    basis: Basis = "score"
    fixed_cost: float = 0.0
    cost: float = 0.0
    capacity: int | None = None
    channel: str = ""


def read_projects(path: str) -> tuple[Project, ...]:
    """Read the projects of a CSV file, in its order.

    Raises:
        InputError: no such file, a missing or unknown column, an empty cell where one is needed, repeated names, a number that is
            negative, or a capacity that is not whole.
    """
    raw = csv.read(csv.Config(path=path))
    source, names = raw.source, [str(name).strip() for name in raw.frame.columns]
    missing = [name for name in NEEDED if name not in names]
    if missing:
        raise InputError(
            f"{source}: the projects' column '{missing[0]}' is not there; give {', '.join(NEEDED)}, and if needed "
            "above, basis, fixed_cost, cost, capacity, channel."
        )
    for name in names:
        if name not in (*_TEXTS, *_NUMBERS):
            raise InputError(f"{source}: {unknown_name('column of the projects', name, (*_TEXTS, *_NUMBERS))}")
    frame = type_columns(raw.frame.set_axis(names, axis="columns"), source=source, as_text=_TEXTS)
    if frame.empty:
        raise InputError(f"{source}: there is a header and no project; give a row for each.")
    _check(frame, source)
    return tuple(_project(row) for row in frame.reindex(columns=[*_TEXTS, *_NUMBERS]).to_dict("records"))


def _check(frame: pd.DataFrame, source: str) -> None:
    for name in NEEDED:
        empty = frame[name].isna().to_numpy()
        if empty.any():
            raise InputError(f"{source}: '{name}' is empty in {rows_text(empty)}; every project needs one.")
    repeated = frame["project"].duplicated().to_numpy()
    if repeated.any():
        raise InputError(f"{source}: project '{frame['project'][repeated].iloc[0]}' stands twice; rename one.")
    for name in (name for name in _NUMBERS if name in frame):
        values = frame[name]
        if not pd.api.types.is_numeric_dtype(values.dtype):
            raise InputError(f"{source}: '{name}' is text, such as '{values.dropna().iloc[0]}'; give numbers.")
        kind = "a whole number from 0 on" if name == "capacity" else "0 or more"
        wrong = ((values < 0) if name != "capacity" else (values < 0) | (values % 1 > 0)).to_numpy()
        if name != "above" and wrong.any():
            raise InputError(f"{source}: {name} is {values[wrong].iloc[0]:g} in {rows_text(wrong)}; give {kind}.")
    if "basis" in frame:
        wrong = ~(frame["basis"].isna() | frame["basis"].isin(BASES)).to_numpy()
        if wrong.any():
            raise InputError(f"{source}: {unknown_name('basis', frame['basis'][wrong].iloc[0], BASES)}")


def _project(row: dict[str, str | float]) -> Project:
    """Turn a row into a project; an empty cell leaves the default."""
    given = {key: value for key, value in row.items() if value is not None and value == value}
    name = str(given["project"])
    return Project(
        name=name,
        revenue=float(given["revenue"]),
        column=str(given["column"]),
        above=float(given["above"]) if "above" in given else None,
        basis=cast("Basis", given.get("basis", "score")),
        fixed_cost=float(given.get("fixed_cost", 0.0)),
        cost=float(given.get("cost", 0.0)),
        capacity=int(given["capacity"]) if "capacity" in given else None,
        channel=str(given.get("channel", name)),
    )


def project_table(projects: tuple[Project, ...]) -> pd.DataFrame:
    """Return a row per project with its numbers."""
    frame = pd.DataFrame([vars(project) for project in projects]).rename(columns={"name": "project"})
    return frame.assign(capacity=frame["capacity"].astype(np.float64))
