"""Run experiments that do not depend on each other in processes of their own, one thread each."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass

from tqdm import tqdm

from experiments.experiment import Findings, Workspace, find
from experiments.plan import FILE, read_plan
from marketnn.errors import InputError

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Done:
    """How an experiment ended.

    Attributes:
        name: of the experiment.
        findings: empty if it failed.
        seconds: that it took.
        failure: what went wrong, in one line; empty if nothing did.
    """

    name: str
    findings: Findings
    seconds: float
    failure: str = ""


def run_all(
    names: Sequence[str], workspace: Workspace, jobs: int, on_end: Callable[[Done], None] | None = None
) -> list[Done]:
    """Run the named experiments, at most ``jobs`` at a time; one that fails is told and the others go on.

    ``on_end`` is called with each as soon as it has ended.

    The results come in the order of the names. A number depends on how many threads add it up, so every process has one,
    and whatever ``jobs`` is, the numbers are the same.
    """
    longest_first = sorted(names, key=list(read_plan()).index)
    with _one_thread_each(), ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        running = {pool.submit(run_one, name, workspace): name for name in longest_first}
        try:
            ended = {}
            for done in watch(running):
                ended[done.name] = done
                if on_end is not None:
                    on_end(done)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [ended[name] for name in names]


def run_one(name: str, workspace: Workspace) -> Done:
    """Run an experiment and tell how it ended."""
    start = time.perf_counter()
    try:
        findings, failure = find(name).run(workspace), ""
        _check_owed(name, findings)
    except Exception as error:
        findings, failure = Findings(()), _words(error)
    return Done(name, findings, time.perf_counter() - start, failure)


def watch(running: dict[Future[Done], str]) -> Iterator[Done]:
    """Yield what ends, with a progress display."""
    waiting = list(running.values())
    with tqdm(total=len(running), desc="experiments", disable=not sys.stderr.isatty(), leave=False) as progress:
        for future in as_completed(running):
            try:
                done = future.result()
            except Exception as error:  # the process itself died
                done = Done(running[future], Findings(()), 0.0, _words(error))
            if done.failure:
                tqdm.write(f"experiments: {done.name} failed: {done.failure}", file=sys.stderr)
            waiting.remove(done.name)
            progress.set_postfix_str(f"left: {', '.join(waiting[:2])}" if waiting else "")
            progress.update()
            yield done


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Let processes that are started meanwhile, and theirs, use one thread."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _check_owed(name: str, findings: Findings) -> None:
    owed, given = set(read_plan()[name].items), {row.item for row in findings.rows}
    if owed != given:
        raise InputError(f"{FILE.name} and the rows differ in {', '.join(sorted(owed ^ given))}; name both alike.")


def _words(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
