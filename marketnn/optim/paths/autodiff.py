"""The paths of any module that maps rows independently: its Jacobian by reverse mode, row by row under vmap.

``jacrev`` costs one backward pass per output and row; forward mode would cost one per parameter.

Shapes: n rows, m outputs, P parameters of one network, R members, s the square root of a row's weight.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.func import jacrev, vjp, vmap

from marketnn.optim.paths.linearisation import Dual, Primal
from marketnn.optim.problem import (
    Problem,
    flat_parameters,
    load_parameters,
    member_count,
    residual,
    sum_of_squares,
)
from marketnn.optim.processes import Reduce

_CHUNK_ROWS = 2_000
_CHUNK_ELEMENTS = 2**23  # of J held at a time, 64 MB in float64


class AutodiffPath:
    """J^T J over chunks of rows whose Jacobian is formed.

    Args:
        module: any module; every one of its parameters is fitted.
        chunk_rows: rows whose Jacobian is held at a time; ``None`` chooses.
        reduce: adds up tensors over processes in place, or ``None``.
        accumulate_dtype: dtype of J and its products within a chunk.
        compile: pass the Jacobian through ``torch.compile``.
    """

    name = "autodiff"

    def __init__(
        self,
        module: nn.Module,
        chunk_rows: int | None,
        reduce: Reduce | None = None,
        accumulate_dtype: torch.dtype | None = None,
        compile: bool = False,
    ) -> None:
        self._module = module
        self._chunk_rows = chunk_rows or default_chunk_rows(module)
        self._reduce = reduce
        kernel = partial(_chunk_system, module, accumulate_dtype or flat_parameters(module).dtype)
        self._kernel = torch.compile(kernel) if compile else kernel

    def read(self) -> Tensor:
        """Copy the module's parameters into vectors (R, P)."""
        w = flat_parameters(self._module)
        return w if member_count(self._module) is not None else w.unsqueeze(0)

    def write(self, w: Tensor) -> None:
        """Copy vectors (R, P) into the module's parameters."""
        load_parameters(self._module, w if member_count(self._module) is not None else w[0])

    def in_module_order(self, w: Tensor) -> Tensor:
        """Return w itself: the path's order is the module's."""
        return w

    def linearise(self, problem: Problem, w: Tensor) -> Primal:
        """Sum J^T J, J^T e and the sum of squares over chunks of rows."""
        kernel = _over_members(problem, self._kernel)
        jtj, jte, sse = w.new_zeros(*w.shape, w.shape[-1]), torch.zeros_like(w), w.new_zeros(len(w))
        for chunk in problem.chunks(self._chunk_rows):
            for total, part in zip((jtj, jte, sse), kernel(w, *chunk), strict=True):
                total += part
        if self._reduce:
            self._reduce([jtj, jte, sse])
        return Primal(jtj, jte, sse)

    def sse(self, problem: Problem, w: Tensor) -> Tensor:
        """Compute the weighted sums of squared residuals (R,) at w."""
        if problem.members is None:
            sse = sum_of_squares(problem, w[0], self._chunk_rows).unsqueeze(0)
        else:
            sse = sum_of_squares(problem, w, self._chunk_rows)
        if self._reduce:
            self._reduce([sse])
        return sse

    def bend(self, problem: Problem, w: Tensor, direction: Tensor) -> Tensor:
        """Compute ``J^T r_vv`` (R, P), r_vv the residuals' second derivative along a direction (R, P)."""
        kernel = _over_members(problem, partial(_chunk_bend, self._module), vectors=2)
        bent = torch.zeros_like(w)
        for chunk in problem.chunks(self._chunk_rows):
            bent += kernel(w, direction, *chunk)
        if self._reduce:
            self._reduce([bent])
        return bent


class AutodiffGramPath(AutodiffPath):
    """J J^T of all rows, for fewer residuals than parameters."""

    name = "autodiff_gram"

    def linearise(self, problem: Problem, w: Tensor) -> Dual:  # type: ignore[override]
        """Form J of all rows, which is smaller than J^T J, and multiply it with itself."""
        (chunk,) = problem.chunks()
        jac, e = _over_members(problem, partial(_jacobian_and_residual, self._module))(w, *chunk)

        def pull_back(u: Tensor) -> Tensor:
            return torch.matmul(jac.mT, u.unsqueeze(-1)).squeeze(-1)

        return Dual(jac @ jac.mT, e, pull_back, pull_back(e), e.square().sum(1))


def residual_jacobian(problem: Problem) -> tuple[Tensor, Tensor]:
    """Compute J and e themselves, rows weighted by the square root of their weight.

    Returns:
        jac (n m, P) and e (n m,), the outputs of a row adjacent; with members a leading R.
    """
    (chunk,) = problem.chunks()
    return problem.over_members(partial(_jacobian_and_residual, problem.module))(
        flat_parameters(problem.module), *chunk
    )


def default_chunk_rows(module: nn.Module) -> int:
    """Choose how many rows' Jacobian to hold: at most 2,000, and 64 MB in float64 for one output."""
    n_parameters = sum(parameter.numel() for parameter in module.parameters())
    return max(1, min(_CHUNK_ROWS, _CHUNK_ELEMENTS // n_parameters))


def _over_members(problem: Problem, kernel: Callable, vectors: int = 1) -> Callable:
    """Let a kernel of one network take parameter vectors (R, P), and give its results a leading R."""
    if problem.members is not None:
        return problem.over_members(kernel, vectors)

    def one(*arguments: Tensor | None) -> Tensor | tuple[Tensor, ...]:
        firsts = [vector[0] for vector in arguments[:vectors] if vector is not None]
        found = kernel(*firsts, *arguments[vectors:])
        return found.unsqueeze(0) if isinstance(found, Tensor) else tuple(each.unsqueeze(0) for each in found)

    return one


def _chunk_system(
    module: nn.Module, accumulate_dtype: torch.dtype, w_p: Tensor, x_nd: Tensor, y_nm: Tensor, s_n: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute jtj (P, P), jte (P,) and sse () of one network on one chunk, the last two in the parameters' dtype."""
    e_nm, pullback, *_ = vjp(lambda w: residual(module, w, x_nd, y_nm, s_n), w_p)
    (jte_p,) = pullback(e_nm)
    coarse_w, coarse_x, coarse_y = (tensor.to(accumulate_dtype) for tensor in (w_p, x_nd, y_nm))
    jac_kp = _jacobian(module, coarse_w, coarse_x, coarse_y, None if s_n is None else s_n.to(accumulate_dtype))
    return (jac_kp.mT @ jac_kp).to(w_p.dtype), jte_p, e_nm.square().sum()


def _chunk_bend(module: nn.Module, w_p: Tensor, v_p: Tensor, x_nd: Tensor, y_nm: Tensor, s_n: Tensor | None) -> Tensor:
    """Compute ``J^T r_vv`` (P,) of one network on one chunk."""

    def e(t: Tensor) -> Tensor:
        return residual(module, w_p + t * v_p, x_nd, y_nm, s_n)

    zero = torch.zeros_like(w_p[0])
    _, pullback, *_ = vjp(lambda w: residual(module, w, x_nd, y_nm, s_n), w_p)
    return pullback(_derivative(_derivative(e))(zero))[0]


def _derivative(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Differentiate a function of one number by two reverse passes, the second through the first, which is linear."""

    def slope(t: Tensor) -> Tensor:
        value, pullback, *_ = vjp(function, t)
        _, push_forward, *_ = vjp(lambda u: pullback(u)[0], torch.zeros_like(value))
        return push_forward(torch.ones_like(t))[0]

    return slope


def _jacobian_and_residual(
    module: nn.Module, w_p: Tensor, x_nd: Tensor, y_nm: Tensor, s_n: Tensor | None
) -> tuple[Tensor, Tensor]:
    return _jacobian(module, w_p, x_nd, y_nm, s_n), residual(module, w_p, x_nd, y_nm, s_n).flatten()


def _jacobian(module: nn.Module, w_p: Tensor, x_nd: Tensor, y_nm: Tensor, s_n: Tensor | None) -> Tensor:
    """Differentiate every residual by every parameter, (n m, P), by reverse mode row by row."""

    def row_residual(w_p: Tensor, x_d: Tensor, y_m: Tensor, s: Tensor | None) -> Tensor:
        weight = None if s is None else s.unsqueeze(0)
        return residual(module, w_p, x_d.unsqueeze(0), y_m.unsqueeze(0), weight).squeeze(0)

    in_dims = (None, 0, 0, None if s_n is None else 0)
    return vmap(jacrev(row_residual), in_dims=in_dims)(w_p, x_nd, y_nm, s_n).flatten(0, 1)
