"""The rows of a table as Lloyd's rounds need them: in blocks whose distances to all centres fit in a core's cache.

Shapes: n rows, d columns, b rows of a block.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

_BLOCK_ELEMENTS = 2**17  # of the distances of a block's rows to all centres
_BLOCK_ROWS = (256, 16_384)
_LINE = 64  # bytes; products with matrices whose rows are whole cache lines are up to three times faster


@dataclass(frozen=True)
class Block:
    """Some rows.

    Attributes:
        x_bd: the rows, in either memory order: products read both at the same speed.
        weight_b: their weights.
    """

    x_bd: Tensor
    weight_b: Tensor

    @cached_property
    def weighted(self) -> Tensor:
        """``[w x, w, 1]`` and zeros up to whole cache lines, (b, d+2 or more)."""
        b, d = self.x_bd.shape
        multiple = _LINE // self.x_bd.element_size()
        weighted = self.x_bd.new_zeros(b, -(-(d + 2) // multiple) * multiple)
        torch.mul(self.x_bd, self.weight_b[:, None], out=weighted[:, :d])
        weighted[:, d] = self.weight_b
        weighted[:, d + 1] = 1
        return weighted


class Rows(Protocol):
    """What the rounds ask of a table, held or streamed.

    Attributes:
        n_rows, n_columns: its size.
    """

    n_rows: int
    n_columns: int

    @property
    def total(self) -> Tensor:
        """Weighted sum of squared lengths of the rows, (), float64."""

    def blocks(self, n_centres: int) -> Iterable[Block]:
        """Go through the rows once, in blocks for rounds with ``n_centres`` centres, all starts counted."""


class HeldRows:
    """Centred rows in memory; what a block needs beyond them is laid out once for each size of block.

    Args:
        x_nd: centred rows.
        weight_n: their weights; ``None`` is 1 for each.
    """

    def __init__(self, x_nd: Tensor, weight_n: Tensor | None = None) -> None:
        self.n_rows, self.n_columns = x_nd.shape
        self.x_nd = x_nd
        self.weight_n = torch.ones_like(x_nd[:, 0]) if weight_n is None else weight_n
        self.unweighted = weight_n is None or bool((weight_n == 1).all())
        self._laid_out: dict[int, Sequence[Block]] = {}

    @cached_property
    def total(self) -> Tensor:
        """Weighted sum of squared lengths of the rows, (), float64."""
        pairs = zip(self.x_nd.split(_BLOCK_ROWS[1]), self.weight_n.split(_BLOCK_ROWS[1]), strict=True)
        return torch.stack([_weighted_square(x.double(), weight.double()) for x, weight in pairs]).sum()

    def blocks(self, n_centres: int) -> Sequence[Block]:
        """Go through the rows once, in blocks for rounds with ``n_centres`` centres, all starts counted."""
        size = block_rows(n_centres)
        if size not in self._laid_out:
            pairs = zip(self.x_nd.split(size), self.weight_n.split(size), strict=True)
            self._laid_out[size] = [Block(x, weight) for x, weight in pairs]
        return self._laid_out[size]


def _weighted_square(x_bd: Tensor, weight_b: Tensor) -> Tensor:
    """Return the weighted sum of squared lengths: one long product is several times faster than sums of short rows."""
    return (x_bd * weight_b[:, None]).flatten() @ x_bd.flatten()


def block_rows(n_centres: int) -> int:
    """Return how many rows to take at a time for ``n_centres`` centres, all starts counted."""
    fewest, most = _BLOCK_ROWS
    return min(max(_BLOCK_ELEMENTS // n_centres, fewest), most)
