"""Compute the papers' claims: ``python -m experiments [NAME ...] [--reports DIR] [--full]``."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from experiments.claims import load_claims
from experiments.experiment import Experiment, Findings, Workspace, find, names
from experiments.ledger import assemble, write_ledger
from experiments.pages import Outcome, headlines, terminal_table, write_html, write_markdown
from marketnn.errors import InputError

RUNS = Path("runs/reproduction")


def main(argv: Sequence[str] | None = None) -> int:
    """Run experiments and write the ledger.

    Returns:
        0 when all ran, 1 when one failed (the others finish), 2 for an unknown name.
    """
    arguments = _parser().parse_args(argv)
    try:
        chosen = [find(name) for name in arguments.names or names()]
    except InputError as error:
        print(f"experiments: {error}", file=sys.stderr)
        return 2
    if not arguments.names and not arguments.full:
        chosen = [experiment for experiment in chosen if not experiment.full_only]
    outcome = _run(chosen, Workspace(load_claims(), RUNS))
    reports = Path(arguments.reports)
    write_ledger(reports / "reproduction.json", outcome.rows)
    write_markdown(reports / "reproduction.md", outcome)
    write_html(reports / "reproduction.html", outcome)
    print(terminal_table(outcome.rows), "", *headlines(outcome), sep="\n")
    print(f"report: {reports / 'reproduction.html'}", f"TensorBoard: {outcome.tensorboard}", sep="\n")
    return 1 if outcome.failures else 0


def _run(chosen: Sequence[Experiment], workspace: Workspace) -> Outcome:
    """Run every experiment; one that fails is named and the others go on."""
    findings: list[Findings] = []
    failures = {}
    progress = tqdm(chosen, desc="experiments", unit="experiment", disable=not sys.stderr.isatty(), leave=False)
    for experiment in progress:
        progress.set_postfix_str(experiment.name)
        try:
            findings.append(experiment.run(workspace))
        except Exception as error:
            failures[experiment.name] = " ".join(f"{type(error).__name__}: {error}".split())
            tqdm.write(f"experiments: {experiment.name} failed: {failures[experiment.name]}", file=sys.stderr)
    return Outcome(
        rows=assemble(row for found in findings for row in found.rows),
        figures=[figure for found in findings for figure in found.figures],
        runs=[run for found in findings for run in found.runs],
        failures=failures,
        tensorboard=f"tensorboard --logdir {shlex.quote(workspace.runs.as_posix())}",
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m experiments", description="Compute the papers' claims.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of: {', '.join(names())}; all without a name")
    parser.add_argument("--reports", default="reports", metavar="DIR", help="where the ledger goes (reports)")
    parser.add_argument("--full", action="store_true", help="also those that only repeat a claim on further data")
    return parser


if __name__ == "__main__":
    sys.exit(main())
