"""The path for tiny dense networks: J itself, in memory that is laid out once, so that a step is some thirty operations.

Where launching an operation takes longer than computing it, the number of operations is the cost. Every tensor and every
view of it is made when the data are first seen; a step only fills them. The last hidden layer's values are a block of J as
they stand when there is one linear output, and -e is J's last row: one product gives J^T J and J^T e.

Shapes: n rows, d inputs, m outputs, i inputs and h units of a layer, P parameters of one network, R networks.
"""

from __future__ import annotations

import torch
from torch import Tensor

from marketnn.optim.paths.dense import Dense, with_ones
from marketnn.optim.paths.dense_paths import DensePath
from marketnn.optim.paths.linearisation import Primal
from marketnn.optim.problem import Problem, version

_MOST_WORKSPACES = 3  # all members, those still training, those still trying


class JacobianPath(DensePath):
    """J of all rows, multiplied with itself once."""

    name = "jacobian"
    _held: tuple[_Workspace, ...] = ()

    def linearise(self, problem: Problem, w: Tensor) -> Primal:
        """Form J (P, n m) and -e of every network and multiply them with themselves."""
        space = self._workspace(problem, len(w))
        space.forward(w)
        space.multiply()
        if self._reduce:
            self._reduce([space.products])
        return space.primal

    def sse(self, problem: Problem, w: Tensor) -> Tensor:
        """Compute the weighted sums of squared residuals (R,) at w."""
        space = self._workspace(problem, len(w))
        space.forward(w)
        sse = torch.bmm(space.e, space.e.mT).view(-1)
        if self._reduce:
            self._reduce([sse])
        return sse

    def _workspace(self, problem: Problem, members: int) -> _Workspace:
        """Find the memory for these data and so many networks, or lay it out."""
        for space in self._held:
            if space.fits(problem, members):
                return space
        space = _Workspace(self.dense, problem, members)
        self._held = (space, *self._held[: _MOST_WORKSPACES - 1])
        return space


class _Workspace:
    """Every tensor of a step.

    Attributes:
        e: (R, 1, m n), the weighted residuals with the other sign, after ``forward``.
        products: ``[J, -e]^T [J, -e]``, (R, P + 1, P + 1), after ``multiply``.
        primal: views of it.
    """

    def __init__(self, dense: Dense, problem: Problem, members: int) -> None:
        self._data = [(data, version(data)) for data in (problem.x, problem.y, problem.root_weight)]
        self._members = members
        n, outputs, self._dense = problem.n_rows, dense.n_outputs, dense
        x1 = with_ones(problem.x)
        self._target = problem.y.mT
        self._root = None if problem.root_weight is None else problem.root_weight.unsqueeze(-2)
        new = x1.new_empty
        self._w = new(members, dense.n_parameters)
        self._weights = dense.split(self._w)
        self._jac = new(members, dense.n_parameters + 1, outputs * n)
        rows = self._jac.unflatten(2, (outputs, n))
        self._residual, self.e = rows[:, -1], self._jac[:, -1:]
        self._corner = rows[:, dense.offsets[-2] : -1].unflatten(1, dense.matrices[-1])
        self._corner.zero_()
        linear = dense.activation(dense.n_layers - 1).slope is None
        self._corner_stands = linear and outputs == 1 and problem.root_weight is None
        self._values = [x1 if x1.dim() == 3 else x1.expand(members, -1, -1)]
        for layer in range(dense.n_layers - 1):
            held = self._corner_stands and layer == dense.n_layers - 2
            value = self._corner[:, 0, :, 0] if held else new(members, dense.sizes[layer + 1] + 1, n)
            value[:, -1] = 1
            self._values.append(value)
        if self._corner_stands and dense.n_layers == 1:
            self._corner[:, 0, :, 0] = self._values[0]
        self._units = [value[:, :-1] for value in self._values[1:]]
        self._nets = [new(members, units, n) for units in dense.sizes[1:-1]]
        self._output = new(members, outputs, n)
        self._blocks = [
            rows[:, start:stop].unflatten(1, shape)
            for start, stop, shape in zip(dense.offsets[:-2], dense.offsets[1:-1], dense.matrices[:-1], strict=True)
        ]
        self._deltas = [new(members, outputs, units, n) for units in dense.sizes[1:-1]]
        # The factors of every block as they are multiplied: (R, h, 1, m, n) and (R, 1, i, 1, n).
        self._block_deltas = [delta.transpose(1, 2).unsqueeze(2) for delta in self._deltas]
        self._block_inputs = [value.unsqueeze(1).unsqueeze(3) for value in self._values[:-1]]
        self._weights_down = [matrix[..., :-1].mT.unsqueeze(1) for matrix in self._weights]
        self._last_weight = self._weights[-1][..., :-1].unsqueeze(-1)
        self._jac_t = self._jac.mT
        self.products = new(members, dense.n_parameters + 1, dense.n_parameters + 1)
        self.primal = Primal(self.products[:, :-1, :-1], self.products[:, -1, :-1], self.products[:, -1, -1])

    def fits(self, problem: Problem, members: int) -> bool:
        """Whether the memory is laid out for these very data, unchanged, and so many networks."""
        data = (problem.x, problem.y, problem.root_weight)
        return members == self._members and all(
            new is old and version(new) == number for new, (old, number) in zip(data, self._data, strict=True)
        )

    def forward(self, w: Tensor) -> None:
        """Compute every layer's values and the residuals at w (R, P)."""
        self._w.copy_(w)
        dense = self._dense
        for layer, (net, units) in enumerate(zip(self._nets, self._units, strict=True)):
            torch.bmm(self._weights[layer], self._values[layer], out=net)
            dense.hidden_value(net, out=units)
        torch.bmm(self._weights[-1], self._values[-1], out=self._output)
        dense.output_value(self._output)
        torch.sub(self._output, self._target, out=self._residual)
        if self._root is not None:
            self._residual *= self._root

    def multiply(self) -> None:
        """Fill J after ``forward`` and multiply it with itself."""
        last = self._last_delta()
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

    def _last_delta(self) -> Tensor | None:
        """Differentiate the outputs by their net inputs, rows scaled: as ``dense.deltas``."""
        slope = self._dense.activation(self._dense.n_layers - 1).slope
        if slope is None:
            return self._root
        return slope(self._output) if self._root is None else slope(self._output) * self._root
