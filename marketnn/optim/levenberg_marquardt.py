"""Levenberg-Marquardt: the step -(J^T J + mu I)^-1 J^T e (paper A, eq. 2.7), with mu decided by trial.

J^T J is not normalised. A trial counts when its factorisation succeeds and its loss is finite and lower; otherwise mu
rises and only the factorisation is repeated. R members of a module step together, each with its own mu.

Shapes: n rows, m outputs, P parameters of one network, R members; every state and report is () or (R,).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from marketnn.errors import InputError, unknown_name
from marketnn.optim.damping import LARGEST, RULES
from marketnn.optim.gauss_newton import accumulate_system, default_chunk_rows, residual_jacobian
from marketnn.optim.problem import (
    Problem,
    fitting_problem,
    flat_parameters,
    load_parameters,
    member_count,
    not_finite,
    sum_of_squares,
)

_SOLVERS = ("auto", "primal", "dual")
_FIRST_GROWTH = 2.0

Solve = Callable[[Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class StepReport:
    """What one step did; tensors () or (R,).

    Attributes:
        loss: MSE before the step.
        new_loss: MSE after it; ``loss`` when every trial was rejected.
        damping: mu of the accepted trial; when none was accepted, the raised mu that the next trial would use.
        gain_ratio: actual over predicted decrease of the last trial, 0 where that is not finite.
        tries: trials, each one factorisation.
        accepted: whether the parameters changed.
        gradient_norm: Euclidean norm of the gradient of ``loss`` before the step.
    """

    loss: Tensor
    new_loss: Tensor
    damping: Tensor
    gain_ratio: Tensor
    tries: Tensor
    accepted: Tensor
    gradient_norm: Tensor


class LevenbergMarquardt:
    """The optimiser of paper A's LMBP network, for any module that maps rows independently.

    Args:
        module: the network; every one of its parameters is fitted. With an attribute ``members`` (R), R networks.
        damping: mu of the first trial.
        damping_rule: ``nielsen`` (follows the gain ratio) or ``multiplicative`` (0.1 and 10, MathWorks' ``trainlm``).
        solver: ``primal`` factors J^T J + mu I (P, P); ``dual`` factors J J^T + mu I (n m, n m), the same step by
            ``-J^T (J J^T + mu I)^-1 e``; ``auto`` takes the dual when n m < P.
        chunk_rows: rows whose Jacobian is held at a time (primal); ``None`` chooses.
        accumulate_dtype: dtype of J and J^T J within a chunk (primal), such as ``torch.float32``; the gradient, the sum
            over chunks and the solution keep the parameters' dtype.

    Raises:
        InputError: a damping outside (0, 1e10], ``chunk_rows`` below 1, an unknown rule or solver.
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        damping: float = 1e-3,
        damping_rule: str = "nielsen",
        solver: str = "auto",
        chunk_rows: int | None = None,
        accumulate_dtype: torch.dtype | None = None,
    ) -> None:
        if not 0 < damping <= LARGEST:
            raise InputError(f"damping={damping:g} is not possible; pass a number above 0, at most {LARGEST:g}.")
        if chunk_rows is not None and chunk_rows < 1:
            raise InputError(f"chunk_rows={chunk_rows} is not possible; pass at least 1, or None.")
        if damping_rule not in RULES:
            raise unknown_name("damping rule", damping_rule, RULES)
        if solver not in _SOLVERS:
            raise unknown_name("solver", solver, _SOLVERS)
        self.module = module
        self.damping_rule = damping_rule
        self.solver = solver
        self.chunk_rows = chunk_rows
        self.accumulate_dtype = accumulate_dtype
        like = flat_parameters(module)[..., 0]
        self._damping = torch.full_like(like, damping)
        self._growth = torch.full_like(like, _FIRST_GROWTH)

    def step(self, x: Tensor, y: Tensor, weight: Tensor | None = None, *, active: Tensor | None = None) -> StepReport:
        """Move the module's parameters to a lower loss, or leave them; the host waits once per trial.

        Args:
            x: (n, d), or with members also (R, n, d).
            y: (n, m), or with members also (R, n, m).
            weight: (n,), not negative, multiplies the squared residuals.
            active: (R,) bool, the members to step; the others keep parameters and damping.

        Raises:
            InputError: data that do not fit the module, or a loss that is not finite; the parameters are untouched.
        """
        problem = fitting_problem(self.module, x, y, weight)
        jte, sse, solve = self._linearise(problem)
        loss = sse / problem.terms
        chunk_rows = self.chunk_rows or default_chunk_rows(problem)
        search = _Search.start(flat_parameters(self.module), loss, self._damping, self._growth, active)
        retry = True
        while retry:
            search = _try_step(search, problem, jte, loss, solve, self.damping_rule, chunk_rows)
            retry, finite = torch.stack((search.pending.any(), loss.isfinite().all())).tolist()
            if not finite:
                raise not_finite(problem, loss)
        load_parameters(self.module, search.w)
        self._damping, self._growth = search.damping, search.growth
        return StepReport(
            loss=loss,
            new_loss=search.loss,
            damping=torch.where(search.accepted, search.used_damping, search.damping),
            gain_ratio=search.gain_ratio,
            tries=search.tries,
            accepted=search.accepted,
            gradient_norm=2 * jte.norm(dim=-1) / problem.terms,
        )

    def state_dict(self) -> dict[str, Tensor]:
        """Return the damping and its growth; the parameters are the module's own."""
        return {"damping": self._damping.clone(), "growth": self._growth.clone()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Continue from a state that ``state_dict`` returned.

        Raises:
            InputError: keys or shapes of another optimiser.
        """
        shape = tuple(self._damping.shape)
        if {key: tuple(value.shape) for key, value in state.items()} != {"damping": shape, "growth": shape}:
            found = ", ".join(f"{key} {tuple(value.shape)}" for key, value in state.items())
            raise InputError(
                f"the state holds {found or 'nothing'}; this optimiser needs damping and growth of {shape}."
            )
        self._damping = state["damping"].to(self._damping, copy=True)
        self._growth = state["growth"].to(self._growth, copy=True)

    def _linearise(self, problem: Problem) -> tuple[Tensor, Tensor, Solve]:
        """Return jte, sse and the function from a damping to its step."""
        if self._use_dual(problem):
            jac, e = residual_jacobian(problem)
            solve: Solve = partial(dual_step, jac @ jac.mT, jac, e)
            return (jac.mT @ e.unsqueeze(-1)).squeeze(-1), e.square().sum(-1), solve
        jtj, jte, sse = accumulate_system(problem, self.chunk_rows, self.accumulate_dtype)
        return jte, sse, partial(primal_step, jtj, jte)

    def _use_dual(self, problem: Problem) -> bool:
        n_parameters = sum(p.numel() for p in self.module.parameters()) // (member_count(self.module) or 1)
        fewer_residuals = len(problem.root_weight) * problem.y.shape[-1] < n_parameters
        return self.solver == "dual" or (self.solver == "auto" and fewer_residuals)


def primal_step(jtj: Tensor, jte: Tensor, damping: Tensor) -> tuple[Tensor, Tensor]:
    """Solve ``(J^T J + mu I) step = -J^T e``.

    Args:
        jtj: (P, P) or (R, P, P).
        jte: (P,) or (R, P).
        damping: mu, () or (R,).

    Returns:
        The step (P,) or (R, P), and whether its factorisation succeeded, () or (R,).
    """
    solution, solved = _damped_solve(jtj, jte, damping)
    return -solution, solved


def dual_step(gram: Tensor, jac: Tensor, e: Tensor, damping: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the same step as ``-J^T (J J^T + mu I)^-1 e``.

    Args:
        gram: J J^T, (n m, n m) or (R, n m, n m).
        jac: J, (n m, P) or (R, n m, P).
        e: (n m,) or (R, n m).
        damping: mu, () or (R,).

    Returns:
        As ``primal_step``.
    """
    solution, solved = _damped_solve(gram, e, damping)
    return -(jac.mT @ solution.unsqueeze(-1)).squeeze(-1), solved


def _damped_solve(matrix: Tensor, right: Tensor, damping: Tensor) -> tuple[Tensor, Tensor]:
    damped = matrix.clone()
    damped.diagonal(dim1=-2, dim2=-1).add_(damping.unsqueeze(-1))
    factor, info = torch.linalg.cholesky_ex(damped)
    return torch.cholesky_solve(right.unsqueeze(-1), factor).squeeze(-1), info == 0


@dataclass(frozen=True)
class _Search:
    """The state of the trials within one step; () or (R,), the parameters ``w`` (P,) or (R, P)."""

    w: Tensor
    loss: Tensor
    damping: Tensor
    growth: Tensor
    used_damping: Tensor
    gain_ratio: Tensor
    tries: Tensor
    accepted: Tensor
    pending: Tensor

    @staticmethod
    def start(w: Tensor, loss: Tensor, damping: Tensor, growth: Tensor, active: Tensor | None) -> _Search:
        pending = damping <= LARGEST
        return _Search(
            w=w,
            loss=loss,
            damping=damping,
            growth=growth,
            used_damping=damping,
            gain_ratio=torch.zeros_like(loss),
            tries=torch.zeros_like(pending, dtype=torch.int64),
            accepted=torch.zeros_like(pending),
            pending=pending if active is None else pending & active,
        )


def _try_step(
    before: _Search, problem: Problem, jte: Tensor, loss: Tensor, solve: Solve, rule: str, chunk_rows: int
) -> _Search:
    """Try each pending member's step at its damping; members already decided keep their state."""
    pending = before.pending
    step, solved = solve(before.damping)
    trial_w = before.w + step
    trial_loss = sum_of_squares(problem, trial_w, chunk_rows) / problem.terms
    predicted = (step * (before.damping.unsqueeze(-1) * step - jte)).sum(-1)
    gain_ratio = (loss - trial_loss) * problem.terms / predicted
    gain_ratio = torch.where(solved & gain_ratio.isfinite(), gain_ratio, 0.0)
    accepted = pending & solved & (trial_loss < loss)
    damping, growth = RULES[rule](before.damping, before.growth, gain_ratio, accepted)
    damping = torch.where(pending, damping, before.damping)
    return _Search(
        w=torch.where(accepted.unsqueeze(-1), trial_w, before.w),
        loss=torch.where(accepted, trial_loss, before.loss),
        damping=damping,
        growth=torch.where(pending, growth, before.growth),
        used_damping=torch.where(pending, before.damping, before.used_damping),
        gain_ratio=torch.where(pending, gain_ratio, before.gain_ratio),
        tries=before.tries + pending,
        accepted=before.accepted | accepted,
        pending=pending & ~accepted & (damping <= LARGEST),
    )
