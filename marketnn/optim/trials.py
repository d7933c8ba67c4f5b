"""The trials of one Levenberg-Marquardt step: damped steps until each network's loss is lower, or its damping too large.

Shapes: P parameters of one network, R networks, R' of them still trying.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from marketnn.optim.damping import LARGEST, Rule
from marketnn.optim.paths.linearisation import Linearisation, Path, Primal, solve
from marketnn.optim.problem import Problem

_SMALLEST_SCALE = 1e-10  # of the largest: a parameter that nothing depends on still gets a bounded step
_LONGEST_ACCELERATION = 0.75  # of the velocity, Transtrum and Sethna's alpha


@dataclass
class Outcome:
    """One network's state and what a step made of it, plain numbers.

    Attributes:
        damping: mu of the next trial.
        growth: factor by which the next rejection raises it.
        previous: MSE where the last step ended, NaN where data or parameters have changed since.
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

    @property
    def reached(self) -> float:
        """MSE where the network stands, NaN when it is not known."""
        return self.previous if math.isnan(self.new_loss) else self.new_loss

    def start(self, loss: float, gradient_norm: float, rounding: float) -> None:
        """Take note of where the step starts; sums in another order may differ by ``rounding``, relatively."""
        # Trials are compared with the very number that the last accepted trial gave, and never with another rounding of it.
        # A loss further away belongs to parameters that were changed behind autograd's back, or to other data.
        same = abs(loss - self.previous) <= rounding * self.previous
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

    def descent(self) -> Tensor:
        """Half the sum's negative gradient, (R, P): -J^T e and the prior's part."""
        if self.prior is None:
            return -self.found.jte
        return torch.addcmul(-self.found.jte, self.prior.unsqueeze(-1), self.w, value=-1)

    def penalty_change(self, trial: Tensor, change: Tensor, members: Tensor | None) -> list[Tensor]:
        """By how much the prior's part (R',) grows from w to ``trial``, which is w plus ``change``; nothing without a prior."""
        if self.prior is None:
            return []
        return [_of(self.prior, members) * (change * (trial + _of(self.w, members))).sum(-1)]


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
    found, path, w = objective.found, objective.path, objective.w
    rounding = torch.finfo(w.dtype).eps ** 0.75
    descent = objective.descent()
    squared_gradient = descent.square().sum(-1)
    # Where no trial has given the first loss, it is computed as trials compute theirs, so that like is compared with like.
    carried = not any(math.isnan(outcome.previous) for outcome in outcomes)
    first_sse = found.sse if carried else path.sse(objective.problem, w)
    scale = _scale(found) if scaling == "column" else None
    pending = [r for r, outcome in enumerate(outcomes) if outcome.damping <= LARGEST]
    if len(pending) < len(outcomes):
        starts = torch.stack((first_sse, squared_gradient), dim=1).tolist()
        for outcome, (sse, squares), number in zip(outcomes, starts, terms, strict=True):
            outcome.start(sse / number, 2 * math.sqrt(squares) / number, rounding)
    while pending:
        members = None if len(pending) == len(outcomes) else torch.tensor(pending, device=w.device)
        damping = torch.tensor([[outcomes[r].damping] for r in pending], dtype=w.dtype, device=w.device)
        damping = damping if scale is None else damping * _of(scale, members)
        downhill = _of(descent, members)
        step, change, failed = _damped_step(objective, downhill, damping, members, geodesic)
        trial = _of(w, members) + change
        problem = objective.problem if members is None else objective.problem.select(members)
        columns = [
            _of(first_sse, members),
            _of(squared_gradient, members),
            (step * torch.addcmul(downhill, damping, step)).sum(-1),
            path.sse(problem, trial),
            failed.to(w.dtype),
            *objective.penalty_change(trial, change, members),
        ]
        for r, row in zip(pending, torch.stack(columns, dim=1).tolist(), strict=True):
            outcome, number, facts = outcomes[r], terms[r], _Facts(*row)
            if not outcome.tries:
                outcome.start(facts.first_sse / number, 2 * math.sqrt(facts.squared_gradient) / number, rounding)
            new_loss = facts.sse / number
            decrease = (outcome.loss - new_loss) * number - facts.penalty_change
            outcome.judge(rule, facts.failed == 0, new_loss, decrease, facts.predicted)
        if not all(math.isfinite(outcome.loss) for outcome in outcomes):
            return w
        w = _accept(w, trial, [outcomes[r].accepted for r in pending], members)
        pending = [r for r in pending if not outcomes[r].accepted and outcomes[r].damping <= LARGEST]
    return w


class _Facts(NamedTuple):
    """What decides one network's trial: sums before and after, and the decrease that the linearisation predicts."""

    first_sse: float
    squared_gradient: float
    predicted: float
    sse: float
    failed: float
    penalty_change: float = 0.0


def _damped_step(
    objective: Objective, downhill: Tensor, damping: Tensor, members: Tensor | None, geodesic: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the damped Gauss-Newton step (R', P), the change to make of it, and 0 where the factorisation succeeded."""
    found = objective.found
    if not isinstance(found, Primal):
        step, failed = found.step(damping, members)
        return step, step, failed
    added = damping if objective.prior is None else damping + _of(objective.prior, members).unsqueeze(-1)
    triangle, failed = found.factor(added, members)
    step = solve(triangle, downhill)
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
