"""Contenders for a table larger than memory: rounds of Lloyd that read a Parquet file, beside the same rounds in memory.

``python -m bench.cluster_stream FILE ROWS SEED`` writes the file, in a process of its own: what it allocates is not the
reader's. The rows are blocks of blobs, every block about the same centres.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from bench.case import Contender, Measures, Run
from bench.cluster_tasks import blob_centres, halfway, rows_about

from marketnn.seed import numpy_generator

PER_ROW = "ns per row and round"
SSE_PER_ROW = "SSE per row"
COLUMNS, CLUSTERS, ROUNDS = 8, 6, 5

_BLOCK_ROWS = 500_000
_SPREAD = 0.5


def blocks(rows: int, seed: int) -> Iterator[np.ndarray]:
    """Draw float32 rows block by block."""
    centres, generator = blob_centres(CLUSTERS, COLUMNS, seed), numpy_generator(seed)
    for start in range(0, rows, _BLOCK_ROWS):
        yield rows_about(centres, min(_BLOCK_ROWS, rows - start), _SPREAD, generator)


def streamed(name: str, rows: int, seed: int) -> Contender:
    """Fit a file; it lies in a temporary folder that goes when the process ends."""

    def prepare() -> Run:
        from marketnn.cluster import KMeans

        folder = tempfile.TemporaryDirectory()
        path = Path(folder.name) / "rows.parquet"
        subprocess.run([sys.executable, "-m", "bench.cluster_stream", str(path), str(rows), str(seed)], check=True)

        def run() -> Measures:
            path = Path(folder.name) / "rows.parquet"  # by the folder, which is deleted once nothing refers to it
            return _timed(rows, seed, lambda init: KMeans(CLUSTERS, **_settings(init)).fit_parquet(path))

        return run

    return Contender(name, f"float32, KMeans.fit_parquet, {rows:,} rows", prepare, requires=("pyarrow",), warm_up=False)


def in_memory(name: str, rows: int, seed: int) -> Contender:
    """Fit so many rows of the same kind in memory."""

    def prepare() -> Run:
        from marketnn.cluster import KMeans

        x = np.concatenate(list(blocks(rows, seed)))
        return lambda: _timed(rows, seed, lambda init: KMeans(CLUSTERS, **_settings(init)).fit(x))

    return Contender(name, f"float32, KMeans.fit, {rows:,} rows", prepare)


def write(path: Path, rows: int, seed: int) -> None:
    """Write the rows as Parquet, a row group per block, without compression, which random digits do not take."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(f"x{column}", pa.float32()) for column in range(COLUMNS)])
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
        for block in blocks(rows, seed):
            writer.write_table(pa.table(list(np.ascontiguousarray(block.T)), schema=schema))


def _settings(init: np.ndarray) -> dict[str, Any]:
    return {"init": init, "n_init": 1, "max_iter": ROUNDS, "tol": 0}


def _timed(rows: int, seed: int, fit: Callable[[np.ndarray], Any]) -> Measures:
    start = halfway(blob_centres(CLUSTERS, COLUMNS, seed))
    began = time.perf_counter()
    fitted = fit(start)
    spent = time.perf_counter() - began
    if fitted.n_iter_ != ROUNDS:
        raise RuntimeError(f"{fitted.n_iter_} rounds were taken instead of {ROUNDS}")
    return {PER_ROW: 1e9 * spent / rows / ROUNDS, SSE_PER_ROW: fitted.inertia_ / rows}


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
