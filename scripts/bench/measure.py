"""The process that measures one case: ``python -m bench.measure REQUEST``, a JSON object; it writes a JSON file.

A fresh process holds every library to the threads from its first import, and for memory starts from nothing.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from bench import machine
from bench.case import Case, Contender, Measures, Missing, Options, Run
from tqdm import tqdm


@dataclass
class Record:
    """What a contender gave: the measures of every run, or the reason why there are none.

    Attributes:
        runs: one entry per measured run.
        problem: ``missing: ...`` or ``failed: ...``; ``None`` when all went well.
    """

    runs: list[Measures]
    problem: str | None = None


def measure_times(case: Case, repeats: int | None) -> dict[str, Record]:
    """Run the contenders in turn, a first time unmeasured, and return name -> what each gave.

    Args:
        case: the comparison.
        repeats: measured runs of each contender; ``None`` takes the case's own.
    """
    records = {contender.name: Record([]) for contender in case.contenders}
    ready: dict[str, Run] = {}
    for contender in _progress(case.contenders, f"{case.name}, preparing"):
        _attempt(records[contender.name], partial(_prepare_into, ready, contender))
    wanted = {c.name: repeats or c.repeats or case.repeats for c in case.contenders}
    for contender in _progress(case.contenders, f"{case.name}, warming up"):
        if contender.warm_up and contender.name in ready:
            _attempt(records[contender.name], ready[contender.name])
    turns = [c.name for turn in range(max(wanted.values())) for c in case.contenders if turn < wanted[c.name]]
    for name in _progress(turns, f"{case.name}, measuring"):
        record = records[name]
        if name in ready and record.problem is None:
            _attempt(record, partial(_run_into, record.runs, ready[name]))
    return records


def measure_memory(contender: Contender) -> Record:
    """Run a contender once and return its peak memory over the start: libraries and data loaded, nothing computed."""
    record = Record([])

    def run_once() -> None:
        run = prepare(contender)
        start = machine.restart_peak()
        run()
        record.runs.append({machine.MEMORY: machine.peak() - start})

    _attempt(record, run_once)
    return record


def prepare(contender: Contender) -> Run:
    """Check what a contender requires and let it load its data.

    Raises:
        Missing: a distribution that is not installed.
    """
    absent = [name for name, version in machine.versions(contender.requires).items() if version is None]
    if absent:
        raise Missing(f"{', '.join(absent)} is not installed")
    return contender.prepare()


def _prepare_into(ready: dict[str, Run], contender: Contender) -> None:
    ready[contender.name] = prepare(contender)


def _run_into(runs: list[Measures], run: Run) -> None:
    runs.append(run())


def _attempt(record: Record, action: Callable[[], object]) -> None:
    """Do something for a contender; its failure becomes its row and does not end the others."""
    try:
        action()
    except Missing as missing:
        record.problem = f"missing: {missing}"
    except Exception as error:
        record.problem = f"failed: {type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _progress(items: Iterable, text: str) -> Iterable:
    return tqdm(list(items), desc=text, leave=False, delay=2)


def main(request: dict) -> None:
    """Measure what a request names: engine, options, case, repeats, contender (for memory) and the file to write."""
    options = Options(**request["options"])
    machine.limit_threads(options.threads)
    engine = importlib.import_module(request["engine"])
    (case,) = [case for case in engine.cases(options) if case.name == request["case"]]
    machine.limit_loaded_libraries(options.threads)
    if request["contender"] is None:
        records = measure_times(case, request["repeats"])
    else:
        (contender,) = [c for c in case.contenders if c.name == request["contender"]]
        records = {contender.name: measure_memory(contender)}
    answer = {
        "records": {name: asdict(record) for name, record in records.items()},
        "threads": machine.limit_loaded_libraries(options.threads),
    }
    Path(request["answer"]).write_text(json.dumps(answer))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
