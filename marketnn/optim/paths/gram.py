"""J J^T and J v of dense networks without J, for R networks at once.

Output m of row n has the derivative ``delta_nm a_n^T`` by a layer's matrix: the outer product of delta, its derivative by
the layer's net input, and the layer's input a. Two of these have the inner product ``(a_n . a_n') (delta_nm . delta_n'm')``,
so a layer costs two products of rows with rows, however many parameters it has. In the last layer the outputs do not touch
each other: only m = m' counts.

J is the Jacobian of the outputs, rows scaled by the square root of their weight; that of the residuals has the other
sign. Its rows are numbered outputs outermost, q = (m, n): the order of ``u_rmn.flatten(1)``.

Shapes: n rows, m outputs, q = m n, i inputs with the row of ones and h units of a layer, P parameters, R networks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from marketnn.optim.paths.dense import Dense, deltas, forward, pull_back, slopes, with_ones

_PANEL = 128  # columns at a time: what lies above the diagonal is copied, not multiplied


class DualSystem(NamedTuple):
    """The residuals of some rows and the products with their Jacobian that a dual step needs.

    Attributes:
        e: ``sqrt(weight) (y - yhat)``, (R, q).
        gram: J J^T, (R, q, q).
        push_forward: from v (R, P) to J v (R, q).
        pull_back: from u (R, q) to J^T u (R, P).
    """

    e: Tensor
    gram: Tensor
    push_forward: Callable[[Tensor], Tensor]
    pull_back: Callable[[Tensor], Tensor]


def dual_system(dense: Dense, w: Tensor, x: Tensor, y: Tensor, root_weight: Tensor | None) -> DualSystem:
    """Linearise the residuals of dense networks.

    Args:
        dense: the networks' shape.
        w: parameter vectors (R, P) in the order of ``Dense``.
        x: (n, d) or (R, n, d).
        y: (n, m) or (R, n, m).
        root_weight: square roots of the rows' weights, (n,) or (R, n), or ``None``.
    """
    weights = dense.split(w)
    values = forward(dense, weights, with_ones(x))
    slope = slopes(dense, values)

    def push(v: Tensor) -> Tensor:
        return _scaled(push_forward(dense, weights, dense.split(v), values, slope), root_weight).flatten(1)

    def pull(u: Tensor) -> Tensor:
        return pull_back(dense, weights, values, slope, _scaled(u.unflatten(1, (dense.n_outputs, -1)), root_weight))

    return DualSystem(
        e=_scaled(y.mT - values[-1], root_weight).flatten(1),
        gram=gram(dense, values, *deltas(weights, slope, root_weight)),
        push_forward=push,
        pull_back=pull,
    )


def sum_of_squares(dense: Dense, w: Tensor, x: Tensor, y: Tensor, root_weight: Tensor | None) -> Tensor:
    """Compute the weighted sums of squared residuals (R,); arguments as those of ``dual_system``."""
    yhat_rmn = forward(dense, dense.split(w), with_ones(x))[-1]
    return _scaled(y.mT - yhat_rmn, root_weight).square().sum((1, 2))


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


def push_forward(
    dense: Dense,
    weights: Sequence[Tensor],
    directions: Sequence[Tensor],
    values: Sequence[Tensor],
    slope: Sequence[Tensor | None],
) -> Tensor:
    """Differentiate the outputs along a direction in parameter space: ``(dyhat/dw) v``, (R, m, n).

    Args:
        dense: the networks' shape.
        weights: one matrix (R, h, i) per layer.
        directions: v, shaped like ``weights``.
        values: as ``dense.forward`` returns them.
        slope: as ``dense.slopes`` returns them.
    """
    change = torch.matmul(directions[0], values[0])
    for layer in range(1, dense.n_layers):
        below = slope[layer - 1]
        assert below is not None  # only the last layer may be the identity
        net = torch.matmul(directions[layer], values[layer])
        change = torch.baddbmm(net, weights[layer][..., :-1], change.mul_(below))
    last = slope[-1]
    return change if last is None else change.mul_(last)


def _scaled(rows_rmn: Tensor, root_weight: Tensor | None) -> Tensor:
    """Scale rows (R, m, n) by the square roots of their weights."""
    return rows_rmn if root_weight is None else rows_rmn * root_weight.unsqueeze(-2)


def _weighted(value: Tensor, last: Tensor | None, output: int) -> Tensor:
    """Scale the last layer's input (.., i, n) by the delta of one output, which all outputs may share."""
    if last is None:
        return value
    own = min(output, last.shape[-2] - 1)
    return value * last[..., own : own + 1, :]
