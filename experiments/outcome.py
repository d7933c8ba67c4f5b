"""What a call of ``python -m experiments`` found, put together from the experiments' ends."""

from __future__ import annotations

import os
import platform
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from experiments.experiment import Picture, Workspace, find
from experiments.ledger import Row, assemble, not_computed
from experiments.plan import paper_of, read_plan
from experiments.running import Done
from experiments.settings import seed_words, size_notes
from marketnn.tracking.run import installed_versions


@dataclass(frozen=True)
class Report:
    """What the pages say of one experiment beside its rows.

    Attributes:
        seconds: that it took.
        seeds: which seeds and runs, in words.
        runs: its run folders.
        commands: that run the same for a user, or a sentence why there is none.
        failure: what went wrong; empty if nothing did.
    """

    seconds: float
    seeds: str
    runs: tuple[Path, ...]
    commands: str
    failure: str = ""


@dataclass(frozen=True)
class Outcome:
    """The whole.

    Attributes:
        rows: the ledger, sorted.
        pictures: of all experiments, in the order of the rows that they belong to.
        reports: experiment -> what else is told of it.
        facts: name -> value: machine, versions and where to look.
    """

    rows: Sequence[Row]
    pictures: Sequence[tuple[str, Picture]]
    reports: Mapping[str, Report]
    facts: Mapping[str, str]

    @property
    def failures(self) -> dict[str, str]:
        """Experiment -> message, of those that failed."""
        return {name: report.failure for name, report in self.reports.items() if report.failure}


def collect(ended: Iterable[Done], workspace: Workspace) -> Outcome:
    """Put the ends of experiments together: a failed one gives the rows that it owes, saying so."""
    ended = sorted(ended, key=lambda done: done.name)
    rows = assemble(row for done in ended for row in _rows(done, workspace))
    place = {(row.paper, row.item): number for number, row in enumerate(rows)}
    pictures = [(paper_of(done.name), picture) for done in ended for picture in done.findings.pictures]
    pictures.sort(key=lambda drawn: place[drawn[0], drawn[1].items[0]])
    return Outcome(rows, pictures, {done.name: _report(done) for done in ended}, _facts(workspace))


def _rows(done: Done, workspace: Workspace) -> list[Row]:
    """Return an experiment's rows, each with the size that it was computed at."""
    if done.failure:
        why = f"the experiment failed: {done.failure}"
        return [not_computed(paper_of(done.name), item, done.name, why) for item in read_plan()[done.name].items]
    notes = size_notes(find(done.name).settings, full=workspace.full)
    return [
        replace(row, reason=f"{row.reason} {notes[row.item]}") if row.item in notes else row
        for row in done.findings.rows
    ]


def _report(done: Done) -> Report:
    entry = read_plan()[done.name]
    commands = ", ".join(f"marketnn experiment={config}" for config in entry.configs)
    seeds = seed_words(find(done.name).settings) or entry.seeds
    return Report(done.seconds, seeds, done.findings.runs, commands or entry.no_config, done.failure)


def _facts(workspace: Workspace) -> dict[str, str]:
    sizes = "published" if workspace.full else "reduced where a row says so; --full takes the published ones"
    return {
        "sizes": sizes,
        "every number": "reproduction.json, with its tolerance",
        "as printed": "experiments/published",
        "TensorBoard": f"tensorboard --logdir {shlex.quote(workspace.runs.as_posix())}",
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores; a process has one thread",
        "versions": ", ".join(f"{name} {version}" for name, version in installed_versions().items()),
    }
