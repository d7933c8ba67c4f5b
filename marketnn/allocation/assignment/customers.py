"""The customers as the passes need them: in blocks, offers by customers.

Shapes: n customers, k offers, b customers of a block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from marketnn.seed import torch_generator

_BLOCK_ELEMENTS = 2**17  # of a block on the CPU: its rows and their results stay in a core's cache
_ACCELERATOR_ELEMENTS = 2**25


class Block(NamedTuple):
    """Some customers, offers by customers.

    Attributes:
        value_kb: what a contact is worth; ``-inf`` where it is not possible.
        cost_kb: what it costs, where that differs by customer.
        weight_b: how many customers each column stands for; ``None`` is 1.
    """

    value_kb: Tensor
    cost_kb: Tensor | None = None
    weight_b: Tensor | None = None

    def at(self, index_m: Tensor) -> Block:
        """Return the columns of that index."""
        return self.each(lambda tensor: tensor.index_select(-1, index_m))

    def double(self) -> Block:
        """Return it in float64."""
        return self.each(Tensor.double)

    def each(self, change: Callable[[Tensor], Tensor]) -> Block:
        """Return the block with each tensor changed."""
        cost_kb = None if self.cost_kb is None else change(self.cost_kb)
        weight_b = None if self.weight_b is None else change(self.weight_b)
        return Block(change(self.value_kb), cost_kb, weight_b)


class Customers(Protocol):
    """What the solver asks of the customers: held, streamed, or shared by several processes.

    Attributes:
        n, k: how many customers and offers.
        device: where their blocks are.
        dtype: of their values.
        here: positions of the customers whose blocks this process goes through.
    """

    n: int
    k: int
    device: torch.device
    dtype: torch.dtype

    @property
    def here(self) -> slice:
        """Positions of the customers whose blocks this process goes through."""

    def blocks(self, every: int = 1) -> Iterator[tuple[int, Block]]:
        """Go through those customers once, or through every so manieth block: the first one's place among them, and the block."""

    def sample(self, size: int, seed: int) -> Block:
        """Return that many customers drawn with replacement; all of them where there are no more."""

    def take(self, index_m: Tensor) -> Block:
        """Return the customers at these positions."""

    def everybodys(self, index_m: Tensor) -> tuple[Tensor, Tensor | slice]:
        """Return all processes' customers for each one's places among its own, and which of them are this process's."""

    def total(self, sums: Tensor) -> Tensor:
        """Add up what every process found in its blocks."""

    def largest(self, values: Tensor) -> Tensor:
        """Take the largest of what every process found in its blocks."""


class OwnCustomers:
    """All customers are this process's.

    Attributes:
        n: how many.
    """

    n: int

    @property
    def here(self) -> slice:
        """Positions of the customers whose blocks this process goes through: all."""
        return slice(0, self.n)

    def everybodys(self, index_m: Tensor) -> tuple[Tensor, Tensor | slice]:
        """Return them: there are no others."""
        return index_m, slice(None)

    def total(self, sums: Tensor) -> Tensor:
        """Return them: nobody else has any."""
        return sums

    def largest(self, values: Tensor) -> Tensor:
        """Return them: nobody else has any."""
        return values


class HeldCustomers(OwnCustomers):
    """Customers in memory.

    Args:
        value_nk: what a contact is worth.
        cost_nk: what it costs, where that differs by customer.
        eligible_nk: whether it is possible; ``None`` is always.
    """

    def __init__(self, value_nk: Tensor, cost_nk: Tensor | None = None, eligible_nk: Tensor | None = None) -> None:
        self.n, self.k = value_nk.shape
        self.device, self.dtype = value_nk.device, value_nk.dtype
        self._value_nk, self._cost_nk, self._eligible_nk = value_nk, cost_nk, eligible_nk
        elements = _BLOCK_ELEMENTS if value_nk.device.type == "cpu" else _ACCELERATOR_ELEMENTS
        self._block_rows = max(elements // self.k, 1)

    def blocks(self, every: int = 1) -> Iterator[tuple[int, Block]]:
        """Go through all customers once, or through every so manieth block: the first one's position, and the block."""
        for start in range(0, self.n, every * self._block_rows):
            yield start, self._block(slice(start, start + self._block_rows))

    def sample(self, size: int, seed: int) -> Block:
        """Return that many customers drawn with replacement; all of them where there are no more."""
        if size >= self.n:
            return self._block(slice(None))
        return self.take(torch.randint(self.n, (size,), generator=torch_generator(seed)).to(self.device))

    def take(self, index_m: Tensor) -> Block:
        """Return the customers at these positions."""
        return self._block(index_m)

    def check(self) -> int:
        """Return how many customers have no offer."""
        if self._eligible_nk is None and not bool(self._value_nk.amin() == -torch.inf):
            return 0
        return int(torch.stack([(block.value_kb.amax(0) == -torch.inf).sum() for _, block in self.blocks()]).sum())

    def _block(self, rows: slice | Tensor) -> Block:
        value_kb = _turned(self._value_nk[rows])
        if self._eligible_nk is not None:
            value_kb.masked_fill_(~_turned(self._eligible_nk[rows]), -torch.inf)
        return Block(value_kb, None if self._cost_nk is None else _turned(self._cost_nk[rows]))


def _turned(number_bk: Tensor) -> Tensor:
    return torch.stack(number_bk.unbind(1))  # faster than a transposed copy, column by column
