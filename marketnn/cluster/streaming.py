"""Rows read anew in every round, for tables larger than memory: Lloyd's kernel cannot tell them from rows in memory.

A first pass checks the rows, finds the mean about which all others are taken, and draws a sample for the starts; a last one
labels them. Between them the rounds of ``lloyd`` are a pass each. In memory are some blocks, the sample, and the labels.
Several processes may hold a share of the rows each: what they survey, draw and add up is that of the whole table.

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
from marketnn.processes import ALONE, Processes

_SAMPLE_NUMBERS = 2**21  # of the sample
_SAMPLE_ROWS = 4_096  # at least, and 64 for each cluster
_SAMPLE_PER_CENTRE = 64
_HELD_ROWS = 65_536  # of a block
_OFFSET_DIGITS = 24


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


class HeldTable:
    """A table in memory as a ``Source``.

    Args:
        x_nd: finite numbers, float32 or float64.
    """

    def __init__(self, x_nd: np.ndarray) -> None:
        self.columns = tuple(f"x{place}" for place in range(x_nd.shape[1]))
        self.dtype, self.n_rows = x_nd.dtype, len(x_nd)
        self._x_nd = x_nd

    def blocks(self, *, finite: bool = False) -> Iterator[np.ndarray]:
        """Go through the rows once, in blocks (d, b)."""
        del finite
        for at in range(0, self.n_rows, _HELD_ROWS):
            yield np.ascontiguousarray(self._x_nd[at : at + _HELD_ROWS].T)


@dataclass(frozen=True)
class Survey:
    """What one pass tells of a table.

    Attributes:
        n_rows: of all processes.
        offset_d: its mean, rounded so that rows about it are one subtraction without conversions and do not depend on how
            many processes added it up.
        total: sum of squared lengths of the rows about ``offset_d``.
        sample_md: rows drawn with replacement, in their order; all rows where there are no more.
    """

    n_rows: int
    offset_d: np.ndarray
    total: float
    sample_md: np.ndarray


def survey(source: Source, k: int, generator: torch.Generator, processes: Processes = ALONE) -> Survey:
    """Go through a table once.

    Args:
        source: the table, or this process's share of it.
        k: distinct rows that there must be.
        generator: of the sample, equal in all processes.
        processes: those that hold the rows.

    Raises:
        InputError: fewer distinct rows, shares of other columns or another dtype, or whatever the source refuses.
    """
    d = len(source.columns)
    start, n = _place(source, processes)
    row_m = _sampled(n, max(_SAMPLE_NUMBERS // d, _SAMPLE_ROWS, _SAMPLE_PER_CENTRE * k), generator)
    sample, distinct_ud = [], np.empty((0, d), source.dtype)
    shift_d1, sum_d, squares_d = np.zeros((d, 1)), np.zeros(d), np.zeros(d)
    first_row = start
    for x_db in source.blocks(finite=True):
        b = x_db.shape[1]
        if first_row == start:
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
    distinct_ud = _distinct(_gathered(distinct_ud, processes), k)
    if len(distinct_ud) < k:
        raise InputError(
            f"n_samples={n} with only {len(distinct_ud)} distinct rows, but n_clusters={k}; "
            f"ask for {len(distinct_ud)} or fewer."
        )
    n_own = first_row - start
    moved_sum_d = sum_d - n_own * shift_d1[:, 0]
    power_d = squares_d + 2 * shift_d1[:, 0] * moved_sum_d + n_own * shift_d1[:, 0] ** 2
    processes.add_up(torch.from_numpy(sum_d), torch.from_numpy(power_d))  # in place
    offset_d = _rounded(sum_d / n, np.sqrt(np.maximum(power_d, 0) / n)).astype(source.dtype)
    away_d = offset_d - shift_d1[:, 0]
    total = torch.from_numpy(squares_d - 2 * away_d * moved_sum_d + n_own * away_d**2).sum()
    processes.add_up(total)
    return Survey(n, offset_d, max(float(total), 0.0), _gathered(np.concatenate(sample), processes))


def _rounded(mean_d: np.ndarray, root_mean_square_d: np.ndarray) -> np.ndarray:
    """Return means to 24 binary digits of the numbers' size, what float32 holds: sums taken in another order give the same."""
    step_d = np.ldexp(1.0, np.frexp(root_mean_square_d)[1] - _OFFSET_DIGITS)
    return np.rint(mean_d / step_d) * step_d


def _place(source: Source, processes: Processes) -> tuple[int, int]:
    """Return the number of this process's first row in the table of all, and how many rows that has."""
    own = torch.tensor([[source.n_rows, len(source.columns), source.dtype.itemsize]])
    shares = processes.gather(own)
    for rank, share in enumerate(shares.tolist()):
        if share[1:] != shares[0, 1:].tolist():
            raise InputError(
                f"process {rank} holds {share[1]} columns of {8 * share[2]} bits, process 0 {int(shares[0, 1])} of "
                f"{8 * int(shares[0, 2])}; give all processes the same columns."
            )
    return int(shares[: processes.rank, 0].sum()), int(shares[:, 0].sum())


def _gathered(x_nd: np.ndarray, processes: Processes) -> np.ndarray:
    return processes.gather(torch.from_numpy(x_nd)).numpy()


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
        source: the table, or this process's share of it.
        surveyed: what the first pass told of it.
        device: where the rounds are computed.
        processes: those that hold the rows.
    """

    def __init__(self, source: Source, surveyed: Survey, device: torch.device, processes: Processes) -> None:
        self.n_rows, self.n_columns, self.processes = surveyed.n_rows, len(source.columns), processes
        self.total = torch.tensor(surveyed.total, dtype=torch.float64, device=device)
        self._source = source
        self._offset_d1 = torch.as_tensor(surveyed.offset_d, device=device)[:, None]

    def blocks(self, n_centres: int) -> Iterator[Block]:
        """Go through this process's rows once, in blocks for rounds with ``n_centres`` centres, all starts counted."""
        size = block_rows(n_centres)
        for x_db in self._source.blocks():
            for part_db in torch.as_tensor(x_db, device=self._offset_d1.device).split(size, dim=1):
                yield Block(part_db - self._offset_d1)

    def labelled(self, centres_kd: Tensor) -> tuple[np.ndarray, float]:
        """Return the nearest centre (n,), int32, of each of this process's rows, and all rows' sum of squared distances.

        The distances are differences, in float64; it takes one pass.
        """
        label_n = np.empty(self._source.n_rows, np.int32)
        relative, sse = RelativeDistances(centres_kd), torch.zeros_like(self.total)
        first_row = 0
        for block in self.blocks(len(centres_kd)):
            label_b = relative.to(block.x_db).min(0).indices
            sse += squared_distances(block.x_db.T, centres_kd, label_b).sum()
            label_n[first_row : first_row + len(label_b)] = label_b.cpu().numpy()
            first_row += len(label_b)
        self.processes.add_up(sse)
        return label_n, float(sse)
