"""Paper A's churn analysis on the two other packaged tables: telephone customers and insurance buyers."""

from __future__ import annotations

from experiments.churn_claims import analysis_row
from experiments.experiment import Findings, Workspace
from experiments.run_folder import run_command

FULL_ONLY = True
NAME = "paper_a/churn_tables"
TABLES = ("mlc_churn", "caravan")


def run(workspace: Workspace) -> Findings:
    """Run the pipeline on each table and compare what it leaves with the paper's claims."""
    folders = [
        run_command(["pipeline=churn", "data=packaged", f"data.table={table}"], workspace.runs / NAME / table)
        for table in TABLES
    ]
    rows = [analysis_row(workspace.claims, NAME, table, folder) for table, folder in zip(TABLES, folders, strict=True)]
    return Findings(tuple(rows), runs=tuple(folder.path for folder in folders))
