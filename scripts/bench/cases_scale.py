"""The cases of the engine ``scale``: time and memory of whole pipelines against the rows of a table with 50 columns.

Shapes: n rows, d columns.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pandas as pd
from bench.case import Case, Contender, Goal, Measures, Options, Run
from bench.machine import MEMORY

from marketnn.data import Raw, Table, TableOptions, assemble
from marketnn.pipeline import Parts, allocate, churn, segment
from marketnn.seed import child_seed, numpy_generator

SECONDS = "s"
PER_MILLION_ROWS = "s per million rows"
_ROWS = (10_000, 100_000, 1_000_000)
_MOST_ROWS = (1_000_000, 5_000_000)
_COLUMNS = 50
_GROUPS = 5
_STRAIGHT = 1.25  # times the ratio of the rows: what a straight line may lose to memory that no cache holds
_DATA = {"name": "points"}  # the pipelines are handed their table

Analyse = Callable[[int, int], Callable[[], object]]  # rows and seed: draws the table, returns the work


def cases(options: Options) -> list[Case]:
    """Return every case of the engine; those of five million rows are slow ones."""
    pipelines = {"churn": churn_of, "segment": segment_of, "allocate": allocate_of}
    return [
        _case(options, name, analyse, rows, slow)
        for rows, slow in ((_ROWS, False), (_MOST_ROWS, True))
        for name, analyse in pipelines.items()
    ]


def churn_of(n: int, seed: int) -> Callable[[], object]:
    """Logistic regression, its inference, every row's probability, and four portraits of those who left."""
    x_nd, generator = points(n, seed)
    left_n = generator.random(n) < 1 / (1 + np.exp(1.5 - x_nd[:, 0] + x_nd[:, 1]))
    table = _table(x_nd, TableOptions(target="left"), left=left_n.astype(int))
    return lambda: churn.analyse(table, churn.Config(n_portraits=4), Parts(data=_DATA, device="cpu", seed=seed))


def segment_of(n: int, seed: int) -> Callable[[], object]:
    """K-means with 20 starts into five clusters, and their profile."""
    table = _table(points(n, seed)[0], TableOptions())
    config = segment.Config(n_clusters=_GROUPS, candidates=(_GROUPS,))
    return lambda: segment.analyse(table, config, Parts(data=_DATA, device="cpu", seed=seed))


def allocate_of(n: int, seed: int) -> Callable[[], object]:
    """The best offer of 50 for every customer, each for a sixtieth of them at most."""
    chance_nd = numpy_generator(seed).beta(2, 4, size=(n, _COLUMNS)).astype(np.float32)
    table = _table(chance_nd, TableOptions())
    names = tuple(table.frame.columns)
    config = allocate.Config(value=names, capacity=dict.fromkeys(names, float(n // 60)))
    return lambda: allocate.analyse(table, config, Parts(data=_DATA, device="cpu", seed=seed))


def points(n: int, seed: int) -> tuple[np.ndarray, np.random.Generator]:
    """Draw rows (n, 50) of five overlapping groups, float32; the generator goes on from there."""
    generator = numpy_generator(child_seed(seed, f"scale {n}"))
    centre_kd = numpy_generator(seed).normal(scale=2, size=(_GROUPS, _COLUMNS)).astype(np.float32)
    x_nd = generator.standard_normal((n, _COLUMNS), dtype=np.float32)
    x_nd += centre_kd[generator.integers(_GROUPS, size=n)]
    return x_nd, generator


def _table(x_nd: np.ndarray, options: TableOptions, **columns: np.ndarray) -> Table:
    frame = pd.DataFrame(x_nd, columns=[f"x{place}" for place in range(x_nd.shape[1])], copy=False)
    return assemble(Raw(frame.assign(**columns), options, "made-up rows"))


def _case(options: Options, name: str, analyse: Analyse, rows: tuple[int, ...], slow: bool) -> Case:
    sizes = {f"{n:,} rows": n // 50 if options.quick else n for n in rows}
    names = list(sizes)
    goals: list[Goal] = []
    for fewer, more in pairwise(names):
        at_most = _STRAIGHT * sizes[more] / sizes[fewer]
        # Of small tables the memory is that of the libraries.
        goals += [
            Goal(SECONDS, more, fewer, at_most=at_most),
            Goal(MEMORY, more, fewer, at_most=at_most if slow else None),
        ]
    return Case(
        name=f"{name}_{rows[-1] // 1_000_000}_million",
        text=f"pipeline={name} from a table in memory with {_COLUMNS} columns to every result, files left out."
        f" {' '.join((analyse.__doc__ or '').split())} On a straight line ten times the rows take ten times the seconds; the"
        " memory is that of the table too.",
        columns=(SECONDS, PER_MILLION_ROWS),
        contenders=tuple(_contender(row, analyse, n, options.seed) for row, n in sizes.items()),
        goals=tuple(goals),
        repeats=1,
        memory=tuple(names),
        slow=slow,
    )


def _contender(name: str, analyse: Analyse, n: int, seed: int) -> Contender:
    def run() -> Measures:
        work = analyse(n, seed)
        start = time.perf_counter()
        work()
        seconds = time.perf_counter() - start
        return {SECONDS: seconds, PER_MILLION_ROWS: seconds / n * 1e6}

    def prepare() -> Run:
        # Drawn again in every run, so that no other contender's rows are held beside these.
        analyse(2_000, seed)()
        return run

    return Contender(name, "float32 columns", prepare, warm_up=False)
