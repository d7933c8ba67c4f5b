"""The trials of one Levenberg-Marquardt step: damped steps until each network's loss is lower, or its damping too large.

Shapes: P parameters of one network, R networks, R' of them still trying.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from marketnn.optim.damping import LARGEST, Rule
from marketnn.optim.paths.linearisation import Linearisation, Path, Primal, solve
from marketnn.optim.problem import Problem

_SMALLEST_SCALE = 1e-10  # of the largest: a parameter that nothing depends on still gets a bounded step
_SAME_LOSS = 1e-12  # relative
_LONGEST_ACCELERATION = 0.75  # of the velocity, Transtrum and Sethna's alpha


@dataclass
class Outcome:
    """One network's state and what a step made of it, plain numbers.

    Attributes:
        damping: mu of the next trial.
        growth: factor by which the next rejection raises it.
        previous: MSE where the last step on the same data ended, NaN when there was none.
        used_damping: mu of the accepted trial, ``damping`` as long as there is none.
        loss: MSE before the step, NaN until it is known.
        new_loss: MSE after it.
        gain_ratio: of the last trial, 0 where it is not finite.
        gradient_norm: of the loss that is minimised, divided as the MSE is.
        tries: trials.
        accepted: whether one was.
    """

    damping: float
    growth: float
    previous: float = math.nan
    used_damping: float = math.nan
    loss: float = math.nan
    new_loss: float = math.nan
    gain_ratio: float = 0.0
    gradient_norm: float = math.nan
    tries: int = 0
    accepted: bool = False

    def start(self, loss: float, gradient_norm: float) -> None:
        """Take note of where the step starts."""
        # The same sum in another order differs in its last digits; a loss that never rises must not rise by those.
        same = abs(loss - self.previous) <= _SAME_LOSS * self.previous
        self.loss = self.new_loss = self.previous if same else loss
        self.gradient_norm = gradient_norm
        self.used_damping = self.damping

    def judge(self, rule: Rule, solved: bool, new_loss: float, decrease: float, predicted: float) -> None:
        """Take note of a trial and move the damping."""
        self.tries += 1
        ratio = decrease / predicted if predicted else math.nan
        self.gain_ratio = ratio if solved and math.isfinite(ratio) else 0.0
        self.accepted = solved and decrease > 0
        self.used_damping = self.damping
        self.damping, self.growth = rule(self.damping, self.growth, self.gain_ratio, self.accepted)
        if self.accepted:
            self.new_loss = new_loss
        else:
            self.used_damping = self.damping


@dataclass(frozen=True)
class Objective:
    """The sum that is minimised near the parameters: the residuals' squares, and with a prior the parameters'.

    Attributes:
        path: how it is evaluated.
        problem: the data.
        found: its linearisation.
        w: (R, P) where.
        prior: (R,) weight of the sum of squared parameters, or ``None``.
    """

    path: Path
    problem: Problem
    found: Linearisation
    w: Tensor
    prior: Tensor | None

    def total(self, w: Tensor, sse: Tensor, members: Tensor | None = None) -> Tensor:
        """The sum (R',) at parameters w with that sum of squared residuals."""
        if self.prior is None:
            return sse
        return sse + (self.prior if members is None else self.prior[members]) * w.square().sum(-1)

    def half_gradient(self) -> Tensor:
        """Half the sum's gradient, (R, P): J^T e and the prior's part."""
        return self.found.jte if self.prior is None else self.found.jte + self.prior.unsqueeze(-1) * self.w


def search(
    objective: Objective, outcomes: list[Outcome], terms: Sequence[float], rule: Rule, *, scaling: str, geodesic: bool
) -> Tensor:
    """Try damped steps, all networks at once, the rejected ones again; the host waits once per round of trials.

    Args:
        objective: what to lower.
        outcomes: the networks' dampings; filled with what happened.
        terms: by what each network's sum of squares is divided to give its MSE.
        rule: moves a damping after a trial.
        scaling: ``identity`` or ``column``.
        geodesic: whether steps are accelerated.

    Returns:
        The parameters (R, P) after the step. Where a first loss is not finite, the outcomes say so and nothing moved.
    """
    found, w = objective.found, objective.w
    gradient = objective.half_gradient()
    before = objective.total(w, found.sse)
    scale = _scale(found) if scaling == "column" else None
    pending = [r for r, outcome in enumerate(outcomes) if outcome.damping <= LARGEST]
    if len(pending) < len(outcomes):
        starts = torch.stack((found.sse, gradient.square().sum(-1)), dim=1).tolist()
        for outcome, (first_sse, squares), number in zip(outcomes, starts, terms, strict=True):
            outcome.start(first_sse / number, 2 * math.sqrt(squares) / number)
    while pending:
        members = None if len(pending) == len(outcomes) else torch.tensor(pending, device=w.device)
        damping = torch.tensor([[outcomes[r].damping] for r in pending], dtype=w.dtype).to(w.device)
        damping = damping if scale is None else damping * _of(scale, members)
        step, change, failed = _damped_step(objective, gradient, damping, members, geodesic)
        trial = _of(w, members) + change
        problem = objective.problem if members is None else objective.problem.select(members)
        sse = objective.path.sse(problem, trial)
        after = sse if objective.prior is None else objective.total(trial, sse, members)
        sums = _of(found.sse, members), sse, _of(before, members), after, failed.to(w.dtype)
        for r, facts in zip(pending, _on_host(step, _of(gradient, members), damping, sums), strict=True):
            outcome, number = outcomes[r], terms[r]
            if not outcome.tries:
                outcome.start(facts.first_sse / number, 2 * math.sqrt(facts.squared_gradient) / number)
            new_loss, decrease = facts.sse / number, facts.before - facts.after
            if objective.prior is None and new_loss >= outcome.loss:
                decrease = min(decrease, 0.0)
            outcome.judge(rule, facts.failed == 0, new_loss, decrease, facts.damped_square - facts.slope)
        if not all(math.isfinite(outcome.loss) for outcome in outcomes):
            return w
        w = _accept(w, trial, [outcomes[r].accepted for r in pending], members)
        pending = [r for r in pending if not outcomes[r].accepted and outcomes[r].damping <= LARGEST]
    return w


class _Facts(NamedTuple):
    """What decides one network's trial: dot products of step, gradient and damped step, and the sums before and after."""

    squared_step: float
    slope: float
    damped_square: float
    gradient_step: float
    squared_gradient: float
    gradient_damped: float
    damped_step: float
    damped_gradient: float
    squared_damped: float
    first_sse: float
    sse: float
    before: float
    after: float
    failed: float


def _on_host(step: Tensor, gradient: Tensor, damping: Tensor, sums: Sequence[Tensor]) -> Iterator[_Facts]:
    """Bring the facts of every trial to the host: one product for all dot products, one transfer for all numbers."""
    vectors = torch.stack((step, gradient, damping * step), dim=1)
    products = torch.bmm(vectors, vectors.mT).flatten(1)
    return map(_Facts._make, torch.cat((products, torch.stack(tuple(sums), dim=1)), dim=1).tolist())


def _damped_step(
    objective: Objective, gradient: Tensor, damping: Tensor, members: Tensor | None, geodesic: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the damped Gauss-Newton step (R', P), the change to make of it, and 0 where the factorisation succeeded."""
    found = objective.found
    if not isinstance(found, Primal):
        step, failed = found.step(damping, members)
        return step, step, failed
    added = damping if objective.prior is None else damping + _of(objective.prior, members).unsqueeze(-1)
    triangle, failed = found.factor(added, members)
    step = solve(triangle, -_of(gradient, members))
    if not geodesic:
        return step, step, failed
    problem = objective.problem if members is None else objective.problem.select(members)
    bend = objective.path.bend(problem, _of(objective.w, members), step)
    half_acceleration = solve(triangle, -bend) / 2
    short = 2 * half_acceleration.norm(dim=-1) <= _LONGEST_ACCELERATION * step.norm(dim=-1)
    return step, step + torch.where(short.unsqueeze(-1), half_acceleration, 0.0), failed


def _scale(found: Linearisation) -> Tensor:
    """The diagonal of J^T J (R, P), bounded away from 0."""
    assert isinstance(found, Primal)
    least = _SMALLEST_SCALE * found.diagonal.amax(-1, keepdim=True)
    return torch.maximum(found.diagonal, least).clamp(min=_SMALLEST_SCALE)


def _accept(w: Tensor, trial: Tensor, accepted: list[bool], members: Tensor | None) -> Tensor:
    if all(accepted) and members is None:
        return trial
    if not any(accepted):
        return w
    mask = torch.tensor(accepted).to(w.device).unsqueeze(-1)
    kept = torch.where(mask, trial, _of(w, members))
    return kept if members is None else w.index_copy(0, members, kept)


def _of(tensor: Tensor, members: Tensor | None) -> Tensor:
    """Some members' rows of a tensor, all for ``None``."""
    return tensor if members is None else tensor.index_select(0, members)
