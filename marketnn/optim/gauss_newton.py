"""The Gauss-Newton system of a least-squares fit: J^T J and J^T e, with e = y - yhat and J = de/dw (paper A, eq. 2.7).

Eq. 2.7 leaves J and e undefined, and its sign is right only when J is the Jacobian of the very e that it multiplies.

Shapes: n rows, m outputs, P parameters of one network, R members.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from marketnn.errors import InputError
from marketnn.optim.paths.linearisation import Primal
from marketnn.optim.paths.solver import Settings, build_path, choose_solver
from marketnn.optim.problem import fitting_problem


def gauss_newton_system(
    module: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    weight: Tensor | None = None,
    chunk_rows: int | None = None,
    solver: str = "primal",
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute J^T J, J^T e and the sum of squares; for a dense network without forming J.

    Parameters are in the order of ``module.parameters()``. Half the sum of squares is E of paper A, eq. 2.1 (printed
    without the square), and its gradient is J^T e.

    Args:
        module: any module that maps rows (n, ...) to (n, m) independently of each other; one with an attribute
            ``members`` (R) leads every parameter and result with R.
        x: (n, d), or with members also (R, n, d).
        y: (n, m), or with members also (R, n, m).
        weight: (n,), or with members also (R, n), not negative, multiplies the squared residuals.
        chunk_rows: rows at a time; ``None`` chooses.
        solver: ``primal`` for the fastest way, or ``packed``, ``jacobian`` or ``autodiff`` by name.

    Returns:
        jtj (P, P), jte (P,) and sse (); with members (R, P, P), (R, P) and (R,).

    Raises:
        InputError: shapes, dtypes or devices that do not fit together, a frozen parameter, a layer that draws or mixes
            rows, or a J^T J too large to hold.
    """
    problem = fitting_problem(module, x, y, weight)
    settings = Settings(solver, chunk_rows)
    name = choose_solver(module, problem, settings)
    path = build_path(name, module, replace(settings, solver=name))
    with torch.no_grad():
        found = path.linearise(problem, path.read())
        if not isinstance(found, Primal):
            raise InputError(f"solver={solver} forms no J^T J; pass primal.")
        jtj = path.in_module_order(symmetric(found.jtj))
        jte, sse = path.in_module_order(found.jte), found.sse
    return (jtj, jte, sse) if problem.members is not None else (jtj[0], jte[0], sse[0])


def symmetric(lower: Tensor) -> Tensor:
    """Complete a symmetric matrix (.., P, P) of which only the lower triangle counts."""
    return lower.tril() + lower.tril(-1).mT
