"""A sweep: its jobs one by one or side by side, each in a folder of its own, and what they come to."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from hydra.core.override_parser.overrides_parser import OverridesParser
from tqdm import tqdm

from marketnn.command.compose import in_few_lines, launch
from marketnn.command.conclusion import conclude, is_refused
from marketnn.command.sweep_job import SweepJob
from marketnn.command.words import SWEEP
from marketnn.errors import ConfigurationError, InputError
from marketnn.tracking.folder import check_free, clear_run, remove_if_empty
from marketnn.tracking.links import refuse_links
from marketnn.tracking.sweep import job_states, read_jobs

LOOK_EVERY = 0.3  # seconds between two looks at the jobs' folders


def run_sweep(words: Sequence[str], primary: str, command: str) -> int:
    """Run every job of a sweep, compare them and print the comparison.

    Args:
        words: of the command line.
        primary: the configuration to start from.
        command: what was typed.

    Returns:
        The exit status: 0 if every job finished, 1 if one failed.

    Raises:
        InputError: the words cannot be composed, or every job was refused for the same reason; no folder is left.
    """
    words, folder = with_folder(words)
    swept, n_jobs = _swept(words)
    sweep = f"{time.time_ns():x}"
    if folder.is_dir():
        for entry in folder.iterdir():
            if entry.is_dir() and entry.name.isdigit():
                refuse_links(folder, entry.name)
                check_free(entry)

    job = SweepJob(sweep, swept, words, torch.get_num_threads(), command)
    try:
        with (
            _bar(folder, sweep, n_jobs),
            suppress(BrokenProcessPool),
        ):  # a process was killed: its job is told as stopped
            launch(job, words, primary)
        results = read_jobs(folder, sweep)
        if not results:
            raise InputError(
                "no job was begun: the launcher's processes were stopped; fewer at a time need less memory."
            )
        alike = {(result.kind, result.message) for result in results}
        if len(results) == n_jobs and len(alike) == 1 and is_refused(results[0]):
            for result in results:
                clear_run(result.folder)
                remove_if_empty(result.folder)
            raise InputError(results[0].message)
    finally:
        if folder.is_dir() and not job_states(folder, sweep):
            (folder / "multirun.yaml").unlink(missing_ok=True)
            remove_if_empty(folder)
    conclude(folder, results, n_jobs, command)
    return 1 if len(results) < n_jobs or any(result.failed for result in results) else 0


def with_folder(words: Sequence[str]) -> tuple[list[str], Path]:
    """Name the folder of a sweep before Hydra does, so that its jobs can be found."""
    for word in words:
        if word.startswith("hydra.sweep.dir="):
            folder = word.partition("=")[2].strip("'\"")
            if "$" in folder:
                raise ConfigurationError(f"{word}: jobs are looked for in this folder; write it out, without ${{...}}.")
            return list(words), Path(folder)
    dated = time.strftime("runs/%Y-%m-%d/%H-%M-%S-sweep")
    return [*words, f"hydra.sweep.dir={dated}"], Path(dated)


def _swept(words: Sequence[str]) -> tuple[list[str], int]:
    """Return the keys that have several values, in order, and how many combinations there are."""
    plain = [word for word in words if word not in SWEEP]
    with in_few_lines(plain):
        overrides = [each for each in OverridesParser.create().parse_overrides(plain) if each.is_sweep_override()]
    n_jobs = 1
    for each in overrides:
        n_jobs *= len(list(each.sweep_string_iterator()))
    return [each.key_or_group for each in overrides], n_jobs


@contextmanager
def _bar(folder: Path, sweep: str, n_jobs: int) -> Iterator[None]:
    """Show how many jobs have ended and which setting began last, by looking at their folders: jobs may run anywhere."""
    if not sys.stderr.isatty():
        yield
        return
    done = threading.Event()
    with tqdm(total=n_jobs, desc="sweep", unit="job") as bar:

        def look() -> None:
            while not done.wait(LOOK_EVERY):
                update()

        def update() -> None:
            states = job_states(folder, sweep) if folder.is_dir() else []
            bar.n = sum(ended for _, ended in states)
            running = [job for job, ended in states if not ended]
            if running:
                bar.set_postfix_str(f"{running[-1].setting} seed={running[-1].seed}", refresh=False)
            bar.refresh()

        watcher = threading.Thread(target=look, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()
            update()
