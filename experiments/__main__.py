"""Compute the papers' claims: ``python -m experiments [NAME ...] [--reports DIR] [--full] [--jobs N]``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.claims import load_claims
from experiments.experiment import Experiment, Workspace, find, names
from experiments.html_page import write_html
from experiments.kept import Kept, identity
from experiments.ledger import write_ledger
from experiments.outcome import collect
from experiments.pages import headlines, terminal_table, write_markdown
from experiments.running import run_all
from marketnn.errors import InputError

RUNS = Path("runs/reproduction")


def main(argv: Sequence[str] | None = None) -> int:
    """Run experiments and write the ledger; what an earlier call found before it was stopped is not computed again.

    Returns:
        0 when all ran, 1 when one failed (the others finish), 2 for an unknown name.
    """
    arguments = _parser().parse_args(argv)
    try:
        asked = [find(name) for name in arguments.names]
    except InputError as error:
        print(f"experiments: {error}", file=sys.stderr)
        return 2
    chosen = asked or default_choice([find(name) for name in names()], full=arguments.full)
    workspace = Workspace(load_claims(), RUNS, full=arguments.full)
    kept = Kept(workspace, identity())
    earlier = {experiment.name: done for experiment in chosen if (done := kept.load(experiment.name)) is not None}
    if earlier:
        print(f"experiments: {len(earlier)} of {len(chosen)} stand from a call that was stopped.", file=sys.stderr)
    left = [experiment.name for experiment in chosen if experiment.name not in earlier]
    outcome = collect([*earlier.values(), *run_all(left, workspace, arguments.jobs, kept.save)], workspace)
    reports = Path(arguments.reports)
    write_ledger(reports / "reproduction.json", outcome.rows)
    write_markdown(reports / "reproduction.md", outcome)
    write_html(reports / "reproduction.html", outcome)
    kept.clear()
    print(terminal_table(outcome.rows), "", *headlines(outcome), sep="\n")
    print(f"report: {reports / 'reproduction.html'}", f"TensorBoard: {outcome.facts['TensorBoard']}", sep="\n")
    return 1 if outcome.failures else 0


def default_choice(experiments: Sequence[Experiment], *, full: bool) -> list[Experiment]:
    """Return the experiments that run when none is named."""
    return [experiment for experiment in experiments if full or not experiment.full_only]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m experiments", description="Compute the papers' claims.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of: {', '.join(names())}; all without a name")
    parser.add_argument("--reports", default="reports", metavar="DIR", help="where the ledger goes (reports)")
    parser.add_argument(
        "--full",
        action="store_true",
        help="the published sizes, and the experiments that repeat a claim on further data",
    )
    parser.add_argument(
        "--jobs", type=_count, default=os.cpu_count() or 1, metavar="N", help="how many run at a time (one per core)"
    )
    return parser


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of at least 1; say --jobs 2")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
