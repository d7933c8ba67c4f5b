"""Customers whose rows lie with several processes: each goes through its own, all find the same prices and settle the same rest.

What the passes add up is summed over the processes; the sample, and the few customers that the passes leave open, are handed to
everybody. A programme's answer follows from them alone, so that all processes find the same one.

Shapes: n customers of all processes, k offers, m customers asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from marketnn.allocation.assignment.customers import Block, Customers
from marketnn.errors import InputError
from marketnn.optim.processes import reduction
from marketnn.seed import torch_generator


class SharedCustomers:
    """The customers of a ``torch.distributed`` group, in the order of its processes.

    Args:
        own: this process's customers.
        process_group: the group.

    Attributes:
        n, k, device, dtype: see `Customers`; ``n`` counts all processes' customers.
        here: positions of this process's customers.

    Raises:
        InputError: the processes disagree on the offers or the type of the values; everybody raises it.
    """

    def __init__(self, own: Customers, process_group: Any) -> None:
        rank, n_processes = (
            ask(process_group) for ask in (torch.distributed.get_rank, torch.distributed.get_world_size)
        )
        reduce = reduction(process_group)
        assert reduce is not None
        self._own, self._group, self._reduce = own, process_group, reduce
        self.k, self.device, self.dtype = own.k, own.device, own.dtype
        facts = torch.zeros(n_processes, 3, dtype=torch.int64, device=own.device)
        facts[rank] = torch.tensor([own.n, own.k, own.dtype.itemsize])
        reduce([facts])
        counts, offers, sizes = (fact.tolist() for fact in facts.T)
        if len(set(offers)) > 1 or len(set(sizes)) > 1:
            raise InputError(
                f"the processes hold values of {', '.join(map(str, offers))} offers with {', '.join(map(str, sizes))} bytes; "
                "give all of them the same offers and one type."
            )
        self.n, first = sum(counts), sum(counts[:rank])
        self.here = slice(first, first + own.n)

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
        mine_m = (index_m >= self.here.start) & (index_m < self.here.stop)
        own = self._own.take(index_m[mine_m] - self.here.start)

        def everybodys(own_km: Tensor) -> Tensor:
            number_km = own_km.new_zeros(len(own_km), len(index_m))
            number_km[:, mine_m] = own_km
            self._reduce([number_km])
            return number_km

        return own.each(everybodys)

    def everybodys(self, index_m: Tensor) -> tuple[Tensor, slice]:
        """Join positions among the own customers to those of all processes; also say which of them are this process's."""
        count_p = index_m.new_zeros(torch.distributed.get_world_size(self._group))
        rank = torch.distributed.get_rank(self._group)
        count_p[rank] = len(index_m)
        self._reduce([count_p])
        end_p = count_p.cumsum(0).tolist()
        mine = slice(end_p[rank] - len(index_m), end_p[rank])
        joined = index_m.new_zeros(end_p[-1])
        joined[mine] = index_m + self.here.start
        self._reduce([joined])
        return joined, mine

    def total(self, sums: Tensor) -> Tensor:
        """Add up over the processes, in place."""
        self._reduce([sums])
        return sums

    def largest(self, values: Tensor) -> Tensor:
        """Take the largest of all processes, in place."""
        torch.distributed.all_reduce(values, torch.distributed.ReduceOp.MAX, group=self._group)
        return values
