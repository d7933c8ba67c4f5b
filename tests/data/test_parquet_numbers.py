"""Parquet files in blocks: what comes out is what was written, in order, and what is no number is named."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from marketnn.data import parquet
from marketnn.data.parquet import ParquetNumbers
from marketnn.errors import InputError


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_BLOCK_ROWS", 16)


def frame(n: int = 100, dtype: type = np.float64) -> pd.DataFrame:
    return pd.DataFrame(np.random.default_rng(n).normal(size=(n, 3)).astype(dtype), columns=["a", "b", "c"])


def written(path: Path, table: pd.DataFrame | pa.Table, group: int = 30) -> Path:
    table = pa.Table.from_pandas(table, preserve_index=False) if isinstance(table, pd.DataFrame) else table
    pq.write_table(table, path, row_group_size=group)
    return path


def read(numbers: ParquetNumbers, **settings: bool) -> np.ndarray:
    return np.concatenate(list(numbers.blocks(**settings)), axis=1).T


@pytest.mark.parametrize("group", [1, 7, 30, 1000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_blocks_are_the_rows_in_order_as_often_as_wanted(tmp_path: Path, group: int, dtype: type) -> None:
    table = frame(dtype=dtype)
    numbers = ParquetNumbers(written(tmp_path / "rows.parquet", table, group))
    assert (numbers.columns, numbers.dtype, numbers.n_rows) == (("a", "b", "c"), dtype, 100)
    for finite in (False, True):
        assert (read(numbers, finite=finite) == table.to_numpy()).all()
    for block in numbers.blocks():
        assert block.dtype == dtype
        assert block.shape[0] == 3
        assert 0 < block.shape[1] <= 16
        assert block.flags.c_contiguous
        assert block.flags.writeable


def test_files_follow_each_other_and_may_order_columns_otherwise(tmp_path: Path) -> None:
    one, two = frame(50, np.float32), frame(21, np.float32)
    paths = [written(tmp_path / "1.parquet", one), written(tmp_path / "2.parquet", two[["c", "a", "b"]])]
    numbers = ParquetNumbers([str(paths[0]), paths[1]])
    assert (numbers.n_rows, numbers.dtype) == (71, np.float32)
    assert (read(numbers) == pd.concat([one, two]).to_numpy()).all()


def test_whole_numbers_and_truth_values_become_float64(tmp_path: Path) -> None:
    table = pd.DataFrame({"whole": np.arange(40), "short": np.arange(40, dtype=np.int8), "yes": np.arange(40) % 3 == 0})
    table["single"] = np.float32(0.5)
    path = written(tmp_path / "rows.parquet", table)
    assert ParquetNumbers(path).dtype == np.float64
    assert (read(ParquetNumbers(path)) == table.to_numpy(dtype=np.float64)).all()
    assert ParquetNumbers(path, ["single"]).dtype == np.float32
    assert (read(ParquetNumbers(path, ["yes", "whole"])) == table[["yes", "whole"]].to_numpy(dtype=float)).all()


def test_a_missing_value_is_named(tmp_path: Path) -> None:
    rows = [None if row in (41, 44) else float(row) for row in range(60)]
    path = written(tmp_path / "second.parquet", pa.table({"a": np.arange(60.0), "b": pa.array(rows)}))
    first = written(tmp_path / "first.parquet", pa.table({"a": np.arange(20.0), "b": np.arange(20.0)}))
    with pytest.raises(
        InputError, match=r"^second.parquet: column 'b' is missing in 2 rows \(42, 45\); drop those rows"
    ):
        read(ParquetNumbers([first, path]))
    assert len(read(ParquetNumbers([first, path], columns=["a"]))) == 80


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_named_if_asked(tmp_path: Path, bad: float) -> None:
    table = frame(50)
    table.loc[33, "c"] = bad
    path = written(tmp_path / "rows.parquet", pa.table({name: table[name].to_numpy() for name in table}))
    with pytest.raises(InputError, match=r"^rows.parquet: column 'c' is NaN or infinite in row 34; drop"):
        read(ParquetNumbers(path), finite=True)
    assert np.isfinite(read(ParquetNumbers(path))).sum() == 149


def test_columns_that_cannot_be(tmp_path: Path) -> None:
    path = written(tmp_path / "rows.parquet", frame().assign(plan="gold", when=pd.Timestamp("2020-01-01")))
    for columns, message in (
        (None, "rows.parquet: column 'plan' holds (large_)?string, not numbers; pass columns="),
        (["a", "when"], "rows.parquet: column 'when' holds timestamp"),
        (["a", "plam"], "rows.parquet: unknown column 'plam'. Did you mean 'plan'"),
        ([], "there are 100 rows of 0 columns"),
    ):
        with pytest.raises(InputError, match=message):
            ParquetNumbers(path, columns)
    twice = pa.Table.from_arrays([pa.array([1.0]), pa.array([2.0])], names=["a", "a"])
    with pytest.raises(InputError, match="column name 'a' stands 2 times"):
        ParquetNumbers(written(tmp_path / "twice.parquet", twice))


def test_files_that_cannot_be(tmp_path: Path) -> None:
    path = written(tmp_path / "rows.parquet", frame())
    with pytest.raises(InputError, match=r"Did you mean 'rows.parquet'"):
        ParquetNumbers(tmp_path / "row.parquet")
    with pytest.raises(InputError, match="no Parquet file is named"):
        ParquetNumbers([])
    with pytest.raises(InputError, match=r"more.parquet: column 'd' is not both here and in rows.parquet"):
        ParquetNumbers([path, written(tmp_path / "more.parquet", frame().assign(d=1.0))])
    with pytest.raises(InputError, match=r"less.parquet: unknown column 'b'"):
        ParquetNumbers([path, written(tmp_path / "less.parquet", frame()[["a"]])], ["a", "b"])
    with pytest.raises(InputError, match="there are 0 rows of 3 columns"):
        ParquetNumbers(written(tmp_path / "empty.parquet", frame()[:0]))
    (tmp_path / "text.parquet").write_text("a,b\n1,2\n" * 10)
    with pytest.raises(InputError, match=r"text.parquet: cannot be read as Parquet"):
        ParquetNumbers(tmp_path / "text.parquet")


def test_damage_inside_a_file_is_an_input_error(tmp_path: Path) -> None:
    path = written(tmp_path / "rows.parquet", frame(5000), 5000)
    content = bytearray(path.read_bytes())
    content[4:4000] = bytes(3996)
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"rows.parquet: cannot be read as Parquet"):
        read(ParquetNumbers(path))


def test_a_reader_that_is_left_ends_its_thread(tmp_path: Path) -> None:
    before = threading.active_count()
    blocks = ParquetNumbers(written(tmp_path / "rows.parquet", frame())).blocks()
    next(blocks)
    assert threading.active_count() == before + 1
    blocks.close()
    assert threading.active_count() == before


@pytest.mark.parametrize("group", [20_000, 400_000])
def test_little_of_a_file_is_in_memory_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group: int) -> None:
    monkeypatch.setattr(parquet, "_BLOCK_ROWS", 4096)
    column = np.random.default_rng(0).normal(size=400_000)
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"a": column, "b": column}), path, row_group_size=group, use_dictionary=False)
    before = pa.total_allocated_bytes()
    held = [pa.total_allocated_bytes() - before for _ in ParquetNumbers(path).blocks()]
    assert len(held) > 90
    assert max(held) < path.stat().st_size / 3
