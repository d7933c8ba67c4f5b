"""The paths of a dense network: packed pairs, the Jacobian itself for tiny problems, and the Gram matrix layer by layer.

Shapes: n rows, d inputs, m outputs, P parameters of one network, R networks.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from marketnn.errors import InputError
from marketnn.optim.paths.dense import (
    Dense,
    curvature,
    forward,
    module_order,
    parameter_views,
    pull_back,
    residuals,
    slopes,
    with_ones,
)
from marketnn.optim.paths.gram import dual_system
from marketnn.optim.paths.linearisation import Dual, Primal, squared_norm
from marketnn.optim.paths.packed import PackedProducts
from marketnn.optim.problem import Problem, member_count
from marketnn.optim.processes import Reduce

_CHUNK_ELEMENTS = 2**22  # numbers held at a time, 32 MB in float64
_MOST_ROWS = 8_000
_PRODUCT_ROWS = 500, 2_000  # with fewer rows, adding up the products takes longer than forming them


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
        # Not the parameters themselves: load_state_dict(assign=True) puts others in their place.
        self._holders = [part._parameters for part in module.modules()]
        self._parameters: list[Tensor] = list(module.parameters())
        first = self._parameters[0]
        self._vector = first.new_empty(1 if self._single else len(first), dense.n_parameters, requires_grad=False)
        self._views = parameter_views(dense, self._vector, self._single)
        self._order = module_order(dense, self._parameters[0].device)
        self._chunk_rows = chunk_rows
        self._reduce = reduce

    def read(self) -> Tensor:
        """Copy the module's parameters into vectors (R, P), whose memory is used again.

        Raises:
            InputError: the module was converted to another dtype or device.
        """
        self._parameters = [each for holder in self._holders for each in holder.values() if each is not None]
        first, laid_out = self._parameters[0], self._vector
        if (first.dtype, first.device) != (laid_out.dtype, laid_out.device):
            raise InputError(
                f"the module's parameters are now of {first.dtype} on {first.device}, the optimiser was made for "
                f"{laid_out.dtype} on {laid_out.device}; make a new optimiser."
            )
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
        """Compute the weighted sums of squared residuals (R,) at w, in float64."""
        weights = self.dense.split(w)
        sse = w.new_zeros(len(w), dtype=torch.float64)
        for x1, y, root in self._chunks(problem, len(w)):
            sse += squared_norm(residuals(forward(self.dense, weights, x1), y, root))
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
        """Yield inputs with ones, targets (.., n, m) and root weights of a chunk."""
        for x, y, root in problem.chunks(self._chunk_rows or self.default_chunk_rows(members)):
            yield with_ones(x), y, root

    def default_chunk_rows(self, members: int) -> int:
        """How many rows to take at a time: as many as keep the layers' values and derivatives at 32 MB in float64."""
        return max(1, min(_CHUNK_ELEMENTS // (members * self._row_elements()), _MOST_ROWS))

    def _row_elements(self) -> int:
        """How many numbers one row of one network takes: values, slopes and two derivatives of every layer."""
        return 4 * sum(self.dense.sizes)


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
        jte, sse = torch.zeros_like(w), w.new_zeros(len(w), dtype=torch.float64)
        for x1, y, root in self._chunks(problem, len(w)):
            values = forward(self.dense, weights, x1)
            slope = slopes(self.dense, values)
            e = residuals(values, y, root)
            sse += squared_norm(e)
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
        """How many rows to take at a time: as many as keep deltas and packed pairs at 32 MB in float64, at least 500."""
        fewest, most = _PRODUCT_ROWS
        deltas = self.dense.n_outputs * sum(self.dense.sizes[1:-1])
        row = self._products.widest(members) + members * (deltas + self._row_elements())
        return min(max(_CHUNK_ELEMENTS // row, fewest), most)

    def _coarse(self, tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else tensor.to(self._accumulate_dtype)


class GramPath(DensePath):
    """J J^T layer by layer, J never formed: for fewer residuals than parameters."""

    name = "gram"

    def linearise(self, problem: Problem, w: Tensor) -> Dual:
        """Compute the Gram matrix of all rows."""
        return dual_system(self.dense, w, problem)
