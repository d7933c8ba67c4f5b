"""Nonlinear least squares: the x that minimises half the sum of squares of a residual r(x), with its standard errors.

Levenberg-Marquardt in a trust region (``marketnn.optim.trust_region``), scaled by the Jacobian's columns. Where that
scaling stalls, because a step into a flat region left a column of J without effect, the search starts again scaled by
``|x0|`` and the better fit is kept.

Shapes: S starts, m residuals, P parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from marketnn.errors import InputError
from marketnn.optim.trust_region.bounds import Box, make_box, require
from marketnn.optim.trust_region.residual_function import ResidualFunction
from marketnn.optim.trust_region.search import (
    DECREASE,
    EPSILON,
    GRADIENT,
    RUNNING,
    STEP,
    Iterate,
    Search,
    minimise,
    polish,
    positive,
    start_search,
)

_MAX_EVALUATIONS = 10_000
_FIRST_RADIUS = 10.0  # of the search scaled by J, relative to ||D x0||
_CAUTIOUS_RADIUS = 0.1  # of the search scaled by |x0|
_SOLVED = EPSILON**2  # cost relative to the start's, below which no other search can find a better fit
_STALLED = math.sqrt(EPSILON)  # smallest over largest singular value of J D^-1

_ENDS = {
    GRADIENT: ("gradient", "the residual is orthogonal to the Jacobian"),
    DECREASE: ("decrease", "the cost cannot fall further"),
    STEP: ("step", "no step that lowers the cost is left"),
}
_UNFINISHED = ("max_evaluations", "the search was cut off; pass a larger max_evaluations")


@dataclass(frozen=True)
class LeastSquaresResult:
    """The fit; with x0 (S, P) every tensor leads with S, and counts and words are lists of S.

    Attributes:
        x: the parameters (P,).
        cost: half the sum of squares at x, ().
        residual: r at x, (m,).
        n_evaluations: how often the residual was computed, the start scaled anew included.
        status: ``gradient`` (the residual is orthogonal to J's columns), ``decrease`` (neither predicted nor actual
            decrease exceeds the tolerance), ``step`` (no step longer than the tolerance lowers the cost) or
            ``max_evaluations``.
        message: the same as a sentence, and what else is to be known of the fit.
        covariance: of x, ``s^2 (J^T J)^-1`` with ``s^2 = 2 cost / (m - P)``, (P, P), as if there were no bounds;
            infinite where m <= P or J has not full rank.
        standard_error: the square roots of its diagonal, (P,).
    """

    x: Tensor
    cost: Tensor
    residual: Tensor
    n_evaluations: int | list[int]
    status: str | list[str]
    message: str | list[str]
    covariance: Tensor
    standard_error: Tensor


def least_squares(
    residual: Callable[[Tensor], Tensor],
    x0: Tensor,
    *,
    max_evaluations: int | None = None,
    tolerance: float | None = None,
    lower: Tensor | float | None = None,
    upper: Tensor | float | None = None,
) -> LeastSquaresResult:
    """Minimise ``sum r(x)^2 / 2``.

    m < P is possible: the cost is minimised, but x is one of many minima and its covariance infinite. A residual that
    does not depend on x ends at x0 with status ``gradient`` and a message that J is zero.

    Args:
        residual: maps x (P,) to r (m,), by torch operations that can be differentiated twice in reverse. A trial whose
            r or Jacobian is not finite is rejected.
        x0: the start (P,) in float64, or a batch of starts (S, P), each solved on its own by ``vmap``.
        max_evaluations: of the residual, per start; ``None`` is 10,000.
        tolerance: relative change of cost or x, or cosine between residual and J's columns, that ends the search;
            ``None`` iterates to rounding and then on the gradient alone, which adds digits that the cost cannot show.
        lower: bounds of x, a number or (P,); ``None`` is none.
        upper: likewise; equal bounds fix a parameter.

    Raises:
        InputError: an empty x0, not float64 or not finite; r or its Jacobian not finite at x0; r not a vector of x0's
            dtype and device; bounds that cross or do not contain x0; numbers out of range.
    """
    _check_start(x0)
    limit = _MAX_EVALUATIONS if max_evaluations is None else max_evaluations
    if limit < 1:
        raise InputError(f"max_evaluations={max_evaluations} is not possible; pass at least 1.")
    if tolerance is not None and not 0 < tolerance < 1:
        raise InputError(f"tolerance={tolerance:g} is not possible; pass a number between 0 and 1, or None.")
    batched = x0.dim() == 2
    x_sp = x0.detach().clone() if batched else x0.detach().clone().unsqueeze(0)
    box = make_box(x_sp, lower, upper)
    function = ResidualFunction(residual, batched=batched)
    first = _first_iterate(function, x_sp)

    search, restarted = _search(function, box, first, limit, EPSILON if tolerance is None else tolerance)
    if tolerance is None:
        search = polish(search, function, box, search.status != RUNNING, limit)
    return _result(search, restarted, batched)


def covariance_of(jac: Tensor, cost: Tensor) -> tuple[Tensor, Tensor]:
    """Compute ``s^2 (J^T J)^-1`` with ``s^2 = 2 cost / (m - P)`` by QR of J with its columns at unit length.

    Args:
        jac: J (S, m, P).
        cost: (S,).

    Returns:
        The covariance (S, P, P), infinite where m <= P or J has not full rank, and J's rank (S,).
    """
    m, p = jac.shape[-2:]
    norms = positive(jac.norm(dim=-2))
    factor = torch.linalg.qr(jac / norms.unsqueeze(-2), mode="r").R
    singular = torch.linalg.svdvals(factor)
    rank = (singular > max(m, p) * EPSILON * singular[..., :1]).sum(-1)
    infinite = jac.new_full((*jac.shape[:-2], p, p), math.inf)
    if m <= p:
        return infinite, rank
    full = (rank == p)[:, None, None]
    identity = torch.eye(p, dtype=jac.dtype, device=jac.device)
    inverse = torch.linalg.solve_triangular(torch.where(full, factor, identity), identity.expand_as(factor), upper=True)
    variance = 2 * cost / (m - p)
    scaled = variance[:, None, None] * (inverse @ inverse.mT) / (norms.unsqueeze(-1) * norms.unsqueeze(-2))
    return torch.where(full, scaled, infinite), rank


def _search(
    function: ResidualFunction, box: Box, first: Iterate, limit: int, tolerance: float
) -> tuple[Search, Tensor]:
    """Search scaled by J, and again scaled by |x0| where that stalled; return the better and where it is the second."""
    one = torch.ones(len(first.x), dtype=torch.int64, device=first.x.device)
    scale = first.jac.norm(dim=-2)
    begun = start_search(first, scale, _FIRST_RADIUS, one, one > 0)
    by_columns = minimise(begun, function, box, adaptive=True, tolerance=tolerance, max_evaluations=limit)

    stalled = _has_stalled(by_columns) & (by_columns.iterate.cost > _SOLVED * first.cost)
    scale = 1 / positive(first.x.abs())
    by_start = start_search(first, scale, _CAUTIOUS_RADIUS, by_columns.n_evaluations, stalled)
    by_start = minimise(by_start, function, box, adaptive=False, tolerance=tolerance, max_evaluations=limit)
    better = stalled & (by_start.iterate.cost < by_columns.iterate.cost)
    row = better.unsqueeze(-1)
    kept = Search(
        iterate=by_columns.iterate.moved(better, by_start.iterate.x, by_start.iterate.r, by_start.iterate.jac),
        scale=torch.where(row, by_start.scale, by_columns.scale),
        radius=torch.where(better, by_start.radius, by_columns.radius),
        status=torch.where(better, by_start.status, by_columns.status),
        n_evaluations=by_start.n_evaluations,
    )
    return kept, better


def _has_stalled(search: Search) -> Tensor:
    """Whether J has lost, against the largest column norms on the way, a direction that it must have had."""
    jac = search.iterate.jac / positive(search.scale).unsqueeze(-2)
    singular = torch.linalg.svdvals(torch.linalg.qr(jac, mode="r").R)
    return singular[..., -1] <= _STALLED * singular[..., 0]


def _result(search: Search, restarted: Tensor, batched: bool) -> LeastSquaresResult:
    iterate = search.iterate
    covariance, rank = covariance_of(iterate.jac, iterate.cost)
    standard_error = covariance.diagonal(dim1=-2, dim2=-1).sqrt()
    facts = torch.stack([search.status, search.n_evaluations, rank, restarted.to(rank.dtype)])
    statuses, counts, ranks, again = facts.tolist()
    words = [_words(*each, *iterate.jac.shape[-2:]) for each in zip(statuses, counts, ranks, again, strict=True)]
    result = LeastSquaresResult(
        x=iterate.x,
        cost=iterate.cost,
        residual=iterate.r,
        n_evaluations=counts,
        status=[name for name, _ in words],
        message=[sentence for _, sentence in words],
        covariance=covariance,
        standard_error=standard_error,
    )
    if batched:
        return result
    return LeastSquaresResult(**{name: values[0] for name, values in vars(result).items()})


def _words(status: int, count: int, rank: int, again: int, m: int, p: int) -> tuple[str, str]:
    """Return the name of a status and the message."""
    name, reason = _ENDS.get(status, _UNFINISHED)
    sentence = f"After {count:,} evaluation{'s' if count > 1 else ''} {reason}."
    if again:
        sentence += " Scaling by the Jacobian had stalled; this fit is scaled by |x0|."
    if rank == 0:
        sentence += " The Jacobian is zero: the residual does not depend on x here, and the covariance is infinite."
    elif rank < p:
        sentence += f" The Jacobian has rank {rank} of {p}: x is not unique, and the covariance is infinite."
    elif m <= p:
        sentence += f" {m} residuals leave {p} parameters no degrees of freedom: the covariance is infinite."
    return name, sentence


def _check_start(x0: Tensor) -> None:
    if not isinstance(x0, Tensor):
        raise InputError(f"x0 is a {type(x0).__name__}; pass a float64 tensor, such as torch.tensor(x0).double().")
    if x0.dtype != torch.float64:
        raise InputError(f"x0 is {x0.dtype}; rounding would decide the fit. Pass float64: x0.double().")
    if x0.dim() not in (1, 2) or x0.numel() == 0:
        raise InputError(
            f"x0 has shape {tuple(x0.shape)}; pass parameters (P,) or a batch of starts (S, P), not empty."
        )
    require(x0.isfinite(), "x0 is not finite", x0)


def _first_iterate(function: ResidualFunction, x_sp: Tensor) -> Iterate:
    r = function.residual(x_sp)
    require(r.isfinite(), "the residual at x0 is not finite; start elsewhere", r)
    first = Iterate(x_sp, r, function.jacobian(x_sp, r.shape[-1]))
    require(first.jac.isfinite(), "the Jacobian at x0 is not finite; start elsewhere", first.jac)
    require(first.cost.isfinite(), "the sum of squares at x0 overflows; scale the residual down", first.cost)
    return first
