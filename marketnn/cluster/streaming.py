"""Rows read anew in every round, for tables larger than memory: Lloyd's kernel cannot tell them from rows in memory.

A first pass checks the rows, finds the mean about which all others are taken, and draws a sample for the starts; a last one
labels them. Between them the rounds of ``lloyd`` are a pass each. In memory are some blocks, the sample, and the labels.

Shapes: n rows, d columns, k clusters, b rows of a block, m rows of the sample.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from marketnn.cluster.assignment import RelativeDistances, squared_distances
from marketnn.cluster.rows import Block, block_rows
from marketnn.errors import InputError

_SAMPLE_NUMBERS = 2**21  # of the sample
_SAMPLE_ROWS = 4_096  # at least, and 64 for each cluster
_SAMPLE_PER_CENTRE = 64


class Source(Protocol):
    """A table that can be read as often as wanted.

    Attributes:
        columns: names of its columns.
        dtype: float32 or float64.
        n_rows: its size.
    """

    columns: tuple[str, ...]
    dtype: np.dtype
    n_rows: int

    def blocks(self, *, finite: bool = False) -> Iterator[np.ndarray]:
        """Go through the rows once, in blocks (d, b) of any size; ``finite``: refuse NaN and infinite values."""


@dataclass(frozen=True)
class Survey:
    """What one pass tells of a table.

    Attributes:
        offset_d: its mean, rounded to its dtype, so that rows about it are one subtraction without conversions.
        total: sum of squared lengths of the rows about ``offset_d``.
        sample_md: rows drawn with replacement, in their order; all rows where there are no more.
    """

    offset_d: np.ndarray
    total: float
    sample_md: np.ndarray


def survey(source: Source, k: int, generator: torch.Generator) -> Survey:
    """Go through a table once.

    Args:
        source: the table.
        k: distinct rows that there must be.
        generator: of the sample.

    Raises:
        InputError: fewer distinct rows, or whatever the source refuses.
    """
    d = len(source.columns)
    row_m = _sampled(source.n_rows, max(_SAMPLE_NUMBERS // d, _SAMPLE_ROWS, _SAMPLE_PER_CENTRE * k), generator)
    sample, distinct_ud = [], np.empty((0, d), source.dtype)
    shift_d1, sum_d, squares_d = np.zeros((d, 1)), np.zeros(d), np.zeros(d)
    first_row = 0
    for x_db in source.blocks(finite=True):
        b = x_db.shape[1]
        if not first_row:
            # About a number near the mean nothing is lost in the difference of large squares.
            shift_d1 = x_db.mean(axis=1, dtype=np.float64, keepdims=True)
        moved_db = x_db - shift_d1
        sum_d += x_db.sum(axis=1, dtype=np.float64)
        squares_d += np.einsum("db,db->d", moved_db, moved_db)
        if len(distinct_ud) < k:
            distinct_ud = _distinct(np.concatenate([distinct_ud, x_db.T]), k)
        low, high = np.searchsorted(row_m, (first_row, first_row + b))
        sample.append(x_db[:, row_m[low:high] - first_row].T)
        first_row += b
    if len(distinct_ud) < k:
        raise InputError(
            f"n_samples={first_row} with only {len(distinct_ud)} distinct rows, but n_clusters={k}; "
            f"ask for {len(distinct_ud)} or fewer."
        )
    offset_d = (sum_d / first_row).astype(source.dtype)
    away_d, moved_sum_d = offset_d - shift_d1[:, 0], sum_d - first_row * shift_d1[:, 0]
    total = max(float((squares_d - 2 * away_d * moved_sum_d + first_row * away_d**2).sum()), 0.0)
    return Survey(offset_d, total, np.concatenate(sample))


def _distinct(x_nd: np.ndarray, k: int) -> np.ndarray:
    """Return k different rows, or all there are; the first few rows usually settle it."""
    head = np.unique(x_nd[: 4 * k], axis=0)
    return (head if len(head) >= k else np.unique(x_nd, axis=0))[:k]


def _sampled(n: int, m: int, generator: torch.Generator) -> np.ndarray:
    """Return m row numbers of n, ascending, drawn with replacement; each once where there are no more than m."""
    if n <= m:
        return np.arange(n)
    return torch.randint(n, (m,), generator=generator).sort().values.numpy()


class StreamedRows:
    """The rows of a table that is read anew each time, about its mean: the ``Rows`` that ``lloyd`` asks for.

    Args:
        source: the table.
        surveyed: what the first pass told of it.
        device: where the rounds are computed.
    """

    def __init__(self, source: Source, surveyed: Survey, device: torch.device) -> None:
        self.n_rows, self.n_columns = source.n_rows, len(source.columns)
        self.total = torch.tensor(surveyed.total, dtype=torch.float64, device=device)
        self._source = source
        self._offset_d1 = torch.as_tensor(surveyed.offset_d, device=device)[:, None]

    def blocks(self, n_centres: int) -> Iterator[Block]:
        """Go through the rows once, in blocks for rounds with ``n_centres`` centres, all starts counted."""
        size = block_rows(n_centres)
        for x_db in self._source.blocks():
            for part_db in torch.as_tensor(x_db, device=self._offset_d1.device).split(size, dim=1):
                yield Block(part_db - self._offset_d1)

    def labelled(self, centres_kd: Tensor) -> tuple[np.ndarray, float]:
        """Return every row's nearest centre (n,), int32, and the sum of squared distances to it, in one pass.

        The distances are differences, in float64.
        """
        label_n = np.empty(self.n_rows, np.int32)
        relative, sse = RelativeDistances(centres_kd), torch.zeros_like(self.total)
        first_row = 0
        for block in self.blocks(len(centres_kd)):
            label_b = relative.to(block.x_db).min(0).indices
            sse += squared_distances(block.x_db.T, centres_kd, label_b).sum()
            label_n[first_row : first_row + len(label_b)] = label_b.cpu().numpy()
            first_row += len(label_b)
        return label_n, float(sse)
