"""Customers whose rows lie with several processes: each goes through its own, all find the same prices and settle the same rest.

What the passes add up is summed over the processes; the sample, and the few customers that the passes leave open, are handed to
everybody. A programme's answer follows from them alone, so that all processes find the same one.

Shapes: n customers of all processes, k offers, m customers asked for.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from marketnn.allocation.assignment.customers import Block, Customers
from marketnn.errors import InputError
from marketnn.processes import Processes
from marketnn.seed import torch_generator


class SharedCustomers:
    """The customers of a ``torch.distributed`` group, in the order of its processes.

    Args:
        own: this process's customers.
        processes: the group.

    Attributes:
        n, k, device, dtype, here: see `Customers`; ``n`` counts all processes' customers.

    Raises:
        InputError: the processes disagree on the offers or the type of the values; everybody raises it.
    """

    def __init__(self, own: Customers, processes: Processes) -> None:
        self._own, self._processes = own, processes
        self.k, self.device, self.dtype = own.k, own.device, own.dtype
        facts = torch.tensor([[own.n, own.k, own.dtype.itemsize]]).to(own.device)
        counts, offers, sizes = processes.gather(facts).T.tolist()
        if len(set(offers)) > 1 or len(set(sizes)) > 1:
            raise InputError(
                f"the processes hold values of {', '.join(map(str, offers))} offers, {', '.join(map(str, sizes))} bytes each; "
                "give all of them the same offers and one type."
            )
        first = sum(counts[: processes.rank])
        self.n, self.here = sum(counts), slice(first, first + own.n)

    def blocks(self, every: int = 1) -> Iterator[tuple[int, Block]]:
        """Go through this process's customers once: the position of each block's first one among them, and the block."""
        return self._own.blocks(every)

    def sample(self, size: int, seed: int) -> Block:
        """Return that many customers of all processes, drawn with replacement; all of them where there are no more."""
        if size >= self.n:
            return self.take(torch.arange(self.n))
        return self.take(torch.randint(self.n, (size,), generator=torch_generator(seed)))

    def take(self, index_m: Tensor) -> Block:
        """Return the customers at these positions, the same ones in every process: each adds its own to zeros."""
        index_m = index_m.to(self.device)
        mine = self._mine(index_m)
        own = self._own.take(index_m[mine] - self.here.start)

        def everybodys(own_km: Tensor) -> Tensor:
            number_km = own_km.new_zeros(len(own_km), len(index_m)).index_copy_(1, mine, own_km)
            self._processes.add_up(number_km)
            return number_km

        return own.each(everybodys)

    def everybodys(self, index_m: Tensor) -> tuple[Tensor, Tensor]:
        """Join positions among the own customers to those of all processes; also say which of these are this process's."""
        joined = self._processes.gather(index_m + self.here.start)
        return joined, self._mine(joined)

    def total(self, sums: Tensor) -> Tensor:
        """Add up over the processes, in place."""
        self._processes.add_up(sums)
        return sums

    def largest(self, values: Tensor) -> Tensor:
        """Return the largest of all processes."""
        return self._processes.gather(values[None]).amax(0)

    def _mine(self, index_m: Tensor) -> Tensor:
        return ((index_m >= self.here.start) & (index_m < self.here.stop)).nonzero()[:, 0]
