"""What a least-squares problem looks like near its parameters, and the damped step that follows from it.

``Primal`` holds J^T J and solves ``(J^T J + mu D) step = -J^T e``; ``Dual`` holds J J^T and takes the same step with D = I
as ``-J^T (J J^T + mu I)^-1 e``. A ``Path`` computes one or the other: which products it forms is its whole idea.

Shapes: n rows, m outputs, P parameters of one network, R networks; q = n m residuals of one network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from marketnn.optim.problem import Problem


@dataclass(frozen=True)
class Primal:
    """J^T J, J^T e and the sum of squares.

    Attributes:
        jtj: (R, P, P); only the lower triangle counts.
        jte: (R, P).
        sse: (R,).
    """

    jtj: Tensor
    jte: Tensor
    sse: Tensor

    @property
    def mean_diagonal(self) -> Tensor:
        """The mean of J^T J's diagonal, (R,)."""
        return self.diagonal.mean(-1)

    def factor(self, damping: Tensor, members: Tensor | None) -> tuple[Tensor, Tensor]:
        """Factor ``J^T J + mu D`` of some members.

        Args:
            damping: mu (R', 1), or mu times the scales (R', P).
            members: which members (R',), ``None`` for all.

        Returns:
            The factor (R', P, P), and 0 where the factorisation succeeded (R',).
        """
        if members is None:
            return factor(self.jtj, self.diagonal, damping)
        chosen = self.jtj.index_select(0, members)
        return factor(chosen, chosen.diagonal(dim1=-2, dim2=-1), damping)

    @cached_property
    def diagonal(self) -> Tensor:
        """A view (R, P) of J^T J's diagonal."""
        return self.jtj.diagonal(dim1=-2, dim2=-1)


@dataclass(frozen=True)
class Dual:
    """J J^T and the products with J, which is never formed; its rows are numbered outputs outermost, q = (m, n).

    Attributes:
        gram: J J^T, (R, q, q), both triangles.
        e: ``sqrt(weight) (y - yhat)``, (R, q).
        push_forward: from v (R, P) to the derivative of the outputs along v, which is -J v, (R, q).
        pull_back: its transpose, from u (R, q) to -J^T u (R, P).
    """

    gram: Tensor
    e: Tensor
    push_forward: Callable[[Tensor], Tensor]
    pull_back: Callable[[Tensor], Tensor]

    @cached_property
    def jte(self) -> Tensor:
        """J^T e, (R, P)."""
        return -self.pull_back(self.e)

    @cached_property
    def sse(self) -> Tensor:
        """The sum of squares (R,), in float64."""
        return squared_norm(self.e)

    @cached_property
    def diagonal(self) -> Tensor:
        """A view (R, q) of J J^T's diagonal."""
        return self.gram.diagonal(dim1=-2, dim2=-1)

    @property
    def mean_diagonal(self) -> Tensor:
        """The mean of J^T J's diagonal, (R,): J J^T has the same trace."""
        return self.diagonal.sum(-1) / self.jte.shape[-1]

    def solve(self, damping: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        """Solve ``(J J^T + mu I) u = right`` for u (R, q), and 0 where the factorisation succeeded (R,); mu is (R, 1)."""
        triangle, failed = factor(self.gram, self.diagonal, damping)
        return solve(triangle, right), failed

    def step(self, damping: Tensor, members: Tensor | None) -> tuple[Tensor, Tensor]:
        """Solve for the step (R', P) of some members, and 0 where the factorisation succeeded (R',)."""
        if members is None:
            u, failed = self.solve(damping, self.e)
            return self.pull_back(u), failed
        chosen = self.gram.index_select(0, members)
        triangle, failed = factor(chosen, chosen.diagonal(dim1=-2, dim2=-1), damping)
        u = solve(triangle, self.e.index_select(0, members))
        return self.pull_back(torch.zeros_like(self.e).index_copy(0, members, u)).index_select(0, members), failed


Linearisation = Primal | Dual


class Path(Protocol):
    """One way to linearise a problem, under ``torch.no_grad``; parameter vectors (R, P) have the path's own order."""

    name: str

    def read(self) -> Tensor:
        """Copy the module's parameters into vectors (R, P)."""

    def write(self, w: Tensor) -> None:
        """Copy vectors (R, P) into the module's parameters."""

    def in_module_order(self, w: Tensor) -> Tensor:
        """Bring vectors (R, P) or matrices (R, P, P) into the order of ``module.parameters()``."""

    def linearise(self, problem: Problem, w: Tensor) -> Linearisation:
        """Linearise at w; the result may live in memory that the next call takes over."""

    def sse(self, problem: Problem, w: Tensor) -> Tensor:
        """Compute the weighted sums of squared residuals (R,) at w, in float64."""

    def bend(self, problem: Problem, w: Tensor, direction: Tensor) -> Tensor:
        """Compute ``J^T r_vv`` (R, P), r_vv the residuals' second derivative along a direction (R, P)."""


def squared_norm(e: Tensor) -> Tensor:
    """Add up the squares of residuals (R, ...) in float64, so that comparing two losses in float32 means something."""
    return e.flatten(1).to(torch.float64).square().sum(1)


def factor(matrix: Tensor, diagonal: Tensor, damping: Tensor) -> tuple[Tensor, Tensor]:
    """Factor ``matrix + diag(damping)``, with 0 where that succeeded; the matrix is lent and given back unchanged.

    Args:
        matrix: (.., N, N), of which only the lower triangle counts.
        diagonal: the view (.., N) of its diagonal.
        damping: (.., 1) or (.., N).
    """
    undamped = diagonal.clone()
    diagonal += damping
    triangle, failed = torch.linalg.cholesky_ex(matrix)
    diagonal.copy_(undamped)
    return triangle, failed


def solve(triangle: Tensor, right: Tensor) -> Tensor:
    """Solve with a factor (R, N, N) for one right-hand side (R, N) per member."""
    # Two triangular solves read the factor where it lies; cholesky_solve would copy it first.
    half = torch.linalg.solve_triangular(triangle, right.unsqueeze(-1), upper=False)
    return torch.linalg.solve_triangular(triangle.mT, half, upper=True).squeeze(-1)
