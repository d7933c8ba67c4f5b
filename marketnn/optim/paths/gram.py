"""J J^T, J v and J^T u of dense networks without J, for R networks at once.

Output m of row n has the derivative ``delta_nm a_n^T`` by a layer's matrix: the outer product of delta, its derivative by
the layer's net input, and the layer's input a. Two of these have the inner product ``(a_n . a_n') (delta_nm . delta_n'm')``,
so a layer costs two products of rows with rows, however many parameters it has. In the last layer the outputs do not touch
each other: only m = m' counts.

The deltas carry the square roots of the rows' weights, and the products with J follow from them alone: J v is the sum of
``delta_nm . (V a_n)`` over the layers, its transpose the sum of ``u_nm delta_nm a_n^T``.

Shapes: n rows, m outputs, q = m n, i inputs with the row of ones and h units of a layer, P parameters, R networks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from marketnn.errors import InputError
from marketnn.optim.paths.dense import Dense, deltas, forward, residuals, slopes, with_ones
from marketnn.optim.paths.linearisation import Dual
from marketnn.optim.problem import Problem

LARGEST_GRAM = 2**33  # bytes of J J^T; its factor takes as much again
_PANEL = 128  # columns at a time: what lies above the diagonal is copied, not multiplied


def dual_system(dense: Dense, w: Tensor, problem: Problem) -> Dual:
    """Linearise the residuals of all rows of a problem for dense networks at w (R, P), in the order of ``Dense``.

    Raises:
        InputError: J J^T is too large.
    """
    check_gram_size(problem, w)
    values = forward(dense, dense.split(w), with_ones(problem.x))
    last, hidden = deltas(dense.split(w), slopes(dense, values), problem.root_weight)

    def push_forward(v: Tensor) -> Tensor:
        *below, top = dense.split(v)
        change = torch.matmul(top, values[-2])
        change = change if last is None else change * last
        for v_rhi, value, delta in zip(below, values, hidden, strict=False):
            change = change + torch.linalg.vecdot(delta, torch.matmul(v_rhi, value).unsqueeze(1), dim=2)
        return change.flatten(1)

    def pull_back(u: Tensor) -> Tensor:
        u_rmn = u.unflatten(1, (dense.n_outputs, -1))
        signals = [torch.linalg.vecdot(delta, u_rmn.unsqueeze(2), dim=1) for delta in hidden]
        signals.append(u_rmn if last is None else u_rmn * last)
        gradients = [torch.matmul(signal, value.mT) for signal, value in zip(signals, values, strict=False)]
        return torch.cat([gradient.flatten(1) for gradient in gradients], dim=1)

    e = residuals(values, problem.y, problem.root_weight).flatten(1)
    return Dual(gram(dense, values, last, hidden), e, push_forward, pull_back)


def check_gram_size(problem: Problem, w: Tensor) -> None:
    """Refuse rows whose J J^T does not fit.

    Raises:
        InputError: it would take more than 8 GiB; the message says how much, and how many rows fit.
    """
    count = problem.n_rows * problem.n_outputs
    size = len(w) * count**2 * w.element_size()
    if size > LARGEST_GRAM:
        fitting = max(1, math.isqrt(LARGEST_GRAM // (len(w) * w.element_size())) // problem.n_outputs)
        raise InputError(
            f"J J^T of {problem.n_rows:,} rows at once ({count:,} residuals) takes {size:,} bytes for "
            f"{len(w)} network(s), more than {LARGEST_GRAM:,};\n"
            f"pass at most {fitting:,} rows at once (batch_rows of MiniBatchLM), or solver=primal (LevenbergMarquardt)."
        )


def gram(dense: Dense, values: Sequence[Tensor], last: Tensor | None, hidden: Sequence[Tensor]) -> Tensor:
    """Compute J J^T.

    Args:
        dense: the networks' shape.
        values: every layer's input with its row of ones, and last the outputs, as ``dense.forward`` returns them.
        last: deltas of the last layer as ``dense.deltas`` returns them: (R, m, n), (.., 1, n) or ``None``.
        hidden: deltas of the hidden layers (R, m, h, n), as ``dense.deltas`` returns them.

    Returns:
        (R, q, q).
    """
    networks, outputs, n = values[-1].shape
    gram_rqq = values[-1].new_empty(networks, outputs * n, outputs * n)
    inputs, deltas_rhq = values[: dense.n_layers - 1], [delta.transpose(1, 2).flatten(2) for delta in hidden]
    for output in range(outputs):
        top = _weighted(values[-2], last, output)
        has_above = output < outputs - 1
        for first in range(0, n, _PANEL):
            stop = min(first + _PANEL, n)
            start, end = output * n + first, output * n + stop
            # A panel begins at the diagonal: the remaining rows of its own output, then all rows of the outputs above.
            panel = gram_rqq[:, start:, start:end]
            own, above = panel[:, : n - first], panel[:, n - first :].unflatten(1, (-1, n))
            own.copy_(torch.matmul(top[..., first:].mT, top[..., first:stop]))
            above.zero_()
            for a, delta in zip(inputs, deltas_rhq, strict=True):
                begin = 0 if has_above else first
                by_inputs = torch.matmul(a[..., begin:].mT, a[..., first:stop])
                by_deltas = torch.matmul(delta[..., start:].mT, delta[..., start:end])
                own.addcmul_(by_inputs[..., first - begin :, :], by_deltas[:, : n - first])
                if has_above:
                    above.addcmul_(by_inputs.unsqueeze(-3), by_deltas[:, n - first :].unflatten(1, (-1, n)))
            gram_rqq[:, start:end, end:] = gram_rqq[:, end:, start:end].mT
    return gram_rqq


def _weighted(value: Tensor, last: Tensor | None, output: int) -> Tensor:
    """Scale the last layer's input (.., i, n) by the delta of one output, which all outputs may share."""
    if last is None:
        return value
    own = min(output, last.shape[-2] - 1)
    return value * last[..., own : own + 1, :]
