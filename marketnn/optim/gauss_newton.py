"""The Gauss-Newton system of a least-squares fit: J^T J and J^T e, with e = y - yhat and J = de/dw (paper A, eq. 2.7).

Eq. 2.7 leaves J and e undefined, and its sign is right only when J is the Jacobian of the very e that it multiplies.

Shapes: n rows, m outputs, P parameters of one network, R members, s the square root of a row's weight.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.func import jacrev, vjp, vmap

from marketnn.optim.problem import Problem, fitting_problem, flat_parameters, residual

_CHUNK_ROWS = 2_000
_CHUNK_ELEMENTS = 2**23


def gauss_newton_system(
    module: nn.Module, x: Tensor, y: Tensor, *, weight: Tensor | None = None, chunk_rows: int | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute J^T J, J^T e and the sum of squares without holding J of all rows.

    Parameters are in the order of ``module.parameters()``. Half the sum of squares is E of paper A, eq. 2.1 (printed
    without the square), and its gradient is J^T e.

    Args:
        module: any module that maps rows (n, ...) to (n, m) independently of each other; one with an attribute
            ``members`` (R) leads every parameter and result with R.
        x: (n, d), or with members also (R, n, d).
        y: (n, m), or with members also (R, n, m).
        weight: (n,), not negative, multiplies the squared residuals.
        chunk_rows: rows whose Jacobian is held at a time; ``None`` chooses.

    Returns:
        jtj (P, P), jte (P,) and sse (); with members (R, P, P), (R, P) and (R,).

    Raises:
        InputError: shapes, dtypes or devices that do not fit together.
    """
    return accumulate_system(fitting_problem(module, x, y, weight), chunk_rows)


def accumulate_system(
    problem: Problem, chunk_rows: int | None = None, accumulate_dtype: torch.dtype | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Sum the Gauss-Newton system over chunks of rows.

    Args:
        problem: the data and the module.
        chunk_rows: rows at a time; ``None`` chooses.
        accumulate_dtype: dtype of J and of the products within a chunk. Chunks are summed in the parameters' dtype, and
            jte and sse are computed in it throughout, so a coarser J^T J slows the fit but does not move its optimum.

    Returns:
        As ``gauss_newton_system``.
    """
    w = flat_parameters(problem.module)
    kernel = problem.over_members(partial(_chunk_system, problem.module, accumulate_dtype or w.dtype))
    jtj, jte, sse = w.new_zeros(*w.shape, w.shape[-1]), torch.zeros_like(w), w.new_zeros(w.shape[:-1])
    for chunk in problem.chunks(chunk_rows or default_chunk_rows(problem)):
        jtj_chunk, jte_chunk, sse_chunk = kernel(w, *chunk)
        jtj += jtj_chunk
        jte += jte_chunk
        sse += sse_chunk
    return jtj, jte, sse


def residual_jacobian(problem: Problem) -> tuple[Tensor, Tensor]:
    """Compute J and e themselves, rows weighted by the square root of their weight.

    Returns:
        jac (n m, P) and e (n m,), the outputs of a row adjacent; with members a leading R.
    """
    kernel = problem.over_members(partial(_jacobian_and_residual, problem.module))
    (chunk,) = problem.chunks()
    return kernel(flat_parameters(problem.module), *chunk)


def default_chunk_rows(problem: Problem) -> int:
    """Choose how many rows' Jacobian to hold: at most 2,000, and 64 MB in float64."""
    elements_per_row = problem.y.shape[-1] * sum(parameter.numel() for parameter in problem.module.parameters())
    return max(1, min(_CHUNK_ROWS, _CHUNK_ELEMENTS // elements_per_row))


def _chunk_system(
    module: nn.Module, accumulate_dtype: torch.dtype, w_p: Tensor, x_nd: Tensor, y_nm: Tensor, s_n: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute jtj (P, P), jte (P,) and sse () of one network on one chunk."""
    e_nm, pullback, *_ = vjp(lambda w: residual(module, w, x_nd, y_nm, s_n), w_p)
    (jte_p,) = pullback(e_nm)
    jac_kp = _jacobian(module, *(tensor.to(accumulate_dtype) for tensor in (w_p, x_nd, y_nm, s_n)))
    return (jac_kp.mT @ jac_kp).to(w_p.dtype), jte_p, e_nm.square().sum()


def _jacobian_and_residual(
    module: nn.Module, w_p: Tensor, x_nd: Tensor, y_nm: Tensor, s_n: Tensor
) -> tuple[Tensor, Tensor]:
    return _jacobian(module, w_p, x_nd, y_nm, s_n), residual(module, w_p, x_nd, y_nm, s_n).flatten()


def _jacobian(module: nn.Module, w_p: Tensor, x_nd: Tensor, y_nm: Tensor, s_n: Tensor) -> Tensor:
    """Differentiate every residual by every parameter, (n m, P), by reverse mode row by row."""

    def row_residual(w_p: Tensor, x_d: Tensor, y_m: Tensor, s: Tensor) -> Tensor:
        return residual(module, w_p, x_d.unsqueeze(0), y_m.unsqueeze(0), s.unsqueeze(0)).squeeze(0)

    jac_nmp = vmap(jacrev(row_residual), in_dims=(None, 0, 0, 0))(w_p, x_nd, y_nm, s_n)
    return jac_nmp.flatten(0, 1)
