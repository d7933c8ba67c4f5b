"""Show what a table's columns would be used for, and what stands in the way, before any model is run."""

from __future__ import annotations

from dataclasses import dataclass

from marketnn.pipeline.parts import Parts
from marketnn.spelling import counted
from marketnn.tracking import Run

N_STAGES = 1


@dataclass(frozen=True)
class Config:
    """Nothing to set."""


def run(config: Config, parts: Parts, out: Run) -> None:
    """Read the table and list the role of every column, how it was inferred and any problem."""
    with out.stage("columns"):
        table = parts.table()
        columns = table.schema.frame()
        problems = columns[columns["problem"] != ""]
    out.headline(
        f"{table.source}: {len(table.frame):,} rows, {len(columns)} columns, {len(table.schema.features)} features."
    )
    for problem in problems["problem"]:
        out.headline(f"To repair: {problem}")
    missing = columns[(columns["missing"] > 0) & columns["column"].isin(table.schema.features)]
    if len(missing):
        out.headline(
            f"Missing values in {counted(len(missing), 'feature')}; choose data.missing=drop or data.missing=median."
        )
    out.section("Columns", "Change a role with data.target, data.id, data.drop, data.leakage or data.categorical.")
    out.table("columns", columns, "Roles of the columns")
    out.metric(
        n_rows=len(table.frame), n_columns=len(columns), n_features=len(table.schema.features), n_problems=len(problems)
    )
    out.printed(columns.drop(columns="problem").to_string(index=False))
