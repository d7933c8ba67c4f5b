"""A sweep: its jobs one by one or side by side, each in a folder of its own, and what they come to."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf
from tqdm import tqdm

from marketnn.command.compose import in_few_lines, launch, refusal
from marketnn.command.job import choices, execute, shortest
from marketnn.command.words import SWEEP
from marketnn.errors import ConfigurationError, InputError
from marketnn.redact import redact
from marketnn.report.page import cell_text
from marketnn.report.sweep_page import main_metrics, render_sweep
from marketnn.spelling import counted
from marketnn.tracking.files import write_text
from marketnn.tracking.folder import check_free, clear_run, remove_if_empty, write_failure
from marketnn.tracking.hparams import write_experiment, write_failed_session
from marketnn.tracking.links import refuse_links
from marketnn.tracking.run import installed_versions
from marketnn.tracking.spreadsheet import csv_text
from marketnn.tracking.sweep import (
    UNFINISHED,
    Job,
    JobResult,
    begin_job,
    comparison_table,
    job_states,
    keep_job,
    metric_names,
    read_jobs,
    summary_table,
)

if TYPE_CHECKING:
    from omegaconf import DictConfig

NAMED = 5  # failed jobs at most in the headlines
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
    words, folder = _with_folder(words)
    swept, n_jobs = _swept(words)
    sweep = f"{time.time_ns():x}"
    threads = torch.get_num_threads()  # a launcher's processes would choose another number, and round otherwise
    if folder.is_dir():
        for entry in folder.iterdir():
            if entry.is_dir() and entry.name.isdigit():
                refuse_links(folder, entry.name)
                check_free(entry)

    def job(composed: DictConfig) -> None:
        config = HydraConfig.get()
        job_folder, number = Path(config.runtime.output_dir), config.job.num
        own = _values(config.overrides.task)
        plain: Any = OmegaConf.to_container(composed)
        settings = {**choices(plain), **{key: own[key] for key in swept if key in own}}
        shown = [key for key in swept if key != "seed" and key in own] or ["pipeline", "data"]
        setting = " ".join(f"{key}={settings[key]}" for key in shown if key in settings)
        overrides = [redact(word) for word in config.overrides.task]
        record, text = Job(sweep, number, overrides, setting, settings["seed"], settings), OmegaConf.to_yaml(composed)
        if keep_job(job_folder, record, redact(text), _versions(plain, threads)):
            return
        begin_job(job_folder, record)
        started = time.time()
        try:
            execute(
                OmegaConf.to_container(composed, resolve=True),  # type: ignore[arg-type]
                job_folder,
                threads=threads,
                config_text=text,
                command=command,
                session={"settings": settings, "group": setting},
                quiet=True,
            )
        except Exception as error:
            message = refusal(error, words) or traceback.format_exc()
            with suppress(OSError):  # a disk that is full takes no note either: the job then counts as stopped
                write_failure(job_folder, type(error).__name__, message, redact(text))
                write_failed_session(job_folder, settings, setting, started)

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
        if len(results) == n_jobs and len(alike) == 1 and _is_refused(results[0]):
            for result in results:
                clear_run(result.folder)
                remove_if_empty(result.folder)
            raise InputError(results[0].message)
    finally:
        if folder.is_dir() and not job_states(folder, sweep):
            (folder / "multirun.yaml").unlink(missing_ok=True)
            remove_if_empty(folder)
    _conclude(folder, results, n_jobs, command)
    return 1 if len(results) < n_jobs or any(result.failed for result in results) else 0


def _with_folder(words: Sequence[str]) -> tuple[list[str], Path]:
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


def _versions(settings: Mapping[str, Any], threads: int) -> dict[str, str]:
    """Name what a job's numbers depend on besides its configuration and data."""
    device = settings.get("device")
    own = device.get("threads") if isinstance(device, Mapping) else None
    return {**installed_versions(), "threads": str(own or threads)}


def _values(words: Sequence[str]) -> dict[str, bool | float | str]:
    """Return key -> value of a job's own words; lists and groups of keys as they were typed."""
    overrides = OverridesParser.create().parse_overrides(list(words))
    return {
        each.key_or_group: value
        if isinstance(value := each.value(), (bool, int, float, str))
        else each.get_value_string()
        for each in overrides
    }


def _is_refused(result: JobResult) -> bool:
    """Whether the caller can repair what failed: neither a stopped process nor a fault of the program's."""
    return result.failed and result.message != UNFINISHED and not _is_bug(result)


def _is_bug(result: JobResult) -> bool:
    return result.message.startswith("Traceback")


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


def _conclude(folder: Path, results: Sequence[JobResult], n_jobs: int, command: str) -> None:
    """Write the summary beside the jobs' folders and print the short of it."""
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
    headlines = [f"{counted(len(results), 'job')}, {counted(settings, 'setting')}, {len(failed)} failed."]
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
    print(*_short_table(comparison), *headlines, sep="\n")
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
