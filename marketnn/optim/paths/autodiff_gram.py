"""J J^T, J v and J^T u of any module that maps rows independently, by automatic differentiation.

The Gram matrix is built block by block: the Jacobian is held for two stretches of rows at a time and never as a whole,
so memory stays bounded however many parameters there are. J^T u is a backward pass, J v two.

J is the Jacobian of the outputs, rows scaled by the square root of their weight, which is that of the residuals with the
other sign; its rows are numbered q = (m, n) as in ``gram.py``.

Shapes: n rows, m outputs, q = m n, P parameters of one network, R networks (1 for a module without members), s the square
root of a row's weight.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.func import jacrev, vjp, vmap

from marketnn.optim.paths.gram import DualSystem
from marketnn.optim.problem import Problem, residual

_BLOCK_ELEMENTS = 2**23  # of J held in a stretch of rows: 32 MB in float32


def dual_system(problem: Problem, w: Tensor) -> DualSystem:
    """Linearise the residuals of all rows of a problem at parameter vectors w (R, P), ``module.parameters()`` in order."""
    module = problem.module
    (chunk,) = problem.chunks()
    residuals, push, pull = (
        _over_networks(problem, partial(kernel, module), vectors)
        for kernel, vectors in ((_residuals, 1), (_push_forward, 2), (_pull_back, 2))
    )
    return DualSystem(
        e=residuals(w, *chunk),
        gram=gram(problem, w),
        push_forward=lambda v: push(w, v, *chunk),
        pull_back=lambda u: pull(w, u, *chunk),
    )


def gram(problem: Problem, w: Tensor, block_rows: int | None = None) -> Tensor:
    """Compute J J^T (R, q, q) of all rows of a problem.

    Args:
        problem: the data and the module.
        w: (R, P).
        block_rows: rows whose Jacobian is held at a time, twice; ``None`` chooses.
    """
    networks, n, outputs = len(w), problem.n_rows, problem.n_outputs
    block_rows = block_rows or max(1, _BLOCK_ELEMENTS // (w.numel() * outputs))
    jacobian = _over_networks(problem, partial(_jacobian, problem.module))
    blocks = [
        (slice(start, min(start + block_rows, n)), chunk)
        for start, chunk in zip(range(0, n, block_rows), problem.chunks(block_rows), strict=True)
    ]
    gram_rqq = w.new_empty(networks, outputs * n, outputs * n)
    by_output = gram_rqq.view(networks, outputs, n, outputs, n)
    for place, (own, chunk) in enumerate(blocks):
        jac = jacobian(w, *chunk)
        for across, other_chunk in blocks[: place + 1]:
            other = jac if across is own else jacobian(w, *other_chunk)
            products = torch.matmul(jac.flatten(1, 2), other.flatten(1, 2).mT)
            products = products.view(networks, outputs, jac.shape[2], outputs, other.shape[2])
            by_output[:, :, own, :, across] = products
            by_output[:, :, across, :, own] = products.permute(0, 3, 4, 1, 2)
    return gram_rqq


def _over_networks(problem: Problem, kernel: Callable[..., Tensor], vectors: int = 1) -> Callable[..., Tensor]:
    """Let a kernel of one network take its leading ``vectors`` arguments with a leading R, and return one too."""
    if problem.members is not None:
        return problem.over_members(kernel, vectors)

    def one(*arguments: Tensor) -> Tensor:
        return kernel(*(vector[0] for vector in arguments[:vectors]), *arguments[vectors:]).unsqueeze(0)

    return one


def _residuals(module: nn.Module, w_p: Tensor, x_nd: Tensor, y_nm: Tensor, s_n: Tensor | None) -> Tensor:
    """Compute ``s (y - yhat)`` of one network, (q,)."""
    return residual(module, w_p, x_nd, y_nm, s_n).mT.flatten()


def _push_forward(
    module: nn.Module, w_p: Tensor, v_p: Tensor, x_nd: Tensor, y_nm: Tensor, s_n: Tensor | None
) -> Tensor:
    """Compute J v of one network, (q,): the derivative of u -> J^T u, which is linear, pulled back from v."""
    e_q, pullback, *_ = vjp(lambda w: _residuals(module, w, x_nd, y_nm, s_n), w_p)
    _, push, *_ = vjp(lambda u: pullback(u)[0], torch.zeros_like(e_q))
    return -push(v_p)[0]


def _pull_back(module: nn.Module, w_p: Tensor, u_q: Tensor, x_nd: Tensor, y_nm: Tensor, s_n: Tensor | None) -> Tensor:
    """Compute J^T u of one network, (P,)."""
    _, pullback, *_ = vjp(lambda w: _residuals(module, w, x_nd, y_nm, s_n), w_p)
    return -pullback(u_q)[0]


def _jacobian(module: nn.Module, w_p: Tensor, x_nd: Tensor, y_nm: Tensor, s_n: Tensor | None) -> Tensor:
    """Differentiate every residual of one network by every parameter, (m, n, P); a row costs m backward passes."""

    def of_row(w_p: Tensor, x_d: Tensor, y_m: Tensor, s: Tensor | None) -> Tensor:
        row_weight = None if s is None else s.unsqueeze(0)
        return residual(module, w_p, x_d.unsqueeze(0), y_m.unsqueeze(0), row_weight).squeeze(0)

    in_dims = (None, 0, 0, None if s_n is None else 0)
    return vmap(jacrev(of_row), in_dims=in_dims, out_dims=1)(w_p, x_nd, y_nm, s_n)
