"""The paths of a dense network: packed pairs, the Jacobian itself for tiny problems, and the Gram matrix layer by layer.

Shapes: n rows, d inputs, m outputs, P parameters of one network, R networks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from marketnn.optim.paths.dense import (
    Dense,
    curvature,
    deltas,
    forward,
    module_order,
    parameter_views,
    pull_back,
    slopes,
    with_ones,
)
from marketnn.optim.paths.gram import gram
from marketnn.optim.paths.linearisation import Dual, Primal
from marketnn.optim.paths.packed import PackedProducts
from marketnn.optim.problem import Problem, member_count
from marketnn.optim.processes import Reduce

_CHUNK_ELEMENTS = 2**22  # of products held at a time, 32 MB in float64
_CHUNK_ROWS = 500, 2_000


class DensePath:
    """What the paths of a dense network share.

    Args:
        module: the network or networks.
        dense: its shape.
        chunk_rows: rows at a time; ``None`` chooses.
        reduce: adds up tensors over processes in place, or ``None``.
    """

    name: str

    def __init__(self, module: nn.Module, dense: Dense, chunk_rows: int | None, reduce: Reduce | None = None) -> None:
        self.dense = dense
        self._single = member_count(module) is None
        self._parameters: list[Tensor] = list(module.parameters())
        first = self._parameters[0]
        self._vector = first.new_empty(1 if self._single else len(first), dense.n_parameters, requires_grad=False)
        self._views = parameter_views(dense, self._vector, self._single)
        self._order = module_order(dense, self._parameters[0].device)
        self._chunk_rows = chunk_rows
        self._reduce = reduce

    def read(self) -> Tensor:
        """Copy the module's parameters into vectors (R, P), whose memory is used again."""
        torch._foreach_copy_(self._views, self._parameters)
        return self._vector

    def write(self, w: Tensor) -> None:
        """Copy vectors (R, P) into the module's parameters."""
        self._vector.copy_(w)
        torch._foreach_copy_(self._parameters, self._views)

    def in_module_order(self, w: Tensor) -> Tensor:
        """Bring vectors (R, P) or matrices (R, P, P) into the order of ``module.parameters()``."""
        return w[:, self._order] if w.dim() == 2 else w[:, self._order.unsqueeze(1), self._order]

    def sse(self, problem: Problem, w: Tensor) -> Tensor:
        """Compute the weighted sums of squared residuals (R,) at w."""
        weights = self.dense.split(w)
        sse = w.new_zeros(len(w))
        for x1, y_mn, root in self._chunks(problem, len(w)):
            e = _residuals(forward(self.dense, weights, x1)[-1], y_mn, root)
            sse += e.square().sum((1, 2))
        if self._reduce:
            self._reduce([sse])
        return sse

    def bend(self, problem: Problem, w: Tensor, direction: Tensor) -> Tensor:
        """Compute ``J^T r_vv`` (R, P), r_vv the residuals' second derivative along a direction (R, P)."""
        weights, directions = self.dense.split(w), self.dense.split(direction)
        bent = torch.zeros_like(w)
        for x1, _, root in self._chunks(problem, len(w)):
            values = forward(self.dense, weights, x1)
            _, second = curvature(self.dense, weights, directions, values)
            weighted = second if root is None else second * root.unsqueeze(-2).square()
            # J and r_vv are both those of e = y - yhat; the two signs cancel.
            bent += pull_back(self.dense, weights, values, slopes(self.dense, values), weighted)
        if self._reduce:
            self._reduce([bent])
        return bent

    def _chunks(self, problem: Problem, members: int) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
        """Yield inputs with ones, targets (.., m, n) and root weights of a chunk."""
        for x, y, root in problem.chunks(self._chunk_rows or self.default_chunk_rows(members)):
            yield with_ones(x), y.mT, root

    def default_chunk_rows(self, members: int) -> int:
        """How many rows to take at a time: as many as keep a chunk's largest tensors at 32 MB in float64."""
        widest = max(members * sum(self.dense.sizes[1:]) * self.dense.n_outputs, self.dense.sizes[0])
        return min(max(_CHUNK_ELEMENTS // widest, _CHUNK_ROWS[0]), 4 * _CHUNK_ROWS[1])


class PackedPath(DensePath):
    """J^T J by packed pairs, J never formed; the gradient and the loss in the parameters' dtype throughout."""

    name = "packed"

    def __init__(
        self,
        module: nn.Module,
        dense: Dense,
        chunk_rows: int | None,
        reduce: Reduce | None = None,
        accumulate_dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(module, dense, chunk_rows, reduce)
        first = self._parameters[0]
        self._accumulate_dtype = accumulate_dtype or first.dtype
        self._products = PackedProducts(dense, first.dtype, first.device)
        self._jtj = first.new_zeros(0)

    def linearise(self, problem: Problem, w: Tensor) -> Primal:
        """Sum the packed products over chunks of rows."""
        weights = self.dense.split(w)
        coarse_weights = [each.to(self._accumulate_dtype) for each in weights]
        self._products.start(len(w), shared_input=problem.x.dim() == 2)
        jte, sse = torch.zeros_like(w), w.new_zeros(len(w))
        for x1, y_mn, root in self._chunks(problem, len(w)):
            values = forward(self.dense, weights, x1)
            slope = slopes(self.dense, values)
            e = _residuals(values[-1], y_mn, root)
            sse += e.square().sum((1, 2))
            jte -= pull_back(self.dense, weights, values, slope, e if root is None else e * root.unsqueeze(-2))
            self._products.add(
                coarse_weights,
                [each.to(self._accumulate_dtype) for each in values],
                [self._coarse(each) for each in slope],
                self._coarse(root),
            )
        if self._reduce:
            self._reduce([*self._products.sums(), jte, sse])
        shape = (len(w), self.dense.n_parameters, self.dense.n_parameters)
        if self._jtj.shape != shape:
            self._jtj = w.new_zeros(shape)
        self._products.write(weights, self._jtj)
        return Primal(self._jtj, jte, sse)

    def default_chunk_rows(self, members: int) -> int:
        """How many rows to take at a time: as many as keep the packed pairs at 32 MB in float64."""
        fewest, most = _CHUNK_ROWS
        return min(max(_CHUNK_ELEMENTS // self._products.widest(members), fewest), most)

    def _coarse(self, tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else tensor.to(self._accumulate_dtype)


class GramPath(DensePath):
    """J J^T layer by layer, J never formed: for fewer residuals than parameters."""

    name = "gram"

    def linearise(self, problem: Problem, w: Tensor) -> Dual:
        """Compute the Gram matrix of all rows."""
        weights = self.dense.split(w)
        (x, y, root), *_ = problem.chunks()
        values = forward(self.dense, weights, with_ones(x))
        slope = slopes(self.dense, values)
        e = _residuals(values[-1], y.mT, root)
        pull = partial(self._pull_back, weights, values, slope, root)
        e_flat = e.flatten(1)
        products = gram(self.dense, values, *deltas(weights, slope, root))
        return Dual(products, e_flat, pull, pull(e_flat), e_flat.square().sum(1))

    def _pull_back(
        self,
        weights: Sequence[Tensor],
        values: Sequence[Tensor],
        slope: Sequence[Tensor | None],
        root: Tensor | None,
        u: Tensor,
    ) -> Tensor:
        """Compute J^T u, J = -dyhat/dw with rows scaled by the root of their weight."""
        u_rmn = u.unflatten(1, (self.dense.n_outputs, -1))
        return -pull_back(self.dense, weights, values, slope, u_rmn if root is None else u_rmn * root.unsqueeze(-2))


def _residuals(yhat_rmn: Tensor, y_mn: Tensor, root: Tensor | None) -> Tensor:
    """Compute ``sqrt(weight) (y - yhat)``, (R, m, n)."""
    e = y_mn - yhat_rmn
    return e if root is None else e * root.unsqueeze(-2)
