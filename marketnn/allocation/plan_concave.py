"""The best plan for concave response curves with carry-over: a primal-dual interior-point method that certifies itself.

    maximise   sum_kp weight_p f_k(a_kp)      a_k = L_k x_k + carried_k      (L_k lower triangular: rate_k^(p - t))
    subject to lower <= x <= upper,   sum_k x_kt <= budget of period t,   sum_kt x_kt <= budget

The spends above their lower bounds are y = x - lower, in [0, width]. Spends of different channels meet in the budgets only,
so that the Newton matrix is one T x T block per channel, bordered by a row per budget:

    M_k = L_k' diag(-weight f_k'') L_k + diag(zl / y + zu / (width - y)),     S = sum_k A M_k^-1 A' + diag(slack / price)

One batched Cholesky of the blocks and one of S make a step. As f is concave, its tangent at any plan bounds every plan from
above; the budgets are nested, so that a greedy rule maximises the tangent exactly, and the difference is the gap.

Shapes: B scenarios, K channels, T periods, P periods whose response counts (P > T with a tail), R budget rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

Curve = Callable[[Tensor], Tensor]

_TO_BOUNDARY = 0.99  # of the way to the nearest bound: how far a step may go
_STEEPEST = 1e200
_LEAST_WIDTH = 1e-12  # relative to the greatest: narrower ranges are points


@dataclass(frozen=True)
class Problem:
    """What is planned.

    Attributes:
        value: the curves, (..., B, K) -> (..., B, K), concave where a method says so.
        slope: their derivatives.
        effect_kpt: what a unit of period t's spend adds to period p's effective spend.
        carried_kp: effective spend that was there before.
        weight_p: what a unit of each period's response counts.
        lower_kt, upper_kt: bounds of the spends; infinite upper ones are none.
        rows_rt: 1 where a period counts against a budget: the total first, then single periods.
        budget_r: the budgets.
    """

    value: Curve
    slope: Curve
    effect_kpt: Tensor
    carried_kp: Tensor
    weight_p: Tensor
    lower_kt: Tensor
    upper_kt: Tensor
    rows_rt: Tensor
    budget_r: Tensor

    def effective(self, spend_bkt: Tensor) -> Tensor:
        """Effective spends (B, K, P)."""
        return (self.effect_kpt @ spend_bkt.unsqueeze(-1)).squeeze(-1) + self.carried_kp

    def responses(self, spend_bkt: Tensor) -> Tensor:
        """Weighted responses (B, K, P)."""
        return self.weighted_responses(self.effective(spend_bkt))

    def weighted_responses(self, effective_bkp: Tensor) -> Tensor:
        """Weighted responses (B, K, P) to effective spends."""
        return by_channel(self.value, effective_bkp) * self.weight_p

    def gradient(self, effective_bkp: Tensor) -> Tensor:
        """What one more unit of each spend brings, (B, K, T)."""
        # Where a curve starts vertically, infinity times the zero effect of later spends would not be a number.
        slope_bkp = by_channel(self.slope, effective_bkp).clamp(max=_STEEPEST) * self.weight_p
        return (slope_bkp.unsqueeze(-2) @ self.effect_kpt).squeeze(-2)

    def curvature(self, effective_bkp: Tensor) -> Tensor:
        """Weighted second derivatives (B, K, P), at most 0."""
        with torch.enable_grad():
            at = effective_bkp.detach().requires_grad_()
            (bend_bkp,) = torch.autograd.grad(by_channel(self.slope, at).sum(), at)
        return (bend_bkp * self.weight_p).nan_to_num(nan=0.0, neginf=0.0).clamp(max=0)


@dataclass(frozen=True)
class Plan:
    """Plans with their certificate.

    Attributes:
        spend_bkt: the spends.
        value_b: their weighted responses.
        bound_b: no plan has more.
        price_br: what one more unit of each budget would bring, NaN where no spend can rise.
    """

    spend_bkt: Tensor
    value_b: Tensor
    bound_b: Tensor
    price_br: Tensor


@dataclass(frozen=True)
class Iterate:
    """Where the method stands: spends above the lower bounds, and the prices of lower bounds, upper bounds and budgets."""

    y_bkt: Tensor
    low_bkt: Tensor
    high_bkt: Tensor
    price_br: Tensor
    centring_b: Tensor


@dataclass(frozen=True)
class Tangent:
    """The responses near a plan.

    Attributes:
        effective_bkp: effective spends.
        gain_bkt: what one more unit of each spend brings, 0 where it cannot rise.
    """

    effective_bkp: Tensor
    gain_bkt: Tensor


@dataclass(frozen=True)
class Frame:
    """The feasible set seen from the lower bounds.

    Attributes:
        width_kt: how far each spend can rise, 1 where it cannot.
        free_kt: 1 where it can rise, else 0.
        room_r: what is left of each budget, 1 where nothing is.
    """

    width_kt: Tensor
    free_kt: Tensor
    room_r: Tensor


def solve_concave(problem: Problem, n_scenarios: int, *, tolerance: float, max_steps: int) -> Plan:
    """Plan each scenario; the host waits once per step, for the gaps.

    Args:
        problem: whose curves are concave.
        n_scenarios: B.
        tolerance: the relative gap at which all may rest.
        max_steps: at most.
    """
    frame = frame_of(problem)
    at = start(problem, frame, n_scenarios)
    tangent = tangent_at(problem, frame, at.y_bkt)
    best = assess(problem, frame, at, tangent)
    for _ in range(max_steps):
        if ((best.bound_b - best.value_b) <= tolerance * best.bound_b.abs()).all():
            break
        at = step(problem, frame, at, tangent)
        tangent = tangent_at(problem, frame, at.y_bkt)
        best = _better(best, assess(problem, frame, at, tangent))
    return best


def fill_up(problem: Problem, plan: Plan) -> Plan:
    """Spend what is left of the total budget, where there is room; as no curve falls, nothing is lost."""
    head_bkt = problem.upper_kt - plan.spend_bkt
    left_br = (problem.budget_r - plan.spend_bkt.sum(1) @ problem.rows_rt.mT).clamp(min=0)
    if len(problem.budget_r) > 1:
        head_bkt = _within(head_bkt, left_br[:, None, 1:], dim=1)
    added_bkt = _within(head_bkt.flatten(1), left_br[:, :1], dim=1).view_as(head_bkt)
    spend_bkt = plan.spend_bkt + added_bkt
    value_b = problem.responses(spend_bkt).sum((1, 2))
    return Plan(spend_bkt, value_b, torch.maximum(plan.bound_b, value_b), plan.price_br)


def frame_of(problem: Problem) -> Frame:
    """Return the ranges; no bound beyond twice a budget, which could only bind, and take a price, in the budget's place."""
    room_r = (problem.budget_r - problem.rows_rt @ problem.lower_kt.sum(0)).clamp(min=0)
    width_kt = torch.minimum(problem.upper_kt - problem.lower_kt, 2 * _held(problem, room_r))
    free_kt = width_kt > _LEAST_WIDTH * torch.maximum(width_kt.amax(), problem.budget_r[0])
    return Frame(torch.where(free_kt, width_kt, 1.0), free_kt.to(width_kt), torch.where(room_r > 0, room_r, 1.0))


def reach(problem: Problem) -> Tensor:
    """The greatest spends (K, T) that the bounds and budgets allow, each alone."""
    room_r = (problem.budget_r - problem.rows_rt @ problem.lower_kt.sum(0)).clamp(min=0)
    return torch.minimum(problem.upper_kt, problem.lower_kt + _held(problem, room_r))


def _held(problem: Problem, room_r: Tensor) -> Tensor:
    """What the budgets leave to a spend in each period, (T,)."""
    return torch.where(problem.rows_rt > 0, room_r.unsqueeze(-1), torch.inf).amin(0)


def start(problem: Problem, frame: Frame, n_scenarios: int) -> Iterate:
    """Take half of what keeps every budget, in proportion to the ranges, with prices to match."""
    width_kt = frame.width_kt * frame.free_kt
    asked_r = problem.rows_rt @ width_kt.sum(0)
    share_r = frame.room_r / torch.maximum(asked_r, frame.room_r)
    share_t = _held(problem, share_r)
    y_kt = torch.where(frame.free_kt > 0, width_kt * share_t / 2, frame.width_kt / 2)
    y_bkt = y_kt.expand(n_scenarios, -1, -1)
    gain_bkt = tangent_at(problem, frame, y_bkt).gain_bkt
    slack_br = _slack(problem, frame, y_bkt)
    n_terms = 2 * frame.free_kt.sum() + len(frame.room_r)
    mu_b = (gain_bkt * y_bkt).sum((1, 2)) / n_terms
    mu_b11 = mu_b[:, None, None].clamp(min=torch.finfo(mu_b.dtype).tiny)
    return Iterate(
        y_bkt, mu_b11 / y_bkt, mu_b11 / (frame.width_kt - y_bkt), mu_b11[..., 0] / slack_br, torch.full_like(mu_b, 0.1)
    )


def tangent_at(problem: Problem, frame: Frame, y_bkt: Tensor) -> Tangent:
    """Look at the responses near spends above the lower bounds."""
    effective_bkp = problem.effective(_spend(problem, frame, y_bkt))
    return Tangent(effective_bkp, torch.where(frame.free_kt > 0, problem.gradient(effective_bkp), 0.0))


def step(problem: Problem, frame: Frame, at: Iterate, tangent: Tangent) -> Iterate:
    """One damped Newton step on the perturbed optimality conditions; a pure function that never waits."""
    y, low, high, price = at.y_bkt, at.low_bkt, at.high_bkt, at.price_br
    above, slack, free = frame.width_kt - y, _slack(problem, frame, y), frame.free_kt
    n_terms = 2 * free.sum() + len(frame.room_r)
    complementarity = ((low * y + high * above) * free).sum((1, 2)) + (price * slack).sum(1)
    mu = (at.centring_b * complementarity / n_terms)[:, None, None]

    bend = problem.curvature(tangent.effective_bkp)
    effect = problem.effect_kpt * free.unsqueeze(-2)
    diagonal = torch.where(free > 0, low / y + high / above, 1.0)
    block = effect.mT @ (-bend.unsqueeze(-1) * effect)
    block.diagonal(dim1=-2, dim2=-1).add_(diagonal)
    right = (tangent.gain_bkt - (price @ problem.rows_rt).unsqueeze(1) + mu / y - mu / above) * free
    rows_ktr = (problem.rows_rt.mT * free.unsqueeze(-1)).expand(*y.shape, -1)
    triangle, _ = torch.linalg.cholesky_ex(block)
    solved = torch.linalg.solve_triangular(triangle, torch.cat([rows_ktr, right.unsqueeze(-1)], -1), upper=False)
    rows, rest = solved[..., :-1], solved[..., -1:]
    border = (rows.mT @ rows).sum(1)
    border.diagonal(dim1=-2, dim2=-1).add_(slack / price)
    target = (rows.mT @ rest).sum(1).squeeze(-1) - slack + mu[..., 0] / price
    border_triangle, _ = torch.linalg.cholesky_ex(border)
    d_price = torch.cholesky_solve(target.unsqueeze(-1), border_triangle).squeeze(-1)
    d_y = torch.linalg.solve_triangular(triangle.mT, rest - rows @ d_price[:, None, :, None], upper=True).squeeze(-1)
    d_y = d_y * free
    d_low = torch.where(free > 0, (mu - low * d_y) / y - low, 0.0)
    d_high = torch.where(free > 0, (mu + high * d_y) / above - high, 0.0)
    d_slack = -(d_y.sum(1) @ problem.rows_rt.mT)

    primal = _longest((y, d_y), (above, -d_y), (slack, d_slack))
    dual = _longest((low, d_low), (high, d_high), (price, d_price))
    short = torch.minimum(primal, dual)
    primal3, dual3 = primal[:, None, None], dual[:, None, None]
    return Iterate(
        y + primal3 * d_y,
        low + dual3 * d_low,
        high + dual3 * d_high,
        price + dual[:, None] * d_price,
        (1 - short).square().clamp(0.02, 0.8),
    )


def assess(problem: Problem, frame: Frame, at: Iterate, tangent: Tangent) -> Plan:
    """Return the plan of an iterate with the bound that its tangent gives."""
    spend = _spend(problem, frame, at.y_bkt)
    value_b = problem.weighted_responses(tangent.effective_bkp).sum((1, 2))
    gain_bkt = tangent.gain_bkt
    bound_b = value_b + best_on_tangent(problem, frame, gain_bkt) - (gain_bkt * at.y_bkt).sum((1, 2))
    price_br = torch.where(frame.free_kt.any(), at.price_br, torch.nan)
    return Plan(spend, value_b, torch.maximum(bound_b, value_b), price_br)


def best_on_tangent(problem: Problem, frame: Frame, gain_bkt: Tensor) -> Tensor:
    """The greatest gain (B,) of spends above their lower bounds at constant gains: the best first, by period, then overall."""
    width_kt = frame.width_kt * frame.free_kt
    if len(frame.room_r) > 1:
        gain_bkt, order = gain_bkt.sort(dim=1, descending=True)
        width_bkt = _within(width_kt.expand_as(gain_bkt).gather(1, order), frame.room_r[1:], dim=1)
    else:
        width_bkt = width_kt.expand_as(gain_bkt)
    gain_bn, order = gain_bkt.flatten(1).sort(dim=1, descending=True)
    taken_bn = _within(width_bkt.flatten(1).gather(1, order), frame.room_r[:1], dim=1)
    return (gain_bn * taken_bn).sum(1)


def _within(amount: Tensor, room: Tensor, dim: int) -> Tensor:
    """Cut amounts so that, taken in order, they stop where the room ends."""
    covered = torch.minimum(amount.cumsum(dim), room)
    return covered.diff(dim=dim, prepend=torch.zeros_like(covered.narrow(dim, 0, 1)))


def _longest(*moves: tuple[Tensor, Tensor]) -> Tensor:
    """The longest step (B,), at most 1, that leaves every positive quantity positive."""
    limits = [torch.where(d < 0, -x / d, torch.inf).flatten(1).amin(1) for x, d in moves]
    return (_TO_BOUNDARY * torch.stack(limits).amin(0)).clamp(max=1.0)


def _slack(problem: Problem, frame: Frame, y_bkt: Tensor) -> Tensor:
    return frame.room_r - (y_bkt * frame.free_kt).sum(1) @ problem.rows_rt.mT


def _spend(problem: Problem, frame: Frame, y_bkt: Tensor) -> Tensor:
    return problem.lower_kt + y_bkt * frame.free_kt


def by_channel(function: Curve, x_bkp: Tensor) -> Tensor:
    """Apply curves, which take channels last, to (B, K, P)."""
    return function(x_bkp.movedim(-1, 0)).movedim(0, -1)


def _better(best: Plan, new: Plan) -> Plan:
    """Keep the best plan and the lowest bound, which need not come from one iterate."""
    improved = new.value_b > best.value_b
    tighter = new.bound_b < best.bound_b
    return replace(
        best,
        spend_bkt=torch.where(improved[:, None, None], new.spend_bkt, best.spend_bkt),
        value_b=torch.where(improved, new.value_b, best.value_b),
        bound_b=torch.where(tighter, new.bound_b, best.bound_b),
        price_br=torch.where(tighter[:, None], new.price_br, best.price_br),
    )
