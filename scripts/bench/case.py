"""What a benchmark is made of: cases, the contenders of each, when a result counts, and the goals.

An engine is one file ``cases_<engine>.py`` with ``cases(options) -> list[Case]``, and with ``check_machine()`` where not every
machine can measure it; finding, measuring and writing it is the harness's work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Measures = dict[str, float]  # infinite where a run missed what it was to reach
Run = Callable[[], Measures]


class Missing(Exception):
    """Something that a contender needs is not on this machine; the message says what."""


@dataclass(frozen=True)
class Options:
    """What the command line decides.

    Attributes:
        seed: of the data and the first weights.
        threads: cores that every contender may use.
        quick: sizes and seconds scaled down, to try a case; nothing is judged.
        output: the folder of the tables, absolute.
    """

    seed: int
    threads: int
    quick: bool
    output: str


@dataclass(frozen=True)
class Contender:
    """One way to do a case's work.

    Attributes:
        name: unique within the case.
        settings: what it is run with, for the table.
        prepare: loads what it needs and returns the run; a run times its own work and returns its measures.
        requires: distributions that must be installed; a missing one is named in the table.
        repeats: runs that are measured; ``None`` takes the case's.
        warm_up: whether a first run is thrown away (compilation, first allocation).
        checked: whether the case's check applies; a yardstick has no result to check.
        relative: its own largest difference in a relative check, for one that computes coarsely on purpose.
    """

    name: str
    settings: str
    prepare: Callable[[], Run]
    requires: tuple[str, ...] = ()
    repeats: int | None = None
    warm_up: bool = True
    checked: bool = True
    relative: float | None = None


@dataclass(frozen=True)
class Check:
    """When a row counts; otherwise it is void.

    Attributes:
        measure: the one that is looked at, in every run that has it.
        relative: largest relative difference from the first contender's median, or ``None`` for no such comparison.
        at_most: largest value, or ``None``.
        share: of the runs that must hold to it; all of them unless the case says how many may fail.
    """

    measure: str
    relative: float | None = None
    at_most: float | None = None
    share: float = 1.0


@dataclass(frozen=True)
class Goal:
    """A median, or the ratio of two medians, and what it should be; a run that missed counts as infinite.

    Attributes:
        measure: of both contenders.
        of: the contender whose median is taken.
        over: the contender whose median divides it, or ``None``.
        at_least: lower limit, or ``None``.
        at_most: upper limit, or ``None``; a goal with neither is only shown.
        threads: the number of threads at which it is judged, ``None`` for every number.
    """

    measure: str
    of: str
    over: str | None = None
    at_least: float | None = None
    at_most: float | None = None
    threads: int | None = None


@dataclass(frozen=True)
class Case:
    """One comparison: contenders that are run in turn in one process, A B C A B C ...

    Attributes:
        name: as in ``--case``.
        text: one or two sentences on the task.
        columns: measures to show, in this order.
        contenders: the first one is marketnn's, and the reference of a relative check.
        check: when a result counts, or ``None`` when the measures themselves are the result.
        goals: what the ratios should be.
        repeats: runs measured for each contender.
        memory: contenders whose peak memory is measured, each in a fresh process.
        slow: run only when it is named, or with ``--all``.
    """

    name: str
    text: str
    columns: tuple[str, ...]
    contenders: tuple[Contender, ...]
    check: Check | None = None
    goals: tuple[Goal, ...] = ()
    repeats: int = 5
    memory: tuple[str, ...] = ()
    slow: bool = False
