"""Customers read anew in every pass, for tables larger than memory: the solver cannot tell them from customers in memory.

In memory are a block, the sample, the customers whose choice is open, and two bytes for each one's offer.

Shapes: n customers, k offers, b customers of a block, m customers asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from marketnn.allocation.assignment.customers import Block, OwnCustomers
from marketnn.errors import InputError, rows_text
from marketnn.seed import torch_generator


class Source(Protocol):
    """A table that can be read as often as wanted, one column per offer.

    Attributes:
        columns: names of its columns.
        dtype: float32 or float64.
        n_rows: its size.
    """

    columns: tuple[str, ...]
    dtype: np.dtype
    n_rows: int

    def blocks(self, *, finite: bool = False) -> Iterator[np.ndarray]:
        """Go through the rows once, in blocks (columns, rows) of any size; ``finite``: refuse NaN and infinite values."""


class StreamedCustomers(OwnCustomers):
    """Customers that a table holds.

    Args:
        source: what a contact is worth, a row per customer, a column per offer; ``-inf`` where it is not possible.
        device: where blocks are worked on.

    Attributes:
        n, k, device, dtype: see `Customers`.
    """

    def __init__(self, source: Source, device: torch.device) -> None:
        self.n, self.k = source.n_rows, len(source.columns)
        self.device = device
        self.dtype = torch.float32 if source.dtype == np.float32 else torch.float64
        self._source = source

    def check(self) -> int:
        """Return how many customers have no offer, after a pass that looks at every value.

        Raises:
            InputError: a value is NaN or infinite; names column and rows.
        """
        n_without_offer, start = 0, 0
        for block_kb in self._source.blocks():
            unusable_kb = np.isnan(block_kb) | (block_kb == np.inf)
            if unusable_kb.any():
                j = int(unusable_kb.any(1).argmax())
                raise InputError(
                    f"value of offer '{self._source.columns[j]}' is NaN or infinite in "
                    f"{rows_text(start + np.flatnonzero(unusable_kb[j]))}; -inf alone is allowed (not possible)."
                )
            n_without_offer += int((block_kb.max(0) == -np.inf).sum())
            start += block_kb.shape[1]
        return n_without_offer

    def blocks(self, every: int = 1) -> Iterator[tuple[int, Block]]:
        """Go through all customers once, or through every so manieth block: the first one's position, and the block."""
        start = 0
        for number, block_kb in enumerate(self._source.blocks()):
            if number % every == 0:
                yield start, Block(torch.from_numpy(block_kb).to(self.device))
            start += block_kb.shape[1]

    def sample(self, size: int, seed: int) -> Block:
        """Return that many customers drawn with replacement; all of them where there are no more."""
        if size >= self.n:
            return self.take(torch.arange(self.n))
        return self.take(torch.randint(self.n, (size,), generator=torch_generator(seed)))

    def take(self, index_m: Tensor) -> Block:
        """Return the customers at these positions."""
        position_m = index_m.cpu().numpy()
        order_m = position_m.argsort(kind="stable")
        sorted_m = position_m[order_m]
        value_km = np.empty((self.k, len(position_m)), self._source.dtype)
        start = 0
        for block_kb in self._source.blocks():
            end = start + block_kb.shape[1]
            first, last = np.searchsorted(sorted_m, [start, end])
            value_km[:, order_m[first:last]] = block_kb[:, sorted_m[first:last] - start]
            start = end
        return Block(torch.from_numpy(value_km).to(self.device))
