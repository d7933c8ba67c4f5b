"""The path for tiny dense networks: J itself, in memory that is laid out once, so that a step is some thirty operations.

Where launching an operation takes longer than computing it, the number of operations is the cost. Every tensor and every
view of it is made when so many rows and networks are first seen; a step only fills them, the data included, so that data
changed in place are seen. The last hidden layer's values are a block of J as they stand when there is one linear output and
no weight, and -e is J's last row: one product gives J^T J and J^T e.

Shapes: n rows, d inputs, m outputs, i inputs and h units of a layer, P parameters of one network, R networks.
"""

from __future__ import annotations

import torch
from torch import Tensor

from marketnn.optim.paths.dense import Dense
from marketnn.optim.paths.dense_paths import DensePath
from marketnn.optim.paths.linearisation import Primal, squared_norm
from marketnn.optim.paths.pairs import Scratch
from marketnn.optim.problem import Problem


class JacobianPath(DensePath):
    """J of all rows, multiplied with itself once."""

    name = "jacobian"
    _layout: tuple[int, bool] | None = None
    _scratch: Scratch
    _workspaces: dict[tuple[int, bool], _Workspace]

    def linearise(self, problem: Problem, w: Tensor) -> Primal:
        """Form J (P, n m) and -e of every network and multiply them with themselves."""
        space = self._workspace(problem, w)
        space.forward(problem, w)
        space.multiply(problem.root_weight)
        if self._reduce:
            self._reduce([space.products])
        return space.primal()

    def sse(self, problem: Problem, w: Tensor) -> Tensor:
        """Compute the weighted sums of squared residuals (R,) at w, in float64."""
        space = self._workspace(problem, w)
        space.forward(problem, w)
        sse = squared_norm(space.e)
        if self._reduce:
            self._reduce([sse])
        return sse

    def _workspace(self, problem: Problem, w: Tensor) -> _Workspace:
        """Find the views for so many networks, or make them; all numbers of networks share the memory of the largest."""
        layout = problem.n_rows, problem.root_weight is not None
        if layout != self._layout:
            self._layout, self._scratch, self._workspaces = layout, Scratch(w), {}
        key = len(w), problem.x.dim() == 3
        if key not in self._workspaces:
            self._workspaces[key] = _Workspace(self.dense, self._scratch, *key, *layout)
        return self._workspaces[key]


class _Workspace:
    """Every tensor of a step.

    Attributes:
        e: (R, m n), the weighted residuals with the other sign, after ``forward``.
        products: ``[J, -e]^T [J, -e]``, (R, P + 1, P + 1), after ``multiply``.
    """

    def __init__(self, dense: Dense, scratch: Scratch, members: int, own_inputs: bool, n: int, weighted: bool) -> None:
        outputs, top, self._dense = dense.n_outputs, dense.n_layers - 1, dense
        self._w = scratch.take("w", members, dense.n_parameters)
        self._weights = dense.split(self._w)
        self._jac = scratch.take("jac", members, dense.n_parameters + 1, outputs * n)
        rows = self._jac.unflatten(2, (outputs, n))
        self._residual, self.e = rows[:, -1], self._jac[:, -1]
        self._corner = rows[:, dense.offsets[-2] : -1].unflatten(1, dense.matrices[-1])
        self._corner.zero_()
        self._corner_stands = dense.activation(top).slope is None and outputs == 1 and not weighted
        held = []
        for layer, (_, inputs) in enumerate(dense.matrices):
            networks = members if layer or own_inputs else 1
            stands = self._corner_stands and layer == top
            value = self._corner[:, 0, :, 0] if stands else scratch.take(f"values {layer}", networks, inputs, n)
            value[:, -1] = 1
            held.append(value)
        self._inputs = held[0][:, :-1]
        self._values = [value.expand(members, -1, -1) for value in held]
        self._units = [value[:, :-1] for value in held[1:]]
        hidden = list(enumerate(dense.sizes[1:-1]))
        self._nets = [scratch.take(f"net {layer}", members, units, n) for layer, units in hidden]
        self._deltas = [scratch.take(f"delta {layer}", members, outputs, units, n) for layer, units in hidden]
        self._output = scratch.take("output", members, outputs, n)
        self._blocks = [
            rows[:, start:stop].unflatten(1, shape)
            for start, stop, shape in zip(dense.offsets[:-2], dense.offsets[1:-1], dense.matrices[:-1], strict=True)
        ]
        # The factors of every block as they are multiplied: (R, h, 1, m, n) and (R, 1, i, 1, n).
        self._block_deltas = [delta.transpose(1, 2).unsqueeze(2) for delta in self._deltas]
        self._block_inputs = [value.unsqueeze(1).unsqueeze(3) for value in self._values[:-1]]
        self._weights_down = [matrix[..., :-1].mT.unsqueeze(1) for matrix in self._weights]
        self._last_weight = self._weights[-1][..., :-1].unsqueeze(-1)
        self._jac_t = self._jac.mT
        self.products = scratch.take("products", members, dense.n_parameters + 1, dense.n_parameters + 1)
        self._squares = self.products[:, -1, -1]
        sse = self._w.new_empty(members, dtype=torch.float64)
        self._primal = Primal(self.products[:, :-1, :-1], self.products[:, -1, :-1], sse)

    def primal(self) -> Primal:
        """Views of the products."""
        self._primal.sse.copy_(self._squares)
        return self._primal

    def forward(self, problem: Problem, w: Tensor) -> None:
        """Compute every layer's values and the residuals at w (R, P)."""
        self._w.copy_(w)
        self._inputs.copy_(problem.x.mT)
        dense = self._dense
        for layer, (net, units) in enumerate(zip(self._nets, self._units, strict=True)):
            torch.bmm(self._weights[layer], self._values[layer], out=net)
            dense.hidden_value(net, out=units)
        torch.bmm(self._weights[-1], self._values[-1], out=self._output)
        dense.output_value(self._output)
        torch.sub(self._output, problem.y.mT, out=self._residual)
        if problem.root_weight is not None:
            self._residual *= problem.root_weight.unsqueeze(-2)

    def multiply(self, root_weight: Tensor | None) -> None:
        """Fill J after ``forward`` and multiply it with itself."""
        last = self._last_delta(root_weight)
        if not self._corner_stands:
            for output in range(self._dense.n_outputs):
                # One row of the last delta serves all outputs of a linear layer.
                scale = 1 if last is None else last[..., min(output, last.shape[-2] - 1), :].unsqueeze(-2)
                torch.mul(self._values[-1], scale, out=self._corner[:, output, :, output])
        for layer in reversed(range(len(self._nets))):
            slope = self._dense.hidden_slope(self._units[layer])
            delta = self._deltas[layer]
            if layer == len(self._nets) - 1:
                torch.mul(self._last_weight, slope.unsqueeze(1), out=delta)
                if last is not None:
                    delta *= last.unsqueeze(-2)
            else:
                torch.mul(self._weights_down[layer + 1] @ self._deltas[layer + 1], slope.unsqueeze(1), out=delta)
            torch.mul(self._block_deltas[layer], self._block_inputs[layer], out=self._blocks[layer])
        torch.bmm(self._jac, self._jac_t, out=self.products)

    def _last_delta(self, root_weight: Tensor | None) -> Tensor | None:
        """Differentiate the outputs by their net inputs, rows scaled: as ``dense.deltas``."""
        slope = self._dense.activation(self._dense.n_layers - 1).slope
        last = None if slope is None else slope(self._output)
        if root_weight is None:
            return last
        root = root_weight.unsqueeze(-2)
        return root if last is None else last * root
