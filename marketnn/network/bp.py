"""The BP network of paper A: dense layers, sigmoid or tanh, one network or R of one shape side by side.

Paper A, eq. 2.2-2.5, for any number of hidden layers: ``net = W x + w_0``, ``g(net) = 1 / (1 + exp(-net))``, each bias
counted once (the printed sums count it twice).

Shapes: n rows, d inputs, m outputs, i inputs and h outputs of a layer, R members.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from marketnn.errors import InputError, unknown_name
from marketnn.network.initialization import glorot, nguyen_widrow, small_uniform
from marketnn.seed import torch_generator

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "identity": lambda net: net,
}
_RANGES = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}
# Tiled for [0, 1], inputs that reach to -1 leave most units saturated and training ends in a flat place; tiled for
# [-1, 1], those of eq. 2.8 fare no worse.
_INPUT_RANGE = (-1.0, 1.0)
_HIDDEN = tuple(_RANGES)
_INITS = ("nguyen_widrow", "glorot")


class Affine(nn.Module):
    """One layer's weighted sums, ``x W^T + b`` (paper A, eq. 2.2 and 2.4).

    Attributes:
        weight: (h, i), or (R, h, i).
        bias: (h,), or (R, h).
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., n, i) to (..., n, h)."""
        return x @ self.weight.mT + self.bias.unsqueeze(-2)


class BPNetwork(nn.Module):
    """A back-propagation network, or ``members`` independent ones of one shape computed together.

    The parameters' order is weight and bias of the first layer, of the second, and so on. Member r starts with exactly
    the weights of a single network seeded ``seed + r``.

    Args:
        layer_sizes: widths from input to output, ``[d, ..., m]``.
        hidden: ``sigmoid`` (paper A, eq. 2.3) or ``tanh``.
        output: ``sigmoid`` (eq. 2.5: targets scaled into (0, 1)), ``identity`` or ``tanh``.
        members: R, or ``None`` for one network without a leading dimension.
        init: ``nguyen_widrow`` (expects inputs within [-1, 1], such as those of eq. 2.8; the output layer uniform within
            one half) or ``glorot``.
        seed: of the first weights.
        dtype: of the parameters; float64 for Levenberg-Marquardt.
        device: where the parameters live.

    Raises:
        InputError: fewer than two layers, a width or ``members`` below 1, an unknown activation or initialisation.
    """

    def __init__(
        self,
        layer_sizes: Sequence[int],
        *,
        hidden: str = "sigmoid",
        output: str = "sigmoid",
        members: int | None = None,
        init: str = "nguyen_widrow",
        seed: int = 0,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        _check(layer_sizes, hidden, output, members, init)
        self.layer_sizes = tuple(layer_sizes)
        self.hidden = hidden
        self.output = output
        self.members = members
        drawn = [_first_weights(self.layer_sizes, hidden, init, seed + r) for r in range(members or 1)]
        self.layers = nn.ModuleList()
        for layer in zip(*drawn, strict=True):
            weight, bias = (torch.stack(tensors).to(device=device, dtype=dtype) for tensors in zip(*layer, strict=True))
            self.layers.append(Affine(weight, bias) if members else Affine(weight[0], bias[0]))

    def forward(self, x: Tensor) -> Tensor:
        """Compute the outputs; no value is checked here.

        Args:
            x: (n, d), or with members also (R, n, d).

        Returns:
            (n, m), or (R, n, m) with members.
        """
        *hidden, last = self.layers
        for layer in hidden:
            x = _ACTIVATIONS[self.hidden](layer(x))
        return _ACTIVATIONS[self.output](last(x))

    def extra_repr(self) -> str:
        """Describe the network in its printed form."""
        return f"{self.layer_sizes}, hidden={self.hidden}, output={self.output}, members={self.members}"


@dataclass(frozen=True)
class Config:
    """The BP network but for its numbers of inputs and outputs, which come from the data.

    Attributes:
        hidden_sizes: units of each hidden layer, first to last.
        hidden: activation of the hidden layers.
        output: activation of the output layer.
        init: how the first weights are drawn.
    """

    hidden_sizes: tuple[int, ...] = (10,)
    hidden: Literal["sigmoid", "tanh"] = "sigmoid"
    output: Literal["sigmoid", "identity", "tanh"] = "sigmoid"
    init: Literal["nguyen_widrow", "glorot"] = "nguyen_widrow"


def build(config: Config) -> Callable[..., BPNetwork]:
    """Return ``network(n_in, n_out, **options)``, which makes such a network for the data's numbers of inputs and outputs.

    ``options`` are ``members``, ``seed``, ``dtype`` and ``device`` of ``BPNetwork``.
    """

    def network(n_in: int, n_out: int, **options: Any) -> BPNetwork:
        return BPNetwork(
            (n_in, *config.hidden_sizes, n_out),
            hidden=config.hidden,
            output=config.output,
            init=config.init,
            **options,
        )

    return network


def _first_weights(layer_sizes: tuple[int, ...], hidden: str, init: str, seed: int) -> list[tuple[Tensor, Tensor]]:
    """Draw weight (h, i) and bias (h,) of every layer of one network."""
    generator = torch_generator(seed)
    pairs = list(itertools.pairwise(layer_sizes))
    if init == "glorot":
        return [glorot(n_in, n_out, generator) for n_in, n_out in pairs]
    drawn = []
    input_range = _INPUT_RANGE
    for n_in, n_out in pairs[:-1]:
        drawn.append(nguyen_widrow(n_in, n_out, hidden, input_range, generator))
        input_range = _RANGES[hidden]
    return [*drawn, small_uniform(*pairs[-1], generator)]


def _check(layer_sizes: Sequence[int], hidden: str, output: str, members: int | None, init: str) -> None:
    if len(layer_sizes) < 2 or min(layer_sizes) < 1:
        raise InputError(f"layer_sizes={list(layer_sizes)} needs an input and an output width, each at least 1.")
    if members is not None and members < 1:
        raise InputError(f"members={members} is not possible; pass at least 1, or None for a single network.")
    for kind, given, existing in (
        ("hidden activation", hidden, _HIDDEN),
        ("output activation", output, _ACTIVATIONS),
        ("initialisation", init, _INITS),
    ):
        if given not in existing:
            raise unknown_name(kind, given, existing)
