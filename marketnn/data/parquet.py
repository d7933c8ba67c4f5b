"""Read Parquet: a file as a table, or the number columns of files larger than memory in blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from marketnn.data.files import existing_file
from marketnn.data.table import Raw, Table, TableOptions, assemble
from marketnn.errors import InputError, rows_text, unknown_name

if TYPE_CHECKING:
    import pyarrow

_BLOCK_ROWS = 65_536
_BUFFER = 65_536  # bytes read at a time of a column
_CELL = 250  # bytes that a cell takes, read, typed and copied on the way: texts take the most
_LEAST_ROWS = 100


@dataclass(frozen=True, kw_only=True)
class Config(TableOptions):
    """A Parquet file.

    Attributes:
        path: the file.
    """

    path: str


def read(config: Config) -> Raw:
    """Read the file.

    Raises:
        InputError: no file, not Parquet, the ``parquet`` extra is missing.
    """
    path = existing_file(config.path)
    try:
        raw = pd.read_parquet(path)
    except ImportError as error:
        raise _no_pyarrow() from error
    except Exception as error:  # pyarrow's errors share no base class but this one
        raise _unreadable(path, error) from error
    named = [name for name in raw.index.names if name is not None]
    return Raw(raw.reset_index(named) if named else raw, config, path.name)


def pieces(config: Config, memory: int, *, per_row: int = 0) -> Iterator[Raw]:
    """Read the file piece by piece.

    Args:
        config: the file.
        memory: bytes that a piece, its typed columns and what the caller makes of it may take.
        per_row: bytes that the caller needs for a row.

    Raises:
        InputError: as ``read``, or the memory does not hold a hundred rows.
    """
    import pyarrow
    import pyarrow.parquet

    path = existing_file(config.path)
    schema, n_rows = _schema_and_rows(path)
    rows = memory // (_CELL * len(schema.names) + per_row)
    if rows < _LEAST_ROWS:
        needed = -(-_LEAST_ROWS * (_CELL * len(schema.names) + per_row) // 2**20)
        raise InputError(
            f"{path.name}: {memory / 2**20:g} MB do not hold {_LEAST_ROWS} rows; give {needed} MB or more."
        )
    first_row = 0
    try:
        with pyarrow.parquet.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False) as stream:
            for batch in stream.iter_batches(min(rows, max(n_rows, 1)), use_threads=False):
                frame = pyarrow.Table.from_batches([batch]).to_pandas()
                named = [name for name in frame.index.names if name is not None]
                yield Raw(frame.reset_index(named) if named else frame, config, path.name, first_row=first_row)
                first_row += batch.num_rows
    except (pyarrow.ArrowException, OSError) as error:
        raise _unreadable(path, error) from error
    if not first_row:
        raise InputError(f"{path.name}: there is a header and no rows.")


def build(config: Config) -> Table:
    """Read the source into a table.

    Raises:
        InputError: as ``read`` and ``assemble``.
    """
    return assemble(read(config))


class ParquetNumbers:
    """Number columns of Parquet files, read in blocks as often as wanted; nothing of them is kept.

    Args:
        path: a file, or several with the same columns, to be read one after the other.
        columns: which columns, in this order; ``None`` is all of the first file's.

    Attributes:
        columns: their names.
        dtype: float32 if all columns are float32 in all files, otherwise float64.
        n_rows: of all files.

    Raises:
        InputError: no pyarrow, no such file, not Parquet, no rows, other columns than in the first file, or a column that is
            not there or holds no numbers.
    """

    def __init__(self, path: str | Path | Sequence[str | Path], columns: Sequence[str] | None = None) -> None:
        paths = [path] if isinstance(path, (str, Path)) else path
        self._files = [existing_file(str(one)) for one in paths]
        if not self._files:
            raise InputError("no Parquet file is named; pass the path of one, or of several.")
        opened = [_schema_and_rows(file) for file in self._files]
        every = opened[0][0].names
        self.columns = tuple(every if columns is None else columns)
        self.n_rows = sum(n_rows for _, n_rows in opened)
        if not (self.columns and self.n_rows):
            raise InputError(f"{self._files[0].name}: there are {self.n_rows} rows of {len(self.columns)} columns.")
        dtypes = []
        for file, (schema, _) in zip(self._files, opened, strict=True):
            if columns is None and set(schema.names) != set(every):
                other = min(set(schema.names) ^ set(every))
                raise InputError(
                    f"{file.name}: column '{other}' is not both here and in {self._files[0].name}; pass columns=[...]."
                )
            dtypes += [_number_type(schema, name, file) for name in self.columns]
        self.dtype = np.result_type(*dtypes)

    def blocks(self, *, finite: bool = False) -> Iterator[np.ndarray]:
        """Go through the rows once; the next block is read in a second thread while the caller works on one.

        Args:
            finite: refuse NaN and infinite values; missing ones are always refused.

        Yields:
            (d, b) columns of up to 65,536 rows, of ``dtype``, C-ordered; the caller may write into them.

        Raises:
            InputError: a value is missing or not finite, or a file is damaged; names file, column and rows.
        """
        rest = self._read(finite)
        with ThreadPoolExecutor(1) as reader:
            ahead = reader.submit(next, rest, None)
            while (block := ahead.result()) is not None:
                ahead = reader.submit(next, rest, None)
                yield block

    def _read(self, finite: bool) -> Iterator[np.ndarray]:
        import pyarrow
        import pyarrow.parquet

        for file in self._files:
            first_row = 0
            try:
                # Unless told otherwise, pyarrow gathers the whole file in memory while its blocks are read.
                with pyarrow.parquet.ParquetFile(file, buffer_size=_BUFFER, pre_buffer=False) as stream:
                    for batch in stream.iter_batches(_BLOCK_ROWS, columns=list(self.columns), use_threads=False):
                        block = np.empty((len(self.columns), batch.num_rows), self.dtype)
                        for values, name in zip(block, self.columns, strict=True):
                            _fill(values, batch.column(name), finite, f"{file.name}: column '{name}'", first_row)
                        first_row += batch.num_rows
                        yield block
            except (pyarrow.ArrowException, OSError) as error:
                raise _unreadable(file, error) from error


def _schema_and_rows(file: Path) -> tuple[pyarrow.Schema, int]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise _no_pyarrow() from error
    try:
        with pyarrow.parquet.ParquetFile(file) as stream:
            return stream.schema_arrow, stream.metadata.num_rows
    except (pyarrow.ArrowException, OSError) as error:
        raise _unreadable(file, error) from error


def _number_type(schema: pyarrow.Schema, name: str, file: Path) -> np.dtype:
    """Return the type to read a column as, if it is one of numbers."""
    from pyarrow import types

    if name not in schema.names:
        raise InputError(f"{file.name}: {unknown_name('column', name, schema.names)}")
    if schema.names.count(name) > 1:
        raise InputError(f"{file.name}: column name '{name}' stands {schema.names.count(name)} times; rename.")
    kind = schema.field(name).type
    if not (types.is_floating(kind) or types.is_integer(kind) or types.is_boolean(kind)):
        raise InputError(f"{file.name}: column '{name}' holds {kind}, not numbers; pass columns=[...] without it.")
    return np.dtype(np.float32 if types.is_float32(kind) else np.float64)


def _fill(values: np.ndarray, column: pyarrow.Array, finite: bool, what: str, first_row: int) -> None:
    """Write a column's numbers, of which the first stands in row ``first_row`` of its file, into ``values`` (b,)."""
    if column.null_count:
        missing = np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))
        raise InputError(
            f"{what} is missing in {rows_text(first_row + missing)}; drop those rows or fill the values in."
        )
    values[:] = column.to_numpy(zero_copy_only=False)
    if finite and not np.isfinite(values).all():
        bad = np.flatnonzero(~np.isfinite(values))
        raise InputError(
            f"{what} is NaN or infinite in {rows_text(first_row + bad)}; drop those rows or fill the values in."
        )


def _no_pyarrow() -> InputError:
    return InputError("Parquet files need the package pyarrow; install it (constraints.txt has the version).")


def _unreadable(file: Path, error: Exception) -> InputError:
    return InputError(f"{file.name}: cannot be read as Parquet ({str(error).splitlines()[0]}).")
