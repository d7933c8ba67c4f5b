"""What the jobs of a sweep come to: the summary beside their folders, and the short of it for the terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from marketnn.command.job import shortest
from marketnn.redact import redact
from marketnn.report.page import cell_text
from marketnn.report.sweep_page import main_metrics, render_sweep
from marketnn.spelling import counted
from marketnn.tracking.files import write_text
from marketnn.tracking.hparams import write_experiment
from marketnn.tracking.spreadsheet import csv_text
from marketnn.tracking.sweep import UNFINISHED, JobResult, comparison_table, metric_names, summary_table

NAMED = 5  # failed jobs at most in the headlines


def conclude(
    folder: Path, results: Sequence[JobResult], n_jobs: int, command: str, best: Sequence[str] | None = None
) -> None:
    """Write the summary beside the jobs' folders and print the short of it.

    Args:
        folder: above the jobs' folders.
        results: of the jobs that were begun.
        n_jobs: how many there should be.
        command: what was typed.
        best: what to say first, instead of a table of all settings.
    """
    summary, comparison = summary_table(results), comparison_table(results)
    write_text(folder / "summary.csv", csv_text(summary))
    write_text(folder / "comparison.csv", csv_text(comparison))
    for earlier in folder.glob("events.out.tfevents.*"):
        earlier.unlink()
    keys = dict.fromkeys(key for result in results for key in result.job.settings)
    values = {key: [result.job.settings[key] for result in results if key in result.job.settings] for key in keys}
    write_experiment(folder, values, metric_names(results))
    failed = [result for result in results if result.failed]
    settings = summary["setting"].nunique()
    headlines = [
        *(best or ()),
        f"{counted(len(results), 'job')}, {counted(settings, 'setting')}, {len(failed)} failed.",
    ]
    kept = sum(result.job.kept for result in results)
    if kept:
        headlines.append(
            f"Finished before and not run again: {counted(kept, 'job')}; remove a job's folder to repeat it."
        )
    if len(results) < n_jobs:
        headlines.append(f"Stopped processes: {counted(n_jobs - len(results), 'job')} were never begun.")
    headlines += [
        f"Job {row.job} ({row.setting}, seed {row.seed}) failed: {row.failure}" for row in _failed(summary)[:NAMED]
    ]
    if len(failed) > NAMED:
        headlines.append(f"{counted(len(failed) - NAMED, 'more job')} failed; summary.csv says why.")
    facts = {"command": redact(command), "folder": str(shortest(folder.resolve()))}
    write_text(folder / "summary.html", render_sweep(summary, comparison, headlines, facts))
    print(*(_short_table(comparison) if best is None else ()), *headlines, sep="\n")
    for result in failed:
        if _is_bug(result):
            print(result.message, file=sys.stderr)
    print(f"summary: {shortest(folder.resolve() / 'summary.html')}")


def _failed(summary: pd.DataFrame) -> list[Any]:
    return list(summary[summary["status"] == "failed"].itertuples(index=False))


def _short_table(comparison: pd.DataFrame) -> list[str]:
    """Write the main metrics of every setting, with the difference to the first, for the terminal."""
    lines = []
    for metric in main_metrics(comparison):
        rows = comparison[comparison["metric"] == metric].drop(columns=["metric", "n_shared", "half_width"])
        shown = (
            rows.map(cell_text) if len(rows) > 1 else rows.drop(columns=["difference", "low", "high"]).map(cell_text)
        )
        lines += [metric, shown.to_string(index=False), ""]
    return lines


def is_refused(result: JobResult) -> bool:
    """Whether the caller can repair what failed: neither a stopped process nor a fault of the program's."""
    return result.failed and result.message != UNFINISHED and not _is_bug(result)


def _is_bug(result: JobResult) -> bool:
    return result.message.startswith("Traceback")
