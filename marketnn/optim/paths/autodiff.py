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

from marketnn.errors import InputError
from marketnn.optim.paths.linearisation import Primal
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
        self._chunk_rows = chunk_rows
        self._reduce = reduce
        self._kind = _kind(flat_parameters(module))
        kernel = partial(_chunk_system, module, accumulate_dtype or flat_parameters(module).dtype)
        self._kernel = torch.compile(kernel) if compile else kernel

    def read(self) -> Tensor:
        """Copy the module's parameters into vectors (R, P).

        Raises:
            InputError: their dtype, device or number changed.
        """
        w = flat_parameters(self._module)
        if _kind(w) != self._kind:
            raise InputError(
                f"the module's parameters are now {w.numel():,} of {w.dtype} on {w.device}, the optimiser was made for "
                f"{self._kind[2].numel():,} of {self._kind[0]} on {self._kind[1]}; make a new optimiser."
            )
        return w if member_count(self._module) is not None else w.unsqueeze(0)

    def write(self, w: Tensor) -> None:
        """Copy vectors (R, P) into the module's parameters."""
        load_parameters(self._module, w if member_count(self._module) is not None else w[0])

    def in_module_order(self, w: Tensor) -> Tensor:
        """Return w itself: the path's order is the module's."""
        return w

    def linearise(self, problem: Problem, w: Tensor) -> Primal:
        """Sum J^T J, J^T e and the sum of squares over chunks of rows."""
        kernel = over_networks(problem, self._kernel)
        jtj, jte, sse = (
            w.new_zeros(*w.shape, w.shape[-1]),
            torch.zeros_like(w),
            w.new_zeros(len(w), dtype=torch.float64),
        )
        for chunk in problem.chunks(self._chunk_rows or default_chunk_rows(w, problem.n_outputs)):
            for total, part in zip((jtj, jte, sse), kernel(w, *chunk), strict=True):
                total += part
        if self._reduce:
            self._reduce([jtj, jte, sse])
        return Primal(jtj, jte, sse)

    def sse(self, problem: Problem, w: Tensor) -> Tensor:
        """Compute the weighted sums of squared residuals (R,) at w, in float64."""
        rows = self._chunk_rows or default_chunk_rows(w, problem.n_outputs)
        sse = sum_of_squares(problem, w if problem.members is not None else w[0], rows).view(-1)
        if self._reduce:
            self._reduce([sse])
        return sse

    def bend(self, problem: Problem, w: Tensor, direction: Tensor) -> Tensor:
        """Compute ``J^T r_vv`` (R, P), r_vv the residuals' second derivative along a direction (R, P)."""
        kernel = over_networks(problem, partial(_chunk_bend, self._module), vectors=2)
        bent = torch.zeros_like(w)
        for chunk in problem.chunks(self._chunk_rows or default_chunk_rows(w, problem.n_outputs)):
            bent += kernel(w, direction, *chunk)
        if self._reduce:
            self._reduce([bent])
        return bent


def default_chunk_rows(w: Tensor, n_outputs: int) -> int:
    """Choose how many rows' Jacobian at parameters w (R, P) to hold: at most 2,000, and 64 MB in float64."""
    return max(1, min(_CHUNK_ROWS, _CHUNK_ELEMENTS // (w.numel() * n_outputs)))


def _kind(w: Tensor) -> tuple[torch.dtype, torch.device, torch.Size]:
    return w.dtype, w.device, w.shape


def over_networks(problem: Problem, kernel: Callable, vectors: int = 1) -> Callable:
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
    """Compute jtj (P, P) and jte (P,) in the parameters' dtype and sse () in float64, of one network on one chunk."""
    e_nm, pullback, *_ = vjp(lambda w: residual(module, w, x_nd, y_nm, s_n), w_p)
    (jte_p,) = pullback(e_nm)
    coarse_w, coarse_x, coarse_y = (tensor.to(accumulate_dtype) for tensor in (w_p, x_nd, y_nm))
    jac_nmp = jacobian(module, coarse_w, coarse_x, coarse_y, None if s_n is None else s_n.to(accumulate_dtype))
    jac_kp = jac_nmp.flatten(0, 1)
    return (jac_kp.mT @ jac_kp).to(w_p.dtype), jte_p, e_nm.to(torch.float64).square().sum()


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


def jacobian(module: nn.Module, w_p: Tensor, x_nd: Tensor, y_nm: Tensor, s_n: Tensor | None) -> Tensor:
    """Differentiate every residual of one network by every parameter, (n, m, P): m backward passes for every row."""

    def row_residual(w_p: Tensor, x_d: Tensor, y_m: Tensor, s: Tensor | None) -> Tensor:
        weight = None if s is None else s.unsqueeze(0)
        return residual(module, w_p, x_d.unsqueeze(0), y_m.unsqueeze(0), weight).squeeze(0)

    in_dims = (None, 0, 0, None if s_n is None else 0)
    return vmap(jacrev(row_residual), in_dims=in_dims)(w_p, x_nd, y_nm, s_n)
