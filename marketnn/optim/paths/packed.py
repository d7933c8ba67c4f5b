"""J^T J of dense networks without J: products of pairs, packed, one matrix product per pair of layers.

For two units h, h' of a layer with inputs i, i' the entry of J^T J is ``sum_n (sum_m delta_mh delta_mh') a_i a_i'``:
symmetric in (h, h') and in (i, i'), and the sum over outputs collapses before the product over rows. One product of the
h (h + 1) / 2 packed pairs of deltas with the i (i + 1) / 2 packed pairs of inputs therefore holds the whole block: a
quarter of the multiplications of ``J.T @ J``, whatever the number of outputs.

Shapes: n rows of a chunk, m outputs, i inputs with the row of ones and h units of a layer, P parameters, R networks;
q pairs, in the order (0,0), (1,0), (1,1), (2,0), ...
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from marketnn.optim.paths.dense import Dense, deltas
from marketnn.optim.paths.pairs import (
    Panel,
    Scratch,
    accumulate,
    full_from_pairs,
    laid_out,
    n_pairs,
    outer,
    pack,
    padded,
    panels_of,
)

_EXPANDED = 2**20  # entries of J^T J that are unpacked at a time, 8 MB in float64


@dataclass
class Chunk:
    """What the products need of a chunk of rows, in the dtype of the products.

    Attributes:
        values: every layer's input with its row of ones, (i, n) shared or (R, i, n).
        top: g' of the last hidden layer (R, h, n), rows scaled when ``uniform``; ``None`` without a hidden layer.
        last: deltas of the last layer's outputs, as ``dense.deltas`` returns them.
        hidden: deltas of the hidden layers (R, m, h, n); empty where ``top`` alone serves.
    """

    values: Sequence[Tensor]
    top: Tensor | None
    last: Tensor | None
    hidden: Sequence[Tensor]


class PackedProducts:
    """Sums J^T J over chunks of rows in packed form and writes it out as a matrix.

    Args:
        dense: the networks' shape.
        dtype: of the sums; a chunk's products have the dtype of its tensors, which may be coarser.
        device: where they live.
    """

    def __init__(self, dense: Dense, dtype: torch.dtype, device: torch.device) -> None:
        self.dense = dense
        last = dense.n_layers - 1
        self._blocks: list[_Block] = [_Corner(dense)]
        for layer in range(last):
            self._blocks.append(_Square(dense, layer, device))
            self._blocks += [_Cross(dense, layer, above) for above in range(layer + 1, last)]
            self._blocks.append(_Edge(dense, layer))
        self._sums_like = torch.empty(0, dtype=dtype, device=device)
        self._scratch: dict[torch.dtype, Scratch] = {}

    def widest(self, members: int) -> int:
        """How many numbers per row are held at a time for R networks: each memory has the size of its largest user."""
        return members * sum(max(held) for held in zip(*(block.held for block in self._blocks), strict=True))

    def start(self, members: int, shared_input: bool) -> None:
        """Begin the sums of R networks at zero; ``shared_input`` says whether the rows are common to them."""
        for block in self._blocks:
            block.start(members, shared_input, self._sums_like)

    def add(
        self, weights: Sequence[Tensor], values: Sequence[Tensor], slope: Sequence[Tensor | None], root: Tensor | None
    ) -> None:
        """Add a chunk of rows, given what ``dense.forward`` and ``dense.slopes`` made of it.

        Args:
            weights: one (R, h, i) per layer.
            values: as ``dense.forward`` returns them.
            slope: as ``dense.slopes`` returns them.
            root: square roots of the rows' weights, (n,) or (R, n), or ``None``.
        """
        chunk = _chunk(self.dense, weights, values, slope, root)
        scratch = self._scratch.setdefault(values[-1].dtype, Scratch(values[-1]))
        for block in self._blocks:
            block.add(chunk, weights, scratch)

    def sums(self) -> list[Tensor]:
        """The packed sums themselves, to be changed in place."""
        return [block.sums for block in self._blocks]

    def write(self, weights: Sequence[Tensor], jtj: Tensor) -> None:
        """Write the lower triangle of J^T J (R, P, P) in the order of ``Dense``; the upper one is left as it is."""
        for block in self._blocks:
            block.write(weights, jtj)


def _chunk(
    dense: Dense,
    weights: Sequence[Tensor],
    values: Sequence[Tensor],
    slope: Sequence[Tensor | None],
    root: Tensor | None,
) -> Chunk:
    uniform = slope[-1] is None
    if uniform and dense.n_layers <= 2:
        last: Tensor | None = None if root is None else root.unsqueeze(-2)
        hidden: list[Tensor] = []
    else:
        last, hidden = deltas(weights, slope, root)
    top = slope[-2] if dense.n_layers > 1 else None
    if top is not None and uniform and last is not None:
        top = top * last
    return Chunk(values, top, last, hidden)


class _Block:
    """One block of J^T J: the parameters of one layer against those of the same or a later one."""

    shape: tuple[int, int]  # of one network's packed sums
    held: tuple[int, int, int]  # numbers per row and network: left factor, right factor, what a factor is made from
    right_is_input: bool = False  # whether the second factor comes from the networks' input alone
    sums: Tensor

    def start(self, members: int, shared_input: bool, like: Tensor) -> None:
        self.sums = laid_out(
            like.new_zeros(members * self.shape[0] * self.shape[1]),
            members,
            self.shape,
            self.one_product(members, shared_input),
        )

    def one_product(self, members: int, shared_input: bool) -> bool:
        """Whether one matrix product serves all networks."""
        return members == 1 or (shared_input and self.right_is_input)

    def add(self, chunk: Chunk, weights: Sequence[Tensor], scratch: Scratch) -> None:
        """Add a chunk's products to the sums."""
        raise NotImplementedError

    def write(self, weights: Sequence[Tensor], jtj: Tensor) -> None:
        """Write the block into the lower triangle."""
        raise NotImplementedError


class _Square(_Block):
    """A hidden layer against itself."""

    def __init__(self, dense: Dense, layer: int, device: torch.device) -> None:
        self.layer = layer
        self.units, self.inputs = dense.matrices[layer]
        self.place = slice(dense.offsets[layer], dense.offsets[layer + 1])
        self.is_top = layer == dense.n_layers - 2
        self.folds = self.is_top and dense.activation(dense.n_layers - 1).slope is None
        self.panels = panels_of(self.inputs)
        self.shape = (padded(n_pairs(self.units)), self.panels[-1].columns.stop)
        self.right_is_input = layer == 0
        self._unit_panels = panels_of(self.units)
        self.held = self.shape[0], _widest(self.panels), _widest(self._unit_panels)
        self._full = full_from_pairs(self.inputs, self.panels, device)
        self._lower = torch.tril_indices(self.units, self.units, device=device)

    def add(self, chunk: Chunk, weights: Sequence[Tensor], scratch: Scratch) -> None:
        left = self._delta_pairs(chunk, weights, scratch)
        value = chunk.values[self.layer]
        for panel in self.panels:
            width = panel.columns.stop - panel.columns.start
            right = scratch.take("right", *value.shape[:-2], width, value.shape[-1])
            pack(value, panel.first, panel.stop, right)
            accumulate(self.sums[..., panel.columns], left, right, scratch)

    def _delta_pairs(self, chunk: Chunk, weights: Sequence[Tensor], scratch: Scratch) -> Tensor:
        """Pack ``sum_m delta_mh delta_mh'``; what does not depend on the row is multiplied in ``write``."""
        outputs = 1 if self.folds else chunk.hidden[self.layer].shape[1]
        source = chunk.top if self.folds or (self.is_top and outputs > 1) else chunk.hidden[self.layer][:, 0]
        assert source is not None  # a hidden layer has a slope
        pairs = scratch.take("left", len(source), self.shape[0], source.shape[-1])
        pack(source, 0, self.units, pairs)
        for panel in self._unit_panels if outputs > 1 else []:
            rows = slice(n_pairs(panel.first), n_pairs(panel.stop))
            own = pairs[:, rows]
            part = scratch.take("one output", *own.shape)
            if self.is_top:
                # delta_mh = W_mh g'_h last_m: the sum over m is a product of its own, (W_mh W_mh') with last_m^2.
                assert chunk.last is not None
                by_pair = weights[-1][..., self._lower[0, rows]] * weights[-1][..., self._lower[1, rows]]
                own *= torch.bmm(by_pair.mT, chunk.last.square(), out=part)
                continue
            for output in range(1, outputs):
                own += pack(chunk.hidden[self.layer][:, output], panel.first, panel.stop, part)
        return pairs

    def write(self, weights: Sequence[Tensor], jtj: Tensor) -> None:
        sums = self.sums[:, : n_pairs(self.units)]
        if self.folds:
            last_weights = weights[-1][..., :-1]
            products = torch.matmul(last_weights.mT, last_weights)
            sums *= products[:, self._lower[0], self._lower[1]].unsqueeze(-1)
        by_unit = jtj[:, self.place, self.place].unflatten(1, (self.units, -1)).unflatten(3, (self.units, -1))
        at_once = max(1, _EXPANDED // (len(jtj) * self.inputs**2))  # pairs of units
        first = 0
        for unit in range(self.units):
            if unit == self.units - 1 or n_pairs(unit + 2) - n_pairs(first) > at_once:
                pairs = sums[:, n_pairs(first) : n_pairs(unit + 1)]
                squares = pairs[:, :, self._full].unflatten(2, (self.inputs, self.inputs))
                for row in range(first, unit + 1):
                    start = n_pairs(row) - n_pairs(first)
                    by_unit[:, row, :, : row + 1] = squares[:, start : start + row + 1].transpose(1, 2)
                first = unit + 1


class _Corner(_Block):
    """The last layer against itself: its outputs do not touch each other."""

    def __init__(self, dense: Dense) -> None:
        self.units, self.inputs = dense.matrices[-1]
        self.place = slice(dense.offsets[-2], dense.offsets[-1])
        self.distinct = 1 if dense.activation(dense.n_layers - 1).slope is None else self.units
        self.shape = (self.distinct * self.inputs, self.inputs)
        self.held = (self.inputs, 0, 0)

    def add(self, chunk: Chunk, weights: Sequence[Tensor], scratch: Scratch) -> None:
        value = chunk.values[-2]
        if value.dim() == 2:
            value = value.expand(len(self.sums), -1, -1)
        for output in range(self.distinct):
            scaled = value if chunk.last is None else value * chunk.last[..., output : output + 1, :]
            rows = slice(output * self.inputs, (output + 1) * self.inputs)
            accumulate(self.sums[:, rows], scaled, scaled, scratch)

    def write(self, weights: Sequence[Tensor], jtj: Tensor) -> None:
        by_output = jtj[:, self.place, self.place].unflatten(1, (self.units, -1)).unflatten(3, (self.units, -1))
        by_output.zero_()
        squares = self.sums.unflatten(1, (self.distinct, self.inputs))
        for output in range(self.units):
            by_output[:, output, :, output] = squares[:, output % self.distinct]


class _Edge(_Block):
    """A hidden layer against the last: output m of the last meets only the deltas of output m."""

    def __init__(self, dense: Dense, layer: int) -> None:
        self.layer = layer
        self.units, self.inputs = dense.matrices[layer]
        self.outputs, self.last_inputs = dense.matrices[-1]
        self.place = slice(dense.offsets[layer], dense.offsets[layer + 1])
        self.last_place = slice(dense.offsets[-2], dense.offsets[-1])
        self.folds = layer == dense.n_layers - 2 and dense.activation(dense.n_layers - 1).slope is None
        self.distinct = 1 if self.folds else self.outputs
        # The products of delta, input and last input are the same either way; fewer are formed by hand this way.
        self.input_right = self.distinct * self.units <= self.inputs
        self.right_is_input = layer == 0 and self.input_right
        rows = self.distinct * self.units
        self.shape = (
            (rows * self.last_inputs, self.inputs) if self.input_right else (rows, self.last_inputs * self.inputs)
        )
        self.held = (self.shape[0], 0, rows) if self.input_right else (0, self.shape[1], rows)

    def add(self, chunk: Chunk, weights: Sequence[Tensor], scratch: Scratch) -> None:
        value, last_value = chunk.values[self.layer], chunk.values[-2]
        if self.folds:
            assert chunk.top is not None
            delta = chunk.top if chunk.last is None else chunk.top * chunk.last
        else:
            delta = chunk.hidden[self.layer]
            delta = (delta if chunk.last is None else delta * chunk.last.unsqueeze(-2)).flatten(1, 2)
        if self.input_right:
            left = outer(delta, last_value, scratch.take("left", len(delta), *self._outer_shape(delta, last_value)))
            accumulate(self.sums, left, value, scratch)
        else:
            right = scratch.take("right", len(last_value), *self._outer_shape(last_value, value))
            accumulate(self.sums, delta, outer(last_value, value, right), scratch)

    @staticmethod
    def _outer_shape(one: Tensor, other: Tensor) -> tuple[int, int]:
        return one.shape[-2] * other.shape[-2], one.shape[-1]

    def write(self, weights: Sequence[Tensor], jtj: Tensor) -> None:
        block = jtj[:, self.last_place, self.place].unflatten(1, (self.outputs, -1)).unflatten(3, (self.units, -1))
        if self.input_right:
            products = self.sums.unflatten(1, (self.distinct, self.units, self.last_inputs))
        else:
            products = self.sums.unflatten(2, (self.last_inputs, self.inputs)).unflatten(1, (self.distinct, self.units))
        products = products.transpose(2, 3)  # (R, m, j, h, i)
        if not self.folds:
            block.copy_(products)
            return
        for output in range(self.outputs):
            block[:, output] = products[:, 0] * weights[-1][:, output, None, :-1, None]


class _Cross(_Block):
    """Two different hidden layers."""

    def __init__(self, dense: Dense, layer: int, above: int) -> None:
        self.layer, self.above = layer, above
        self.units, self.inputs = dense.matrices[layer]
        self.above_units, self.above_inputs = dense.matrices[above]
        self.place = slice(dense.offsets[layer], dense.offsets[layer + 1])
        self.above_place = slice(dense.offsets[above], dense.offsets[above + 1])
        self.shape = (self.units * self.above_units, self.inputs * self.above_inputs)
        self.held = (*self.shape, 0 if dense.n_outputs == 1 else self.shape[0])

    def add(self, chunk: Chunk, weights: Sequence[Tensor], scratch: Scratch) -> None:
        lower, upper = chunk.hidden[self.layer], chunk.hidden[self.above]
        n = lower.shape[-1]
        left = outer(lower[:, 0], upper[:, 0], scratch.take("left", len(lower), self.shape[0], n))
        one_output = scratch.take("one output", *left.shape) if lower.shape[1] > 1 else left
        for output in range(1, lower.shape[1]):
            left += outer(lower[:, output], upper[:, output], one_output)
        value, above_value = chunk.values[self.layer], chunk.values[self.above]
        right = outer(value, above_value, scratch.take("right", len(lower), self.shape[1], n))
        accumulate(self.sums, left, right, scratch)

    def write(self, weights: Sequence[Tensor], jtj: Tensor) -> None:
        block = jtj[:, self.above_place, self.place]
        block = block.unflatten(1, (self.above_units, -1)).unflatten(3, (self.units, -1))
        products = self.sums.unflatten(2, (self.inputs, self.above_inputs)).unflatten(1, (self.units, self.above_units))
        block.copy_(products.permute(0, 2, 4, 1, 3))


def _widest(panels: Sequence[Panel]) -> int:
    return max(panel.columns.stop - panel.columns.start for panel in panels)
