"""Packed pairs: the products of units with each other, and the matrix products of such pairs, in memory that is reused.

Shapes: n rows of a chunk, h units, R networks; q pairs of units in the order (0,0), (1,0), (1,1), (2,0), ...
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

_ALIGNED = 8  # rows and columns of a matrix product's kernel, for float64 and float32 alike
PANEL = 512  # pairs of inputs that are packed and multiplied at a time: with 1,000 rows, 4 MB


def n_pairs(n: int) -> int:
    """The number of pairs of n things, each with itself included."""
    return n * (n + 1) // 2


class Scratch:
    """Memory that is allocated once and lent in any shape."""

    def __init__(self, like: Tensor) -> None:
        self._like = like
        self._held: dict[str, Tensor] = {}

    def take(self, name: str, *shape: int) -> Tensor:
        """Lend a tensor of that shape, its contents undefined, until the next ``take`` of the name."""
        size = torch.Size(shape).numel()
        if name not in self._held or self._held[name].numel() < size:
            self._held[name] = self._like.new_empty(size)
        return self._held[name][:size].view(shape)


class Panel(NamedTuple):
    """The packed pairs of inputs first..stop-1 with all inputs up to themselves, and the columns that hold them."""

    first: int
    stop: int
    columns: slice


def panels_of(inputs: int) -> list[Panel]:
    """Cut the inputs into panels of about ``PANEL`` pairs."""
    panels, first, column = [], 0, 0
    for stop in range(1, inputs + 1):
        if stop == inputs or n_pairs(stop + 1) - n_pairs(first) > PANEL:
            width = padded(n_pairs(stop) - n_pairs(first))
            panels.append(Panel(first, stop, slice(column, column + width)))
            first, column = stop, column + width
    return panels


def padded(count: int) -> int:
    """Round up to what a matrix product's kernel takes at a time; a ragged edge costs it up to a seventh."""
    return -(-count // _ALIGNED) * _ALIGNED


def pack(units: Tensor, first: int, stop: int, out: Tensor) -> Tensor:
    """Write the products (.., q, n) of units first..stop-1 (.., h, n) with themselves and all units before them."""
    singles = units[..., first:stop, :].split(1, dim=-2)
    lengths = list(range(first + 1, stop + 1))
    *pieces, rest = out.split([*lengths, out.shape[-2] - sum(lengths)], dim=-2)
    for length, single, piece in zip(lengths, singles, pieces, strict=True):
        torch.mul(units[..., :length, :], single, out=piece)
    if rest.shape[-2]:
        rest.zero_()
    return out


def outer(one: Tensor, other: Tensor, out: Tensor) -> Tensor:
    """Write the products of every unit of ``one`` with every unit of ``other``, (R, h h', n)."""
    torch.mul(one.unsqueeze(-2), other.unsqueeze(-3), out=out.unflatten(-2, (one.shape[-2], other.shape[-2])))
    return out


def laid_out(memory: Tensor, members: int, shape: tuple[int, int], one_product: bool) -> Tensor:
    """View memory as sums (R, p, q), laid out so that the result of the matrix product has the fewer rows.

    That is how the products run fastest: up to 1.6 times on one core.
    """
    p, q = shape
    if (members if one_product else 1) * p <= min(q, PANEL):
        return memory.view(members, p, q)
    if one_product:
        return memory.view(q, members, p).permute(1, 2, 0)
    return memory.view(members, q, p).mT


def accumulate(sums: Tensor, left: Tensor, right: Tensor, scratch: Scratch) -> None:
    """Add ``left right^T`` to the sums (R, p, q); ``right`` may be shared by the networks, (q, n)."""
    if left.dtype == sums.dtype:
        _multiply(sums, left, right, beta=1)
        return
    one_product = right.dim() == 2 or len(left) == 1
    members, p, q = sums.shape
    product = laid_out(scratch.take("product", sums.numel()), members, (p, q), one_product)
    _multiply(product, left, right, beta=0)
    sums += product


def _multiply(out: Tensor, left: Tensor, right: Tensor, beta: int) -> None:
    flipped = out.stride(-1) != 1
    if right.dim() == 3 and len(left) > 1:
        first, second, target = (right, left, out.mT) if flipped else (left, right, out)
        torch.baddbmm(target, first, second.mT, beta=beta, out=target)
        return
    left, right = left.flatten(0, 1), right if right.dim() == 2 else right[0]
    first, second = (right, left) if flipped else (left, right)
    target = out.permute(2, 0, 1).flatten(1) if flipped else out.flatten(0, 1)
    torch.addmm(target, first, second.mT, beta=beta, out=target)


def full_from_pairs(inputs: int, panels: Sequence[Panel], device: torch.device) -> Tensor:
    """Return (i i,) which column holds each entry of a symmetric matrix."""
    starts = [
        panel.columns.start + n_pairs(row) - n_pairs(panel.first)
        for panel in panels
        for row in range(panel.first, panel.stop)
    ]
    rows, columns = torch.arange(inputs).unsqueeze(1), torch.arange(inputs)
    return (torch.tensor(starts)[torch.maximum(rows, columns)] + torch.minimum(rows, columns)).flatten().to(device)
