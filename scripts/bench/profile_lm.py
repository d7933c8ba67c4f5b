"""Where the time of a tiny Levenberg-Marquardt step goes: calls into torch, and Python functions.

The network is 1-5-1 on 41 points of a sine, where there is next to nothing to compute and every call counts. The step is
timed alone; the profilers cost time themselves, so that their columns show proportions.
"""

from __future__ import annotations

import cProfile
import pstats
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from bench import machine
from bench.case import Options
from bench.lm_tasks import sine_task
from bench.table import table
from torch.profiler import ProfilerActivity

from marketnn.optim import LevenbergMarquardt

_UNTIMED, _STEPS = 20, 100
_SHOWN = 25

Row = tuple[str, float, float]


def profile(options: Options) -> str:
    """Write the page: microseconds of a step, calls into torch, Python functions.

    Args:
        options: ``quick`` takes a tenth of the steps.
    """
    steps = _STEPS // 10 if options.quick else _STEPS
    task = sine_task(41)

    def stepper() -> Callable[[], object]:
        optimizer = LevenbergMarquardt(task.network(options.seed))
        for _ in range(_UNTIMED):
            optimizer.step(task.x, task.y)
        return lambda: optimizer.step(task.x, task.y)

    spent = _undisturbed(stepper(), steps)
    installed = ", ".join(f"{name} {version}" for name, version in machine.versions(("marketnn", "torch")).items())
    calls, functions = _torch_calls(stepper(), steps), _python_functions(stepper(), steps)
    return "\n".join(
        [
            "# Profile: one Levenberg-Marquardt step of 1-5-1 on 41 rows",
            "",
            f"Written by `python scripts/benchmark.py lm --profile`. {machine.describe()}; {installed}; threads:"
            f" {options.threads}.",
            "",
            f"A step takes {spent:.0f} us (median of {steps}, after {_UNTIMED} steps that lay out memory). The tables are",
            "means per step under a profiler, which itself costs time: read them as proportions.",
            "",
            "## Calls into torch",
            "",
            *_rows(("operation", "calls", "own us"), calls),
            "",
            "## Python functions",
            "",
            *_rows(("function", "calls", "own us"), functions),
            "",
        ]
    )


def _undisturbed(step: Callable[[], object], steps: int) -> float:
    """Return the median microseconds of a step."""
    times = []
    for _ in range(steps):
        start = time.perf_counter()
        step()
        times.append(1e6 * (time.perf_counter() - start))
    return statistics.median(times)


def _torch_calls(step: Callable[[], object], steps: int) -> list[Row]:
    with torch.profiler.profile(activities=[ProfilerActivity.CPU]) as profiler:
        for _ in range(steps):
            step()
    events = [event for event in profiler.key_averages() if event.key.startswith("aten::")]
    return [(event.key, event.count / steps, event.self_cpu_time_total / steps) for event in events]


def _python_functions(step: Callable[[], object], steps: int) -> list[Row]:
    profiler = cProfile.Profile()
    with profiler:
        for _ in range(steps):
            step()
    found = pstats.Stats(profiler).stats
    return [(_function(*place), calls / steps, 1e6 * own / steps) for place, (_, calls, own, *_) in found.items()]


def _function(file_name: str, line: int, name: str) -> str:
    """Name a function by its module's folder and file, without the machine's folders."""
    return name if file_name == "~" else f"{'/'.join(Path(file_name).parts[-2:])}:{line} {name}"


def _rows(header: Sequence[str], rows: Sequence[Row]) -> list[str]:
    """Show the rows that take the most, and the sum of all."""
    ordered = sorted(rows, key=lambda row: -row[2])
    total = ("all", sum(row[1] for row in rows), sum(row[2] for row in rows))
    return table(header, [(name, f"{calls:.3g}", f"{spent:.2f}") for name, calls, spent in (*ordered[:_SHOWN], total)])
