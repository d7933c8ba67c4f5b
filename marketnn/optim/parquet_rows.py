"""A fit to the rows of Parquet files larger than memory: every pass reads them anew, a block at a time.

J^T J, J^T e and the loss are sums over rows, so nothing but the order of the sums differs from a fit in memory.

Shapes: n rows, b of them in a block, d inputs, m outputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from marketnn.data import ParquetNumbers
from marketnn.errors import InputError
from marketnn.optim.problem import Problem, fitting_problem


class ParquetRows:
    """Inputs and targets in number columns of Parquet files, in place of the tensors x and y.

    Args:
        path: a file, or several with the same columns.
        inputs: d columns.
        targets: m columns.
        standardise: take inputs in standard deviations from their mean, found in one pass; constant ones become 0.

    Attributes:
        inputs, targets: the columns' names.
        n_rows: of all files.

    Raises:
        InputError: as ``ParquetNumbers``, or no input or target is named, or one twice.
    """

    def __init__(
        self,
        path: str | Path | Sequence[str | Path],
        inputs: Sequence[str],
        targets: Sequence[str],
        *,
        standardise: bool = False,
    ) -> None:
        self.inputs, self.targets = tuple(inputs), tuple(targets)
        if not (self.inputs and self.targets):
            raise InputError("inputs or targets name no column; name at least one of each.")
        columns = [*self.inputs, *self.targets]
        twice = sorted({name for name in columns if columns.count(name) > 1})
        if twice:
            raise InputError(f"column '{twice[0]}' is named twice among inputs and targets; name it once.")
        self._numbers = ParquetNumbers(path, columns)
        self.n_rows = self._numbers.n_rows
        self._mean_d: Tensor | None = None
        self._deviation_d: Tensor | None = None
        if standardise:
            self._mean_d, self._deviation_d = self._moments()

    def scaled(self, x: Tensor) -> Tensor:
        """Bring inputs (n, d) in the files' units into those that the module sees."""
        if self._mean_d is None or self._deviation_d is None:
            return x
        return (x - self._mean_d.to(x)) / self._deviation_d.to(x)

    def blocks(self, like: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Go through the rows once.

        Args:
            like: whose dtype and device the blocks take.

        Yields:
            inputs (b, d), scaled, and targets (b, m).

        Raises:
            InputError: a value is missing or not finite, or a file is damaged.
        """
        d = len(self.inputs)
        for block in self._numbers.blocks(finite=True):
            values = torch.from_numpy(block).to(like)
            yield self.scaled(values[:d].T), values[d:].T

    def _moments(self) -> tuple[Tensor, Tensor]:
        """Return means and standard deviations of the inputs (d,) in float64, 1 for the deviation of a constant one."""
        float64 = torch.empty(0, dtype=torch.float64)
        n, mean_d, squares_d = 0, float64.new_zeros(len(self.inputs)), float64.new_zeros(len(self.inputs))
        for x_bd, _ in self.blocks(float64):
            b = len(x_bd)
            block_d = x_bd.mean(0)
            away_d = block_d - mean_d
            squares_d += (x_bd - block_d).square().sum(0) + away_d.square() * (n * b / (n + b))
            mean_d += away_d * (b / (n + b))
            n += b
        deviation_d = (squares_d / n).sqrt()
        return mean_d, torch.where(deviation_d > 0, deviation_d, 1.0)


@dataclass(frozen=True)
class ParquetProblem(Problem):
    """A module and the Parquet rows that it is fitted to; x and y are empty and tell widths, dtype and device.

    Attributes:
        rows: where they are read.
    """

    in_memory: ClassVar[bool] = False
    rows: ParquetRows

    @property
    def n_rows(self) -> int:
        """The number of rows, n."""
        return self.rows.n_rows

    def chunks(self, rows: int | None = None) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
        """Yield (x, y, None) of at most ``rows`` rows at a time, blocks as they are read for ``None``."""
        for x_bd, y_bm in self.rows.blocks(self.y):
            size = min(rows or len(x_bd), len(x_bd))
            for x, y in zip(x_bd.split(size), y_bm.split(size), strict=True):
                yield x, y, None


def parquet_problem(module: nn.Module, rows: ParquetRows, y: Tensor | None, weight: Tensor | None) -> ParquetProblem:
    """Check a module against the columns.

    Raises:
        InputError: y or weights beside the rows, which hold their targets and count alike, or as ``fitting_problem``.
    """
    for name, data in (("y", y), ("weight", weight)):
        if data is not None:
            raise InputError(f"{name} has no place beside ParquetRows; name columns as targets, rows count alike.")
    first = next(module.parameters(), torch.empty(0))
    x_1d, y_1m = first.new_zeros(1, len(rows.inputs)), first.new_zeros(1, len(rows.targets))
    checked = fitting_problem(module, x_1d, y_1m)
    terms = float(rows.n_rows * len(rows.targets))
    return ParquetProblem(module, x_1d[:0].detach(), y_1m[:0].detach(), None, checked.members, terms, rows)
