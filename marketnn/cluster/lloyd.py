"""Lloyd's rounds until nothing moves, for one start or many (paper B, II.A).

Many starts run side by side as one batch, out of which a start drops when its centres rest. Where that is faster, each start
runs alone by the rows that change cluster.

Shapes: n rows, d columns, k clusters, r starts.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from marketnn.cluster import changed_rows
from marketnn.cluster.assignment import Round, lloyd_round
from marketnn.cluster.relocation import relocate_empty
from marketnn.cluster.rows import HeldRows, Rows


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
    """Iterate every start until its centres move by no more than ``tolerance``; the host waits once per round.

    Args:
        rows: the data.
        start_rkd: first centres.
        max_rounds: rounds at most, 1 or more.
        tolerance: bound on the summed squared moves of a start's centres.
    """
    if isinstance(rows, HeldRows) and changed_rows.pays(rows, start_rkd.shape[1], max_rounds):
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

    def add(self, start: int, centres_kd: Tensor, sse: float, shift: float, converged: bool) -> None:
        self.centres[start] = centres_kd
        self.history[start].append(max(sse, 0.0))
        self.shifts[start].append(shift)
        self.converged[start] = converged

    def result(self) -> LloydResult:
        n_rounds = [len(errors) for errors in self.history]
        return LloydResult(torch.stack(self.centres), n_rounds, self.history, self.shifts, self.converged)


def _side_by_side(rows: Rows, start_rkd: Tensor, max_rounds: int, tolerance: float) -> _Course:
    course = _Course(start_rkd)
    active, centres_rkd = list(range(len(start_rkd))), start_rkd
    for _ in range(max_rounds):
        outcome, sse, shift = _settled(rows, centres_rkd, lloyd_round(rows, centres_rkd))
        for place, start in enumerate(active):
            course.add(start, outcome.centres_rkd[place], sse[place], shift[place], shift[place] <= tolerance)
        still = [place for place, start in enumerate(active) if not course.converged[start]]
        if not still:
            break
        centres_rkd = outcome.centres_rkd
        if len(still) < len(active):
            active = [active[place] for place in still]
            centres_rkd = centres_rkd.index_select(0, torch.tensor(still, dtype=torch.int64, device=centres_rkd.device))
    return course


def _alone(rows: HeldRows, course: _Course, start: int, max_rounds: int, tolerance: float) -> None:
    centres_1kd = course.centres[start][None]
    clusters = changed_rows.ChangedRows(rows, centres_1kd.shape[1])
    while len(course.history[start]) < max_rounds and not course.converged[start]:
        outcome, n_changed = clusters.round(centres_1kd)
        at_rest = n_changed == 0
        if at_rest:
            # Sums anew, and ties to the first centre: at rest only if that leaves every row where it was.
            anew = changed_rows.ChangedRows(rows, centres_1kd.shape[1])
            outcome, _ = anew.round(centres_1kd)
            at_rest, clusters = anew.same_as(clusters), anew
        outcome, (sse,), (shift,) = _settled(rows, centres_1kd, outcome)
        course.add(start, outcome.centres_rkd[0], sse, shift, at_rest or shift <= tolerance)
        centres_1kd = outcome.centres_rkd


def _settled(rows: Rows, before_rkd: Tensor, outcome: Round) -> tuple[Round, list[float], list[float]]:
    """Break ties and fill empty clusters where there are any; return the round, its SSE and its shifts."""
    sse, shift, mass, hits = _on_host(outcome)
    tied, empty = max(hits) > rows.n_rows, min(mass) <= 0
    if tied:
        outcome = lloyd_round(rows, before_rkd, break_ties=True)
    if tied or empty:
        outcome = relocate_empty(rows, before_rkd, outcome)
        sse, shift, _, _ = _on_host(outcome)
    return outcome, sse, shift


def _on_host(outcome: Round) -> list[list[float]]:
    """Bring a round's SSE, shift, least mass and hits to the host in one transfer; a list of r each."""
    return torch.stack([outcome.sse_r, outcome.shift_r, outcome.mass_rk.amin(1), outcome.hits_r]).tolist()
