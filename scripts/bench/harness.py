"""The harness: finds the engines, has every case measured in fresh processes, and writes an engine's table."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from bench import machine
from bench.case import Case, Options
from bench.measure import Record
from bench.table import Section, page, write_atomically

from marketnn.errors import unknown_name

_PREFIX = "cases_"
_ALWAYS = ("marketnn", "torch", "numpy")


def engines() -> dict[str, str]:
    """Return engine -> the module of its cases, one for every file ``cases_<engine>.py`` beside this one."""
    found = sorted(Path(__file__).parent.glob(f"{_PREFIX}*.py"))
    return {path.stem.removeprefix(_PREFIX): f"bench.{path.stem}" for path in found}


def run_engine(
    engine: str,
    module: str,
    options: Options,
    *,
    command: str,
    names: Sequence[str] = (),
    threads: Sequence[int] = (1,),
    repeats: int | None = None,
) -> Path:
    """Measure an engine's cases and write ``<output>/<engine>.md``, anew after every case.

    Args:
        engine: title of the page and name of the file.
        module: where its ``cases(options)`` is.
        options: for the cases; ``threads`` is replaced by each of ``threads``.
        command: the command line, for the page.
        names: the cases to run; empty for all.
        threads: numbers of cores; each case is run with each.
        repeats: measured runs of each contender; ``None`` takes the case's own.

    Returns:
        The file.

    Raises:
        ConfigurationError: a case that does not exist.
    """
    cases = {case.name: case for case in importlib.import_module(module).cases(options)}
    for name in names:
        if name not in cases:
            raise unknown_name("case", name, cases)
    chosen = [cases[name] for name in names or cases]
    required = {name for case in chosen for contender in case.contenders for name in contender.requires}
    versions = machine.versions([*_ALWAYS, *sorted(required.difference(_ALWAYS))])
    path = Path(options.output) / f"{engine}.md"
    sections: list[Section] = []
    for case in chosen:
        for count in threads:
            sections.append(_measure(module, case, replace(options, threads=count), repeats))
            write_atomically(path, page(engine, sections, options, command=command, versions=versions))
    return path


def _measure(module: str, case: Case, options: Options, repeats: int | None) -> Section:
    """Measure a case's times in one process, then the memory of each contender that asks for it in its own."""
    records, stated = _ask(module, case, options, repeats, None)
    for name in case.memory:
        if records[name].problem is None:
            memory, _ = _ask(module, case, options, repeats, name)
            records[name].runs.extend(memory[name].runs)
            records[name].problem = memory[name].problem
    return Section(case, options.threads, stated, records)


def _ask(
    module: str, case: Case, options: Options, repeats: int | None, contender: str | None
) -> tuple[dict[str, Record], str]:
    """Start the process that measures, and return name -> what each gave, and the threads that it stated."""
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        request = {
            "engine": module,
            "options": asdict(options),
            "case": case.name,
            "repeats": repeats,
            "contender": contender,
            "answer": str(answer),
        }
        environment = {
            **os.environ,
            **machine.thread_environment(options.threads),
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        ended = subprocess.run(
            [sys.executable, "-m", "bench.measure", json.dumps(request)], env=environment, check=False
        )
        if ended.returncode:
            names = [contender] if contender else [c.name for c in case.contenders]
            problem = f"failed: the process that measures ended with status {ended.returncode}"
            return {name: Record([], problem) for name in names}, "not stated"
        content = json.loads(answer.read_text())
    return {name: Record(**record) for name, record in content["records"].items()}, content["threads"]
