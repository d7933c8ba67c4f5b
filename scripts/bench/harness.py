"""The harness: finds the engines, has every case measured in fresh processes, and writes an engine's results and page."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from bench import machine
from bench.case import Case, Options
from bench.measure import Record
from bench.overview import overview
from bench.results import Section, save, stored, write_atomically
from bench.table import page

from marketnn.errors import unknown_name

_CASES, _PROFILE = "cases_", "profile_"
_ALWAYS = ("marketnn", "torch", "numpy")


def engines() -> dict[str, str]:
    """Return engine -> the module of its cases, one for every file ``cases_<engine>.py`` beside this one."""
    return _modules(_CASES)


def profile_modules() -> dict[str, str]:
    """Return engine -> the module of its profile, one for every file ``profile_<engine>.py`` beside this one."""
    return _modules(_PROFILE)


def run_engine(
    engine: str,
    module: str,
    options: Options,
    *,
    names: Sequence[str] = (),
    slow: bool = False,
    repeats: int | None = None,
) -> Path:
    """Measure an engine's cases; after each, write its file ``<output>/<engine>/<case>.json`` and the page from all files.

    Args:
        engine: title of the page and name of the files.
        module: where its ``cases(options)`` is.
        options: for the cases.
        names: the cases to run; empty for all but the slow ones.
        slow: with no names, run the slow ones too.
        repeats: measured runs of each contender; ``None`` takes the case's own.

    Returns:
        The page, ``<output>/<engine>.md``.

    Raises:
        InputError: a case that does not exist, or what the engine's ``check_machine`` refuses, if it has one.
    """
    engine_module = importlib.import_module(module)
    cases = {case.name: case for case in engine_module.cases(options)}
    for name in names:
        if name not in cases:
            raise unknown_name("case", name, cases)
    if hasattr(engine_module, "check_machine"):
        engine_module.check_machine()
    folder = Path(options.output) / engine
    path = folder.with_suffix(".md")
    for case in [cases[name] for name in names] or [case for case in cases.values() if slow or not case.slow]:
        save(folder / f"{case.name}.json", _measure(module, case, options, repeats))
        write_page(engine, module, folder.parent)
    return path


def write_page(engine: str, module: str, output: Path) -> None:
    """Write an engine's page from its stored results, if there are any."""
    sections, unmeasured = stored(engine, module, output)
    if sections:
        write_atomically(output / f"{engine}.md", page(engine, sections, unmeasured))


def write_pages(root: Path) -> Path:
    """Write every page under a folder of benchmarks, and its front page, from the stored results; measures nothing."""
    for output in [root, *sorted(root.glob("*_threads"))]:
        for engine, module in engines().items():
            write_page(engine, module, output)
    return write_overview(root)


def write_overview(root: Path) -> Path:
    """Write the front page of a folder of benchmarks from the stored results."""
    path = root / "README.md"
    write_atomically(path, overview(root, engines()))
    return path


def write_profile(engine: str, module: str, options: Options) -> Path:
    """Profile an engine's smallest work in this process and write ``<output>/<engine>_profile.md``."""
    machine.limit_threads(options.threads)
    profile = importlib.import_module(module).profile
    machine.limit_loaded_libraries(options.threads)
    path = Path(options.output) / f"{engine}_profile.md"
    write_atomically(path, profile(options))
    return path


def _modules(prefix: str) -> dict[str, str]:
    found = sorted(Path(__file__).parent.glob(f"{prefix}*.py"))
    return {path.stem.removeprefix(prefix): f"bench.{path.stem}" for path in found}


def _measure(module: str, case: Case, options: Options, repeats: int | None) -> Section:
    """Measure a case's times in one process, then the memory of each contender that asks for it in its own."""
    records, stated = _ask(module, case, options, repeats, None)
    for name in case.memory:
        if records[name].problem is None:
            memory, _ = _ask(module, case, options, repeats, name)
            records[name].runs.extend(memory[name].runs)
            records[name].problem = memory[name].problem
    required = {name for contender in case.contenders for name in contender.requires}
    return Section(
        case,
        options.seed,
        options.threads,
        options.quick,
        stated,
        machine.describe(),
        machine.versions([*_ALWAYS, *sorted(required.difference(_ALWAYS))]),
        records,
    )


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
