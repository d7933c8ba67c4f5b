"""A dense network as matrices: outputs, back-propagation and curvature of R networks at once, units first.

Every layer is one matrix (h, i + 1) with the bias in the last column, and every layer's input ends in a row of ones, so
that a bias is a weight like the others. A parameter vector holds these matrices one after the other.

Shapes: n rows, m outputs, i inputs and h units of a layer, P parameters of one network, R networks; ``x1`` (i + 1, n) is
shared by the networks or (R, i + 1, n).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from marketnn.network.bp import BPNetwork


class Activation(NamedTuple):
    """A function g of a net input, and its derivatives as functions of g's value.

    Attributes:
        value: g.
        slope: g' from g; ``None`` for the identity, whose slope is 1 everywhere.
        bend: g'' from g; ``None`` for the identity, whose bend is 0.
    """

    value: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor], Tensor] | None
    bend: Callable[[Tensor], Tensor] | None


ACTIVATIONS = {
    "sigmoid": Activation(
        torch.sigmoid, lambda g: torch.addcmul(g, g, g, value=-1), lambda g: g * (1 - g) * (1 - 2 * g)
    ),
    "tanh": Activation(torch.tanh, lambda g: 1 - g * g, lambda g: -2 * g * (1 - g * g)),
    "identity": Activation(lambda net: net, None, None),
}


@dataclass(frozen=True)
class Dense:
    """The shape of a dense network.

    Attributes:
        sizes: widths from input to output.
        hidden: activation of the hidden layers.
        output: activation of the last.
    """

    sizes: tuple[int, ...]
    hidden: str
    output: str

    @property
    def matrices(self) -> list[tuple[int, int]]:
        """The shape (h, i + 1) of every layer's matrix."""
        return [(n_out, n_in + 1) for n_in, n_out in itertools.pairwise(self.sizes)]

    @property
    def n_layers(self) -> int:
        """How many layers have weights."""
        return len(self.sizes) - 1

    @property
    def n_outputs(self) -> int:
        """The number of outputs, m."""
        return self.sizes[-1]

    @property
    def offsets(self) -> list[int]:
        """Where every layer's matrix begins in a parameter vector, and the vector's length."""
        return [0, *itertools.accumulate(rows * columns for rows, columns in self.matrices)]

    @property
    def n_parameters(self) -> int:
        """The number of parameters of one network, P."""
        return self.offsets[-1]

    def activation(self, layer: int) -> Activation:
        """The activation of a layer, counted from 0."""
        return ACTIVATIONS[self.output if layer == self.n_layers - 1 else self.hidden]

    def hidden_value(self, net: Tensor, out: Tensor) -> None:
        """Write a hidden layer's values."""
        (torch.sigmoid if self.hidden == "sigmoid" else torch.tanh)(net, out=out)

    def hidden_slope(self, value: Tensor) -> Tensor:
        """Compute a hidden layer's g' from its values."""
        slope = ACTIVATIONS[self.hidden].slope
        assert slope is not None  # a hidden layer is never the identity
        return slope(value)

    def output_value(self, net: Tensor) -> None:
        """Turn the last net inputs into outputs, in place."""
        if self.output != "identity":
            (torch.sigmoid_ if self.output == "sigmoid" else torch.tanh_)(net)

    def split(self, w_rp: Tensor) -> list[Tensor]:
        """View parameter vectors (R, P) as one (R, h, i + 1) per layer."""
        pieces = w_rp.split([rows * columns for rows, columns in self.matrices], dim=1)
        return [piece.unflatten(1, shape) for piece, shape in zip(pieces, self.matrices, strict=True)]


def dense_shape(module: nn.Module) -> Dense | None:
    """Return the shape of a module that is a dense network, ``None`` for any other."""
    if type(module) is BPNetwork and all(parameter.requires_grad for parameter in module.parameters()):
        return Dense(module.layer_sizes, module.hidden, module.output)
    return None


def parameter_views(dense: Dense, w_rp: Tensor, single: bool) -> list[Tensor]:
    """View parameter vectors as the module's own parameters, weight and bias of every layer; ``single`` drops R = 1."""
    matrices = [matrix[0] if single else matrix for matrix in dense.split(w_rp)]
    return [view for matrix in matrices for view in (matrix[..., :-1], matrix[..., -1])]


def module_order(dense: Dense, device: torch.device) -> Tensor:
    """Return (P,) where the module's parameters, in its own order, stand in a parameter vector."""
    places = torch.arange(dense.n_parameters, device=device).unsqueeze(0)
    return torch.cat([view.flatten() for view in parameter_views(dense, places, single=True)])


def with_ones(x: Tensor) -> Tensor:
    """Turn rows (n, i) or (R, n, i) into units first, (i + 1, n) or (R, i + 1, n), the last row one."""
    x1 = x.new_empty(*x.shape[:-2], x.shape[-1] + 1, x.shape[-2])
    x1[..., :-1, :] = x.mT
    x1[..., -1, :] = 1
    return x1


def forward(dense: Dense, weights: Sequence[Tensor], x1: Tensor) -> list[Tensor]:
    """Compute every layer's input with its row of ones, and last the outputs (R, m, n)."""
    values = [x1]
    for w_rhi in weights[:-1]:
        rows, units = w_rhi.shape[:2]
        with_one = x1.new_empty(rows, units + 1, x1.shape[-1])
        dense.hidden_value(torch.matmul(w_rhi, values[-1]), out=with_one[:, :-1])
        with_one[:, -1] = 1
        values.append(with_one)
    return [*values, dense.activation(dense.n_layers - 1).value(torch.matmul(weights[-1], values[-1]))]


def residuals(values: Sequence[Tensor], y: Tensor, root_weight: Tensor | None) -> Tensor:
    """Compute ``sqrt(weight) (y - yhat)``, (R, m, n), from ``forward``'s values and targets (n, m) or (R, n, m)."""
    e = y.mT - values[-1]
    return e if root_weight is None else e * root_weight.unsqueeze(-2)


def slopes(dense: Dense, values: Sequence[Tensor]) -> list[Tensor | None]:
    """Compute every layer's g' (R, h, n) from ``forward``'s values; ``None`` for an identity output."""
    found: list[Tensor | None] = []
    for layer in range(dense.n_layers):
        slope = dense.activation(layer).slope
        units = values[layer + 1] if layer == dense.n_layers - 1 else values[layer + 1][:, :-1]
        found.append(None if slope is None else slope(units))
    return found


def pull_back(
    dense: Dense, weights: Sequence[Tensor], values: Sequence[Tensor], slope: Sequence[Tensor | None], u_rmn: Tensor
) -> Tensor:
    """Back-propagate output coefficients u to the parameters: ``(dyhat/dw)^T u`` (R, P) (paper A, eq. 2.6)."""
    gradients = []
    last = slope[-1]
    signal = u_rmn if last is None else u_rmn * last
    for layer in reversed(range(dense.n_layers)):
        gradients.append(torch.matmul(signal, values[layer].mT).flatten(1))
        below = slope[layer - 1]
        if layer and below is not None:
            signal = torch.matmul(weights[layer][..., :-1].mT, signal) * below
    return torch.cat(gradients[::-1], dim=1)


def deltas(
    weights: Sequence[Tensor], slope: Sequence[Tensor | None], root_weight: Tensor | None
) -> tuple[Tensor | None, list[Tensor]]:
    """Differentiate every output by every net input, rows scaled by the square root of their weight.

    Returns:
        Of the last layer the diagonal (R, m, n), as the outputs do not touch each other: ``None`` when it is one
        everywhere, (.., 1, n) when the same for all outputs; of every hidden layer (R, m, h, n).
    """
    last = slope[-1]
    if root_weight is not None:
        weight = root_weight.unsqueeze(-2)
        last = weight if last is None else last * weight
    hidden: list[Tensor] = []
    for layer in reversed(range(len(weights) - 1)):
        below = slope[layer]
        assert below is not None  # only the last layer may be the identity
        if not hidden:
            delta = weights[-1][..., :-1].unsqueeze(-1) * below.unsqueeze(1)
            delta = delta if last is None else delta * last.unsqueeze(-2)
        else:
            delta = torch.matmul(weights[layer + 1][..., :-1].mT.unsqueeze(1), hidden[-1]) * below.unsqueeze(1)
        hidden.append(delta)
    return last, hidden[::-1]


def curvature(
    dense: Dense, weights: Sequence[Tensor], directions: Sequence[Tensor], values: Sequence[Tensor]
) -> tuple[Tensor, Tensor]:
    """Differentiate the outputs along a direction in parameter space, once and twice: two tensors (R, m, n)."""
    first = second = None
    for layer, (w_rhi, v_rhi) in enumerate(zip(weights, directions, strict=True)):
        net_first = torch.matmul(v_rhi, values[layer])
        net_second = None
        if first is not None and second is not None:
            net_first = net_first + torch.matmul(w_rhi[..., :-1], first)
            net_second = 2 * torch.matmul(v_rhi[..., :-1], first) + torch.matmul(w_rhi[..., :-1], second)
        first, second = net_first, torch.zeros_like(net_first) if net_second is None else net_second
        _, slope, bend = dense.activation(layer)
        if slope is not None and bend is not None:
            g = values[layer + 1] if layer == dense.n_layers - 1 else values[layer + 1][:, :-1]
            first, second = slope(g) * net_first, bend(g) * net_first.square() + slope(g) * second
    assert first is not None  # there is at least one layer
    assert second is not None
    return first, second
