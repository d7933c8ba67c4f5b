"""The Levenberg-Marquardt trust-region search for S starts at once, each with its own radius and its own end.

A step minimises ``||r + J p||`` within ``||D p|| <= radius``. It is the least-squares solution of the stacked system
``[J D^-1; sqrt(mu) I]`` by QR (J^T J, which squares the condition number, is never formed), with mu found by Newton's
method on ``1/||D p||`` (Moré, The Levenberg-Marquardt algorithm: implementation and theory, 1978). D is the running
maximum of J's column norms, which makes the search independent of the parameters' units, or a fixed scale.

Bounds: a parameter at a bound that the gradient pushes against is held, the others take their step, and the result is
projected onto the box (Bertsekas, Projected Newton methods, SIAM J. Control Optim. 20, 1982).

Shapes: S starts, m residuals, P parameters, k = min(m, P + 1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from marketnn.optim.trust_region.bounds import Box
from marketnn.optim.trust_region.residual_function import ResidualFunction

EPSILON = torch.finfo(torch.float64).eps
RUNNING, GRADIENT, DECREASE, STEP = range(4)

_LEAST_GAIN = 1e-4  # actual over predicted decrease from which a trial is accepted
_POOR_GAIN, _GOOD_GAIN = 0.25, 0.75  # the radius shrinks up to the one and grows from the other
_RADIUS_EXCESS = 1.1  # a step may overshoot the radius by a tenth, which saves Newton steps
_NEWTON_STEPS = 10
_DAMPING_FLOOR = (100 * EPSILON) ** 2  # of ||J D^-1||^2: keeps a rank-deficient system solvable
_BOUND_ROUNDS = 2
_POLISHING_STEPS = 100
_POLISHING_GAIN = 0.95  # the largest ratio of successive gradients that still counts as convergence
_POLISHING_REACH = (1e-13, 1e-3)  # the shortest and the longest polishing step, relative to x


@dataclass(frozen=True)
class Iterate:
    """A point of every start: x (S, P), r (S, m) and J (S, m, P)."""

    x: Tensor
    r: Tensor
    jac: Tensor

    @property
    def cost(self) -> Tensor:
        """Half the sum of squares, (S,)."""
        return self.r.square().sum(-1) / 2

    @property
    def gradient(self) -> Tensor:
        """The gradient of the cost, J^T r (S, P)."""
        return (self.jac.mT @ self.r.unsqueeze(-1)).squeeze(-1)

    def moved(self, accepted: Tensor, x: Tensor, r: Tensor, jac: Tensor) -> Iterate:
        """Take the new values of the starts that ``accepted`` (S,) marks."""
        row = accepted.unsqueeze(-1)
        return Iterate(
            torch.where(row, x, self.x), torch.where(row, r, self.r), torch.where(row.unsqueeze(-1), jac, self.jac)
        )


@dataclass(frozen=True)
class Search:
    """The state of every start; all but ``iterate`` and ``scale`` (S, P) are (S,).

    Attributes:
        iterate: where each start stands.
        scale: the diagonal of D, 0 for a column of J that has been 0 throughout.
        radius: of the trust region, in units of D x.
        status: ``RUNNING``, ``GRADIENT``, ``DECREASE`` or ``STEP``.
        n_evaluations: residuals computed so far.
    """

    iterate: Iterate
    scale: Tensor
    radius: Tensor
    status: Tensor
    n_evaluations: Tensor


def start_search(iterate: Iterate, scale: Tensor, radius: float, n_evaluations: Tensor, active: Tensor) -> Search:
    """Begin at ``iterate``; ``radius`` is relative to ``||D x||``, or to ``||r||`` where x is 0."""
    size, residual_size = _weighted_norm(scale, iterate.x), iterate.r.norm(dim=-1)
    return Search(
        iterate=iterate,
        scale=scale,
        radius=radius * torch.where(size > 0, size, residual_size),
        status=torch.where(active, RUNNING, STEP),
        n_evaluations=n_evaluations,
    )


def minimise(
    search: Search, function: ResidualFunction, box: Box, *, adaptive: bool, tolerance: float, max_evaluations: int
) -> Search:
    """Step until every start has an end or ``max_evaluations``; the host waits twice per trial.

    Args:
        search: from ``start_search``.
        function: the residuals.
        box: the bounds; ``search`` lies within them.
        adaptive: whether ``scale`` follows J's column norms.
        tolerance: of the three tests that end a search, relative.
        max_evaluations: of each start; those that reach it stay ``RUNNING``.
    """
    search = _end_at_gradient(search, box, tolerance)
    while bool(_running(search, max_evaluations).any()):
        search = _try_step(search, function, box, adaptive, tolerance, max_evaluations)
        search = _end_at_gradient(search, box, tolerance)
    return search


def polish(search: Search, function: ResidualFunction, box: Box, active: Tensor, max_evaluations: int) -> Search:
    """Take Gauss-Newton steps while each lessens the residual's part within J's range.

    Near its minimum the cost is flat to rounding over ``sqrt(eps)`` of a parameter's standard error; the gradient is
    not, and gives the remaining digits.
    """
    for _ in range(_POLISHING_STEPS):
        before, scale = search.iterate, positive(search.scale)
        free = box.free(before.x, before.gradient)
        step, offset = gauss_newton_step(before.jac * free.unsqueeze(-2), before.r, scale)
        x = box.project(before.x + step)
        length, size = _weighted_norm(scale, step), _weighted_norm(scale, before.x)
        shortest, longest = (reach * size for reach in _POLISHING_REACH)
        trying = active & (search.n_evaluations < max_evaluations) & (shortest <= length) & (length <= longest)
        if not bool(trying.any()):
            break
        r = function.residual(x)
        jac = function.jacobian(x, r.shape[-1])
        trial = before.moved(trying & r.isfinite().all(-1) & jac.isfinite().all(-1).all(-1), x, r, jac)
        trial_free = box.free(trial.x, trial.gradient)
        _, trial_offset = gauss_newton_step(trial.jac * trial_free.unsqueeze(-2), trial.r, scale)
        active = trying & (trial_offset <= _POLISHING_GAIN * offset)
        active &= trial.cost <= before.cost * (1 + math.sqrt(EPSILON))
        search = replace(
            search,
            iterate=before.moved(active, trial.x, trial.r, trial.jac),
            n_evaluations=search.n_evaluations + trying,
        )
    return search


def gauss_newton_step(jac: Tensor, r: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Solve ``min ||r + J p||``; return p (S, P) and the norm of r's part within J's range (S,)."""
    triangle = _triangle(jac, r, scale)
    step, _ = _damped_step(triangle, _least_damping(triangle))
    return step / scale, triangle[..., : scale.shape[-1], -1].norm(dim=-1)


def trust_region_step(jac: Tensor, r: Tensor, scale: Tensor, radius: Tensor) -> Tensor:
    """Solve ``min ||r + J p||`` subject to ``||D p|| <= radius``, to a tenth of the radius.

    Newton's method starts below the root of a concave function, so it rises to it without safeguards.

    Args:
        jac: (S, m, P), with a zero column for a parameter that is held.
        r: (S, m).
        scale: the diagonal of D, (S, P), positive.
        radius: (S,).

    Returns:
        p (S, P).
    """
    triangle = _triangle(jac, r, scale)
    damping = _least_damping(triangle)
    for _ in range(_NEWTON_STEPS):
        step, factor = _damped_step(triangle, damping)
        length = step.norm(dim=-1)
        slope = torch.linalg.solve_triangular(factor.mT, step.unsqueeze(-1), upper=False).squeeze(-1).norm(dim=-1)
        rise = (length / radius - 1) * (length / slope).square()
        damping = torch.where(length > _RADIUS_EXCESS * radius, damping + rise, damping)
    step, _ = _damped_step(triangle, damping)
    return step / scale


def bounded_step(iterate: Iterate, scale: Tensor, radius: Tensor, box: Box) -> Tensor:
    """Take the trust-region step, then again for the others with each parameter that hit a bound held there.

    Returns:
        A step (S, P), to be projected: those that hit a bound only in the last round may still cross it.
    """
    free = box.free(iterate.x, iterate.gradient)
    step = trust_region_step(iterate.jac * free.unsqueeze(-2), iterate.r, scale, radius)
    to_bound = torch.zeros_like(step)
    for _ in range(_BOUND_ROUNDS if box.bounded else 0):
        inside = box.project(iterate.x + step) - iterate.x
        hit = (free > 0) & ((inside - step).abs() > 0)
        to_bound, free = torch.where(hit, inside, to_bound), torch.where(hit, 0.0, free)
        r = iterate.r + (iterate.jac @ to_bound.unsqueeze(-1)).squeeze(-1)
        step = to_bound + trust_region_step(iterate.jac * free.unsqueeze(-2), r, scale, radius)
    return step


def _triangle(jac: Tensor, r: Tensor, scale: Tensor) -> Tensor:
    """Reduce ``[J D^-1 | r]`` to its triangle (S, k, P + 1): all that a step of any damping needs."""
    return torch.linalg.qr(torch.cat([jac / scale.unsqueeze(-2), r.unsqueeze(-1)], dim=-1), mode="r").R


def _least_damping(triangle: Tensor) -> Tensor:
    size = triangle[..., :-1].square().sum((-2, -1))
    return (_DAMPING_FLOOR * size).clamp(min=torch.finfo(size.dtype).tiny)


def _damped_step(triangle: Tensor, damping: Tensor) -> tuple[Tensor, Tensor]:
    """Solve the stacked system at mu (S,); return D p (S, P) and the system's triangular factor (S, P, P)."""
    p = triangle.shape[-1] - 1
    identity = pad(torch.eye(p, dtype=triangle.dtype, device=triangle.device), (0, 1))
    stacked = torch.cat([triangle, damping.sqrt()[:, None, None] * identity], dim=-2)
    reduced = torch.linalg.qr(stacked, mode="r").R[..., :p, :]
    factor, right = reduced[..., :p], reduced[..., p:]
    return -torch.linalg.solve_triangular(factor, right, upper=True).squeeze(-1), factor


def _try_step(
    search: Search, function: ResidualFunction, box: Box, adaptive: bool, tolerance: float, max_evaluations: int
) -> Search:
    """Try one step of every running start; a trial whose residual or Jacobian is not finite is rejected."""
    running = _running(search, max_evaluations)
    before, gradient, scale = search.iterate, search.iterate.gradient, positive(search.scale)
    unprojected = bounded_step(before, scale, search.radius, box)
    x = box.project(before.x + unprojected)
    step = x - before.x
    slope = (gradient * step).sum(-1)
    predicted = -slope - (before.jac @ step.unsqueeze(-1)).squeeze(-1).square().sum(-1) / 2

    r = function.residual(x)
    decrease = ((before.r - r) * (before.r + r)).sum(-1) / 2  # keeps the digits that a difference of costs would lose
    decrease = torch.where(decrease.isfinite(), decrease, -math.inf)
    gain = torch.where(predicted > 0, decrease / predicted, -math.inf)
    accepted = running & (gain >= _LEAST_GAIN)
    jac = before.jac
    if bool(accepted.any()):
        jac = function.jacobian(x, r.shape[-1])
        usable = jac.isfinite().all(-1).all(-1)
        accepted = accepted & usable
        gain = torch.where(usable, gain, -math.inf)
    iterate = before.moved(accepted, x, r, jac)

    shrink = torch.nan_to_num(slope / (2 * (slope + decrease)), nan=0.0).clamp(0.1, 0.5)
    radius = torch.where(gain >= _GOOD_GAIN, 2 * _weighted_norm(scale, unprojected), search.radius)
    radius = torch.where(gain <= _POOR_GAIN, shrink * _weighted_norm(scale, step), radius)
    largest_scale = torch.maximum(search.scale, iterate.jac.norm(dim=-2)) if adaptive else search.scale

    small = tolerance * before.cost
    flat = (predicted <= small) & (decrease.abs() <= small) & (gain <= 2)
    size = _weighted_norm(positive(largest_scale), iterate.x)
    stuck = ~(radius > tolerance * size) | (x == before.x).all(-1)  # a radius that is not a number ends the search
    end = torch.where(flat, DECREASE, torch.where(stuck, STEP, RUNNING))
    return Search(
        iterate=iterate,
        scale=largest_scale,
        radius=torch.where(running, radius, search.radius),
        status=torch.where(running, end, search.status),
        n_evaluations=search.n_evaluations + running,
    )


def _end_at_gradient(search: Search, box: Box, tolerance: float) -> Search:
    """End the starts whose residual is orthogonal to every free column of J, by its largest cosine."""
    iterate, gradient = search.iterate, search.iterate.gradient
    free = box.free(iterate.x, gradient)
    lengths = iterate.jac.norm(dim=-2) * iterate.r.norm(dim=-1, keepdim=True)
    orthogonal = (free * gradient.abs() <= tolerance * lengths).all(-1)
    return replace(search, status=torch.where((search.status == RUNNING) & orthogonal, GRADIENT, search.status))


def _running(search: Search, max_evaluations: int) -> Tensor:
    return (search.status == RUNNING) & (search.n_evaluations < max_evaluations)


def positive(scale: Tensor) -> Tensor:
    """Put 1 where a scale is 0, as that of a column without effect is."""
    return torch.where(scale > 0, scale, 1.0)


def _weighted_norm(scale: Tensor, x: Tensor) -> Tensor:
    return (scale * x).norm(dim=-1)
