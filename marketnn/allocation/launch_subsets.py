"""What the customers are worth for every set of open offers at once, each taking the best open one or none.

Let a customer's offers in falling order of value be s(1), s(2), ..., s(k). The best open one is worth the sum of the drops
v(s(r)) - v(s(r+1)) over those r for which {s(1), ..., s(r)} meets the open set. So the drops of all customers are added up by
that set, n k numbers into 2^k places, and one sum over subsets turns them into all 2^k values: n k log k + k 2^k operations.

Shapes: n customers, k offers, s = 2^k sets. Bit j of a set's number says whether offer j is open.
"""

from __future__ import annotations

import torch
from torch import Tensor

_BLOCK_ROWS = 1 << 15


def best_open_sums(value_nk: Tensor) -> Tensor:
    """Return for every set of offers the sum over customers of the best open value, 0 where none is positive: (s,)."""
    k = value_nk.shape[1]
    drops_s = value_nk.new_zeros(2**k)
    bit_k = 2 ** torch.arange(k, device=value_nk.device)
    for block_bk in value_nk.split(_BLOCK_ROWS):
        falling_bk, order_bk = block_bk.clamp(min=0).sort(dim=1, descending=True, stable=True)
        falling_bk[:, :-1] -= falling_bk[:, 1:].clone()
        drops_s.index_add_(0, bit_k[order_bk].cumsum(1).flatten(), falling_bk.flatten())
    inside_s = drops_s  # after bit j: the drops of all subsets that differ from the set in bits up to j only
    for j in range(k):
        pairs = inside_s.view(-1, 2, 2**j)
        pairs[:, 1] += pairs[:, 0]
    # A drop is missed exactly when its set lies in the complement of the open set, whose number is 2^k - 1 less the set's.
    return inside_s[-1] - inside_s.flip(0)


def set_sums(number_k: Tensor) -> Tensor:
    """Return for every set of offers the sum of its members' numbers: (s,)."""
    sums_s = number_k.new_zeros(1)
    for number in number_k.unbind():
        sums_s = torch.cat([sums_s, sums_s + number])
    return sums_s
