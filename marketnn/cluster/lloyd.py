"""Lloyd's rounds until nothing moves, for one start or many (paper B, II.A).

Many starts run side by side as one batch, out of which a start drops when its centres rest. On large tables each start runs
alone, and as soon as few rows can change cluster it goes on by those.

Shapes: n rows, d columns, k clusters, r starts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from marketnn.cluster import changed_rows
from marketnn.cluster.assignment import Round, lloyd_round
from marketnn.cluster.changed_rows import ChangedRows
from marketnn.cluster.relocation import relocate_empty
from marketnn.cluster.rows import HeldRows, Rows

_AHEAD = 4
_PROBED = 2  # rounds, after each of which the next may go by open rows


@dataclass(frozen=True)
class LloydResult:
    """Where r starts ended.

    Attributes:
        centres_rkd: final centres.
        n_rounds: (r,) rounds taken.
        history: (r, rounds) SSE after each round of each start.
        shifts: (r, rounds) summed squared moves of the centres in each round.
        converged: (r,) whether the centres stopped moving before ``max_rounds``.
    """

    centres_rkd: Tensor
    n_rounds: list[int]
    history: list[list[float]]
    shifts: list[list[float]]
    converged: list[bool]

    @property
    def best(self) -> int:
        """The start with the lowest final SSE, the first one on a tie."""
        return min(range(len(self.history)), key=lambda start: self.history[start][-1])


def lloyd(rows: Rows, start_rkd: Tensor, *, max_rounds: int, tolerance: float) -> LloydResult:
    """Iterate every start until its centres move by no more than ``tolerance``.

    The host waits once per round; on a device that is not the host, where waiting costs, once in four.

    Args:
        rows: the data.
        start_rkd: first centres.
        max_rounds: rounds at most, 1 or more.
        tolerance: bound on the summed squared moves of a start's centres.
    """
    if isinstance(rows, HeldRows) and changed_rows.may_pay(rows, start_rkd.shape[1]):
        course = _Course(start_rkd)
        for start in range(len(start_rkd)):
            _alone(rows, course, start, max_rounds, tolerance)
    else:
        course = _side_by_side(rows, start_rkd, max_rounds, tolerance)
    return course.result()


class _Course:
    """What r starts did so far."""

    def __init__(self, start_rkd: Tensor) -> None:
        self.centres = list(start_rkd.unbind())
        self.history: list[list[float]] = [[] for _ in self.centres]
        self.shifts: list[list[float]] = [[] for _ in self.centres]
        self.converged = [False] * len(self.centres)

    def add(self, starts: Sequence[int], errors: Sequence[float], shifts: Sequence[float]) -> None:
        """Record a round of some starts."""
        for start, sse, shift in zip(starts, errors, shifts, strict=True):
            self.history[start].append(sse if sse > 0 else 0.0)
            self.shifts[start].append(shift)

    def end(self, start: int, centres_kd: Tensor, *, converged: bool) -> None:
        """Record where a start ended."""
        self.centres[start], self.converged[start] = centres_kd, converged

    def result(self) -> LloydResult:
        n_rounds = [len(errors) for errors in self.history]
        return LloydResult(torch.stack(self.centres), n_rounds, self.history, self.shifts, self.converged)


def _side_by_side(rows: Rows, start_rkd: Tensor, max_rounds: int, tolerance: float) -> _Course:
    course = _Course(start_rkd)
    active, centres_rkd, n_rounds = list(range(len(start_rkd))), start_rkd, 0
    while active:
        running = list(range(len(active)))
        for moved_rkd, sse, shift in _rounds(rows, centres_rkd, min(_rounds_ahead(rows), max_rounds - n_rounds)):
            n_rounds += 1
            starts, errors, moves = zip(*((active[place], sse[place], shift[place]) for place in running), strict=True)
            course.add(starts, errors, moves)
            still = [place for place in running if shift[place] > tolerance and n_rounds < max_rounds]
            for place in set(running).difference(still):
                course.end(active[place], moved_rkd[place], converged=shift[place] <= tolerance)
            running = still
            if not running:
                break
        centres_rkd = moved_rkd
        if 0 < len(running) < len(active):
            centres_rkd = centres_rkd.index_select(0, torch.tensor(running, device=centres_rkd.device))
        active = [active[place] for place in running]
    return course


def _rounds_ahead(rows: Rows) -> int:
    """Return how many rounds to compute before the host asks how they went; those beyond the last one wanted are lost."""
    return _AHEAD if isinstance(rows, HeldRows) and rows.x_nd.device.type != "cpu" else 1


def _rounds(rows: Rows, centres_rkd: Tensor, ahead: int) -> Iterator[tuple[Tensor, list[float], list[float]]]:
    """Yield rounds, each its centres, SSE and shifts, for which the host waits once; fewer where one had to be mended."""
    before, outcomes = [], []
    for _ in range(ahead):
        before.append(centres_rkd)
        outcomes.append(lloyd_round(rows, centres_rkd))
        centres_rkd = outcomes[-1].centres_rkd
    for before_rkd, outcome, facts in zip(before, outcomes, _on_host(outcomes), strict=True):
        settled, sse, shift = _settled(rows, before_rkd, outcome, facts)
        yield settled.centres_rkd, sse, shift
        if settled is not outcome:
            return


def _alone(rows: HeldRows, course: _Course, start: int, max_rounds: int, tolerance: float) -> None:
    centres_1kd = course.centres[start][None]
    clusters: ChangedRows | None = None
    for n_rounds in range(1, max_rounds + 1):
        before_1kd, at_rest = centres_1kd, None
        if clusters is None:
            outcome = lloyd_round(rows, before_1kd)
        else:
            outcome, n_changed = clusters.round(before_1kd)
            if n_changed == 0:
                # A row that is equally near to an earlier centre stayed; a round over all rows will move it.
                at_rest = clusters.in_first(before_1kd[0])
                clusters = None
        outcome, (sse,), (shift,) = _settled(rows, before_1kd, outcome, _on_host([outcome])[0])
        centres_1kd = outcome.centres_rkd
        course.add([start], [sse], [shift])
        course.end(start, centres_1kd[0], converged=shift <= tolerance if at_rest is None else at_rest)
        if course.converged[start]:
            break
        if clusters is None and n_rounds % _PROBED == 0 and changed_rows.pays(rows, before_1kd[0], centres_1kd[0]):
            clusters = ChangedRows(rows, before_1kd[0])


def _settled(
    rows: Rows, before_rkd: Tensor, outcome: Round, facts: list[list[float]]
) -> tuple[Round, list[float], list[float]]:
    """Break ties and fill empty clusters where there are any; return the round, its SSE and its shifts."""
    sse, shift, mass, hits = facts
    tied, empty = max(hits) > rows.n_rows, min(mass) <= 0
    if tied:
        outcome = lloyd_round(rows, before_rkd, break_ties=True)
    if tied or empty:
        outcome = relocate_empty(rows, before_rkd, outcome)
        sse, shift, _, _ = _on_host([outcome])[0]
    return outcome, sse, shift


def _on_host(outcomes: Sequence[Round]) -> list[list[list[float]]]:
    """Bring SSE, shift, least mass and hits of rounds to the host in one transfer; a list of r each."""
    facts = [torch.stack([of.sse_r, of.shift_r, of.mass_rk.amin(1), of.hits_r]) for of in outcomes]
    return torch.stack(facts).tolist()
