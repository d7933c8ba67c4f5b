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

from marketnn.processes import ALONE, Processes

_BLOCK_ELEMENTS = 2**18  # of the distances of a block's rows to all centres
_BLOCK_ROWS = (256, 65_536)
_TURNED_ROWS = 2_048  # at a time, whose columns fit in a core's cache
SUMMED_ROWS = 4_096  # at a time in X's dtype: few enough to lose nothing


@dataclass(frozen=True)
class Block:
    """Some rows, by columns: products with a long side read these fastest.

    Attributes:
        x_db: the rows.
        weight_b: their weights; ``None`` is 1 for each.
    """

    x_db: Tensor
    weight_b: Tensor | None = None

    @cached_property
    def weighted_db(self) -> Tensor:
        """The rows times their weights."""
        return self.x_db if self.weight_b is None else self.x_db * self.weight_b


class Rows(Protocol):
    """What the rounds ask of a table, held or streamed.

    Attributes:
        n_rows, n_columns: its size, the rows of all processes counted.
        processes: those that hold its rows.
    """

    n_rows: int
    n_columns: int
    processes: Processes

    @property
    def total(self) -> Tensor:
        """Weighted sum of squared lengths of all rows, (), float64."""

    def blocks(self, n_centres: int) -> Iterable[Block]:
        """Go through this process's rows once, in blocks for rounds with ``n_centres`` centres, all starts counted."""


class HeldRows:
    """Centred rows in memory; their columns are laid out when the first round asks for them.

    Args:
        x_nd: centred rows.
        weight_n: their weights; ``None`` is 1 for each.
    """

    def __init__(self, x_nd: Tensor, weight_n: Tensor | None = None) -> None:
        self.n_rows, self.n_columns = x_nd.shape
        self.processes = ALONE
        self.x_nd = x_nd
        self.weight_n = torch.ones_like(x_nd[:, 0]) if weight_n is None else weight_n
        self.unweighted = weight_n is None or bool((weight_n == 1).all())
        self._laid_out: dict[int, Sequence[Block]] = {}

    @cached_property
    def x_dn(self) -> Tensor:
        """The rows by columns."""
        x_dn = self.x_nd.new_empty(self.n_columns, self.n_rows)
        for to_db, x_bd in zip(x_dn.split(_TURNED_ROWS, dim=1), self.x_nd.split(_TURNED_ROWS), strict=True):
            to_db.copy_(x_bd.T)
        return x_dn

    @cached_property
    def total(self) -> Tensor:
        """Weighted sum of squared lengths of the rows, (), float64."""
        weights = self.weight_n.split(SUMMED_ROWS)
        parts = [
            squared_length(x, None if self.unweighted else weight)
            for x, weight in zip(self.x_nd.split(SUMMED_ROWS), weights, strict=True)
        ]
        return torch.stack(parts).sum(dtype=torch.float64)

    def blocks(self, n_centres: int) -> Sequence[Block]:
        """Go through the rows once, in blocks for rounds with ``n_centres`` centres, all starts counted."""
        size = block_rows(n_centres)
        if size not in self._laid_out:
            parts = self.x_dn.split(size, dim=1)
            weights = [None] * len(parts) if self.unweighted else self.weight_n.split(size)
            self._laid_out[size] = [Block(x, weight) for x, weight in zip(parts, weights, strict=True)]
        return self._laid_out[size]


def squared_length(x_bd: Tensor, weight_b: Tensor | None = None) -> Tensor:
    """Return the weighted sum of squared lengths of rows: one long product is several times faster than sums of short rows."""
    weighted_bd = x_bd if weight_b is None else x_bd * weight_b[:, None]
    return weighted_bd.flatten() @ x_bd.flatten()


def block_rows(n_centres: int) -> int:
    """Return how many rows to take at a time for ``n_centres`` centres, all starts counted."""
    fewest, most = _BLOCK_ROWS
    return min(max(_BLOCK_ELEMENTS // n_centres, fewest), most)
