"""The processes of a ``torch.distributed`` group, each of which holds other rows of one table.

``torchrun`` starts them; ``torch.distributed.init_process_group()`` without a backend exchanges host tensors through gloo and
CUDA ones through NCCL, and both are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed
from torch import Tensor

from marketnn.errors import LostProcessError

Reduce = Callable[[Sequence[Tensor]], None]


def reduction(process_group: Any) -> Reduce | None:
    """Return the function that replaces tensors by their sums over a group, in one exchange; ``None`` for no group.

    The function raises ``LostProcessError`` where another process does not take part.
    """
    if process_group is None:
        return None

    def reduce(tensors: Sequence[Tensor]) -> None:
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        with _all_present():
            torch.distributed.all_reduce(flat, group=process_group)
        for tensor, total in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(total.view(tensor.shape))

    return reduce


class Processes:
    """What the processes of a group tell each other; without a group there is this one alone.

    Every process must call the same methods in the same order; they raise ``LostProcessError`` where one does not take part.

    Args:
        process_group: a ``torch.distributed`` group, or ``None``.

    Attributes:
        rank: this process's place among them.
    """

    def __init__(self, process_group: Any = None) -> None:
        self._group = process_group
        self._reduce = reduction(process_group)
        self.rank = 0 if process_group is None else torch.distributed.get_rank(process_group)

    def add_up(self, *tensors: Tensor) -> None:
        """Replace tensors of one dtype by their sums over the processes, in one exchange."""
        if self._reduce is not None:
            self._reduce(tensors)

    def gather(self, rows: Tensor) -> Tensor:
        """Return the rows (n, ...) of all processes one below the other, in order of rank; each may bring another number."""
        if self._group is None:
            return rows
        counts = self._equal_parts(torch.tensor([len(rows)], device=rows.device))
        most = max(int(count) for count in counts)
        padded = rows.new_zeros(most, *rows.shape[1:])
        padded[: len(rows)] = rows
        parts = self._equal_parts(padded)
        return torch.cat([part[: int(count)] for part, count in zip(parts, counts, strict=True)])

    def _equal_parts(self, part: Tensor) -> list[Tensor]:
        parts = [torch.empty_like(part) for _ in range(torch.distributed.get_world_size(self._group))]
        with _all_present():
            torch.distributed.all_gather(parts, part, group=self._group)
        return parts


@contextmanager
def _all_present() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise LostProcessError(
            f"another process ended or does not answer ({reason}).\n"
            "See its output for the cause; start all again, training from its last checkpoint."
        ) from error


ALONE = Processes()
