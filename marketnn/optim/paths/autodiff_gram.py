"""J J^T, J v and J^T u of any module that maps rows independently, by automatic differentiation.

The Gram matrix is built block by block: the Jacobian is held for two stretches of rows at a time and never as a whole,
so memory stays bounded however many parameters there are. J^T u is a backward pass, J v two.

Shapes: n rows, m outputs, q = m n, P parameters of one network, R networks (1 for a module without members), s the square
root of a row's weight.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.func import vjp

from marketnn.optim.paths.autodiff import AutodiffPath, jacobian, over_networks
from marketnn.optim.paths.gram import check_gram_size
from marketnn.optim.paths.linearisation import Dual
from marketnn.optim.problem import Problem, residual

_BLOCK_ELEMENTS = 2**23  # of J held in a stretch of rows: 32 MB in float32


class AutodiffGramPath(AutodiffPath):
    """J J^T of all rows, for fewer residuals than parameters."""

    name = "autodiff_gram"

    def linearise(self, problem: Problem, w: Tensor) -> Dual:  # type: ignore[override]
        """Compute the Gram matrix of all rows.

        Raises:
            InputError: J J^T is too large.
        """
        check_gram_size(problem, w)
        (chunk,) = problem.chunks()
        residuals, push, pull = (
            over_networks(problem, partial(kernel, problem.module), vectors)
            for kernel, vectors in ((_residuals, 1), (_push_forward, 2), (_pull_back, 2))
        )
        return Dual(
            gram=gram(problem, w),
            e=residuals(w, *chunk),
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
    of_rows = over_networks(problem, partial(jacobian, problem.module))
    blocks = [
        (slice(start, min(start + block_rows, n)), chunk)
        for start, chunk in zip(range(0, n, block_rows), problem.chunks(block_rows), strict=True)
    ]
    gram_rqq = w.new_empty(networks, outputs * n, outputs * n)
    by_output = gram_rqq.view(networks, outputs, n, outputs, n)
    for place, (own, chunk) in enumerate(blocks):
        jac = of_rows(w, *chunk)
        for across, other_chunk in blocks[: place + 1]:
            other = jac if across is own else of_rows(w, *other_chunk)
            products = torch.matmul(jac.flatten(1, 2), other.flatten(1, 2).mT)
            products = products.view(networks, jac.shape[1], outputs, other.shape[1], outputs)
            by_output[:, :, own, :, across] = products.permute(0, 2, 1, 4, 3)
            by_output[:, :, across, :, own] = products.permute(0, 4, 3, 2, 1)
    return gram_rqq


def _residuals(module: nn.Module, w_p: Tensor, x_nd: Tensor, y_nm: Tensor, s_n: Tensor | None) -> Tensor:
    """Compute ``s (y - yhat)`` of one network, (q,)."""
    return residual(module, w_p, x_nd, y_nm, s_n).mT.flatten()


def _push_forward(
    module: nn.Module, w_p: Tensor, v_p: Tensor, x_nd: Tensor, y_nm: Tensor, s_n: Tensor | None
) -> Tensor:
    """Compute -J v of one network, (q,): the derivative of u -> J^T u, which is linear, pulled back from v."""
    e_q, pullback, *_ = vjp(lambda w: _residuals(module, w, x_nd, y_nm, s_n), w_p)
    _, push, *_ = vjp(lambda u: pullback(u)[0], torch.zeros_like(e_q))
    return -push(v_p)[0]


def _pull_back(module: nn.Module, w_p: Tensor, u_q: Tensor, x_nd: Tensor, y_nm: Tensor, s_n: Tensor | None) -> Tensor:
    """Compute -J^T u of one network, (P,)."""
    _, pullback, *_ = vjp(lambda w: _residuals(module, w, x_nd, y_nm, s_n), w_p)
    return -pullback(u_q)[0]
