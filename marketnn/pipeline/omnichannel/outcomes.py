"""What a customers' column says of a project: an outcome to learn, or a propensity to take as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from marketnn.data import Table
from marketnn.data.projects import Project, read_projects
from marketnn.data.schema import is_number
from marketnn.errors import InputError, rows_text, unknown_name
from marketnn.pipeline.omnichannel.config import Config

CURRENT, TARGETED = "current", "targeted"  # the projects of the rule


@dataclass(frozen=True)
class Outcome:
    """A column read.

    Attributes:
        values: (n,) 0 or 1 where it is to be learnt, otherwise in [0, 1].
        learnt: whether scores are learnt from it; else it is the propensity.
    """

    values: np.ndarray
    learnt: bool


def read_outcome(table: Table, column: str, above: float | None, key: str) -> Outcome:
    """Read a column as an outcome or a propensity.

    Args:
        table: of the customers.
        column: its name.
        above: numbers beyond it are orders; ``None`` takes 0/1, two classes such as yes and no, or numbers in [0, 1].
        key: who names the column, for messages.

    Raises:
        InputError: no such column, missing values, numbers outside [0, 1], text of other than two classes, or one value only.
    """
    if column not in table.frame.columns:
        raise InputError(f"{table.source}: {unknown_name(f'column in {key}', column, table.frame.columns)}")
    table.refuse_missing([column])
    values = table.frame[column]
    if above is not None:
        if not is_number(values):
            raise InputError(f"{table.source}: column '{column}' is text; above needs numbers.")
        outcome = Outcome((values > above).to_numpy(dtype=float), learnt=True)
    elif is_number(values) and not set(values.unique()) <= {0.0, 1.0}:
        outside = ~values.between(0, 1).to_numpy()
        if outside.any():
            rows = rows_text(table.row_numbers[outside] - 1)
            raise InputError(
                f"{table.source}: column '{column}' of {key} is {values[outside].iloc[0]:g} in {rows}: no probability "
                "in [0, 1];\ndivide percentages by 100, or say from where on it is an order (above, pipeline.outcome_above)."
            )
        return Outcome(values.to_numpy(dtype=float), learnt=False)
    else:
        own = column == table.options.target
        options = replace(table.options, target=column, positive=table.options.positive if own else None)
        outcome = Outcome(replace(table, options=options).binary_target()[0].astype(float), learnt=True)
    if outcome.values.min() == outcome.values.max():
        raise InputError(
            f"{table.source}: column '{column}' of {key} is the same outcome in every row; there is nothing to learn."
        )
    return outcome


def offered(table: Table, config: Config) -> tuple[Project, ...]:
    """Return the projects: those of the file, or of the rule.

    Raises:
        InputError: no projects and no outcome, or a file that cannot be used.
    """
    if config.projects is not None:
        return read_projects(config.projects)
    column = config.outcome or table.options.target
    if column is None:
        raise InputError(
            f"{table.source}: nothing says who orders; pass data.target=..., pipeline.outcome=... (with pipeline.outcome_above "
            "for a number),\nor pipeline.projects=FILE.csv with a column for each project."
        )
    above, n = config.outcome_above, len(table.frame)
    return (
        Project(CURRENT, config.current_revenue, column, above, "segment", cost=config.current_cost, channel=CURRENT),
        Project(
            TARGETED,
            config.targeted_revenue,
            column,
            above,
            fixed_cost=config.targeted_fixed_cost,
            cost=config.targeted_cost,
            capacity=round(config.targeted_share * n),
            channel=TARGETED,
        ),
    )


def current_place(projects: Sequence[Project], config: Config) -> int:
    """Return the position of today's project.

    Raises:
        InputError: no project of that name.
    """
    names = [project.name for project in projects]
    if config.current is None:
        return 0
    if config.current not in names:
        raise unknown_name("project in pipeline.current", config.current, names)
    return names.index(config.current)
