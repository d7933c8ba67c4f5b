"""Adding up over the processes of a ``torch.distributed`` group, each of which holds other rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Reduce = Callable[[Sequence[Tensor]], None]


def reduction(process_group: Any) -> Reduce | None:
    """Return the function that replaces tensors by their sums over a group, in one exchange; ``None`` for no group."""
    if process_group is None:
        return None

    def reduce(tensors: Sequence[Tensor]) -> None:
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        torch.distributed.all_reduce(flat, group=process_group)
        for tensor, total in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(total.view(tensor.shape))

    return reduce
