"""Plans for curves that are not concave: a bound from concave envelopes, and a good plan by exchanges of spends.

The envelope of a curve that turns from convex to concave is the line from the origin that touches it, and the curve beyond.
The best plan for the envelopes is found exactly; its value bounds every plan for the curves. From it, from an even plan and
from the best plan on a grid that disregards carry-over (exact on the grid where there is none and no period has a budget of
its own) the search moves amounts from one spend to another, the best exchange of any size first, until no exchange helps.

Shapes: K channels, T periods, P periods whose response counts, J sizes of a move, L levels of the grid.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from marketnn.allocation.curves import CurveSet, ResponseCurve
from marketnn.allocation.max_plus import allocate_levels
from marketnn.allocation.plan_concave import Plan, Problem, frame_of, reach, solve_concave, start

_BISECTIONS = 60
_LEVELS = 201
_SIZES = 16  # moves of 1/2, 1/4, ... of the budget
_TRIED = 8  # best exchanges that are evaluated exactly before the search rests
_ROUNDING = 1e-10  # of the value: a smaller gain is none


class Envelope:
    """The least concave curves above given ones on [0, top].

    Args:
        curves: convex up to their inflection and concave beyond.
        top: (K,) the greatest effective spends.
    """

    def __init__(self, curves: ResponseCurve | CurveSet, top: Tensor) -> None:
        self.curves = curves
        low = torch.minimum(curves.inflection, top)
        bent, high = low > 0, top
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            # The line to a point before the touching one lies above the tangent there.
            before = curves(middle) < middle * curves.derivative(middle)
            low, high = torch.where(before, middle, low), torch.where(before, high, middle)
        self.touch = torch.where(bent, high, 0.0)
        self.line = torch.where(bent, curves(high) / high.clamp(min=torch.finfo(high.dtype).tiny), 0.0)

    def value(self, x: Tensor) -> Tensor:
        """The envelope at x (..., K)."""
        return torch.where(x < self.touch, self.line * x, self.curves(torch.maximum(x, self.touch)))

    def slope(self, x: Tensor) -> Tensor:
        """Its derivative at x (..., K)."""
        return torch.where(x < self.touch, self.line, self.curves.derivative(torch.maximum(x, self.touch)))


def solve_by_exchange(
    problem: Problem, curves: ResponseCurve | CurveSet, *, tolerance: float, max_steps: int, max_rounds: int
) -> Plan:
    """Plan one scenario (K,) of curves of any shape; the prices are the envelopes'."""
    top_k = problem.effective(reach(problem)[None])[0].amax(-1)
    envelope = Envelope(curves, top_k)
    relaxed = replace(problem, value=envelope.value, slope=envelope.slope)
    bounded = solve_concave(relaxed, 1, tolerance=tolerance, max_steps=max_steps)
    frame = frame_of(problem)
    even_bkt = problem.lower_kt + start(problem, frame, 1).y_bkt * frame.free_kt
    starts = [bounded.spend_bkt[0], even_bkt[0]]
    if len(problem.budget_r) == 1:
        starts.append(on_grid(problem))
    plans = [exchange(problem, spend, max_rounds) for spend in starts]
    values = torch.stack([problem.responses(plan[None]).sum() for plan in plans])
    best = int(values.argmax())
    return Plan(plans[best][None], values[best, None], torch.maximum(bounded.bound_b, values[best]), bounded.price_br)


def on_grid(problem: Problem) -> Tensor:
    """The best spends (K, T) among whole parts of what the lower bounds leave of the total budget, carry-over disregarded."""
    part = (problem.budget_r[0] - problem.lower_kt.sum()) / (_LEVELS - 1)
    level = torch.arange(_LEVELS, dtype=part.dtype, device=part.device)
    spend_ltk = (problem.lower_kt + level[:, None, None] * part).mT
    reward_ltk = problem.value(spend_ltk) * problem.weight_p[: spend_ltk.shape[1], None]
    reward_ltk = torch.where(spend_ltk <= problem.upper_kt.mT + _ROUNDING * part, reward_ltk, -torch.inf)
    _, units_1n = allocate_levels(reward_ltk.flatten(1).T[None])
    spend_kt = problem.lower_kt + units_1n.view(spend_ltk.shape[1:]).mT * part
    return torch.minimum(spend_kt, problem.upper_kt)


def exchange(problem: Problem, spend_kt: Tensor, max_rounds: int) -> Tensor:
    """Move amounts between spends, or out of what no budget has taken, as long as the response rises."""
    value = float(problem.responses(spend_kt[None]).sum())
    halvings = torch.arange(1, _SIZES + 1, dtype=spend_kt.dtype, device=spend_kt.device)
    size_j = torch.minimum(problem.budget_r[0], problem.upper_kt.amax()) * 2 ** (1 - halvings)
    for _ in range(max_rounds):
        candidates = _candidates(problem, spend_kt, size_j)
        for moved_kt in candidates:
            moved_value = float(problem.responses(moved_kt[None]).sum())
            if moved_value > value + _ROUNDING * abs(value):
                spend_kt, value = moved_kt, moved_value
                break
        else:
            break
    return spend_kt


def _candidates(problem: Problem, spend_kt: Tensor, size_j: Tensor) -> list[Tensor]:
    """The plans after the moves that promise most, the best first; moves within a channel are judged as if independent."""
    gain_jkt = _change(problem, spend_kt, size_j)
    gain_jkt = torch.where(spend_kt + size_j[:, None, None] <= problem.upper_kt, gain_jkt, -torch.inf)
    keep_jkt = _change(problem, spend_kt, -size_j)
    keep_jkt = torch.where(spend_kt - size_j[:, None, None] >= problem.lower_kt, keep_jkt, -torch.inf)
    to_jt, to_channel = gain_jkt.max(1)
    from_jt, from_channel = keep_jkt.max(1)
    slack_r = problem.budget_r - problem.rows_rt @ spend_kt.sum(0)
    n_periods = spend_kt.shape[1]
    single = len(slack_r) > 1
    slack_t = slack_r[1:] if single else torch.full((n_periods,), torch.inf, dtype=slack_r.dtype, device=slack_r.device)
    fits_jt = size_j[:, None] <= slack_t
    same_tt = torch.eye(n_periods, dtype=torch.bool, device=spend_kt.device)
    pair_jtt = torch.where(fits_jt[:, :, None] | same_tt, to_jt[:, :, None] + from_jt[:, None, :], -torch.inf)
    added_jt1 = torch.where(fits_jt & (size_j <= slack_r[0])[:, None], to_jt, -torch.inf)[..., None]
    promise = torch.cat([pair_jtt, added_jt1], dim=-1)  # (J, period to, period from or none)
    promised, places = promise.flatten().topk(min(_TRIED, promise.numel()))
    plans = []
    for promised_gain, place in zip(promised.tolist(), places.tolist(), strict=True):
        if promised_gain <= 0:
            break
        rest, source = divmod(place, n_periods + 1)
        size, target = divmod(rest, n_periods)
        moved_kt = spend_kt.clone()
        moved_kt[to_channel[size, target], target] += size_j[size]
        if source < n_periods:
            moved_kt[from_channel[size, source], source] -= size_j[size]
        plans.append(moved_kt)
    return plans


def _change(problem: Problem, spend_kt: Tensor, size_j: Tensor) -> Tensor:
    """By how much the response rises when a single spend changes by each size, (J, K, T)."""
    effective_kp = problem.effective(spend_kt[None])[0]
    moved_jtpk = (effective_kp[:, None] + size_j[:, None, None, None] * problem.effect_kpt.mT).permute(0, 2, 3, 1)
    response_jtpk = problem.value(moved_jtpk.clamp(min=0)) * problem.weight_p[:, None]
    before_k = problem.responses(spend_kt[None])[0].sum(-1)
    return (response_jtpk.sum(2) - before_k).mT
