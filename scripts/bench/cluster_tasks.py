"""What the clustering benchmark clusters, and the sums by which results are compared, computed here for everybody.

Shapes: n rows, d columns, k clusters.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from bench.case import Missing

from marketnn.seed import child_seed, numpy_generator

_RETAIL = "online_retail.parquet"
_BLOCK_ROWS = 20_000


@dataclass(frozen=True)
class Start:
    """Rows and the centres that every contender begins with.

    Attributes:
        x: (n, d) float32.
        centres: (k, d) float32.
    """

    x: np.ndarray
    centres: np.ndarray


def blob_centres(clusters: int, columns: int, seed: int) -> np.ndarray:
    """Draw centres (k, d) uniform in the unit cube."""
    return numpy_generator(child_seed(seed, "centres")).random((clusters, columns), dtype=np.float32)


def rows_about(centres: np.ndarray, rows: int, spread: float, generator: np.random.Generator) -> np.ndarray:
    """Draw float32 rows (n, d), each normal with standard deviation ``spread`` about one of the centres."""
    noise = generator.standard_normal((rows, centres.shape[1]), dtype=np.float32)
    return centres[generator.integers(len(centres), size=rows)] + np.float32(spread) * noise


def blobs(rows: int, columns: int, clusters: int, spread: float, seed: int) -> np.ndarray:
    """Draw rows (n, d) about random centres."""
    return rows_about(blob_centres(clusters, columns, seed), rows, spread, numpy_generator(seed))


def halfway(centres: np.ndarray) -> np.ndarray:
    """Move centres halfway to their mean: a start from which every Lloyd takes the same way."""
    return (centres + centres.mean(axis=0)) / 2


def lloyd_start(rows: int, columns: int, clusters: int, seed: int) -> Start:
    """Draw blobs that overlap enough to keep Lloyd's rounds busy, and a start on the way to them.

    From random rows the rounds pass by saddles, where float32's rounding of a sum decides the way: peers that add in
    float32 then differ from float64 in the sixth digit, and there is no same result to compare the times of.
    """
    centres = blob_centres(clusters, columns, seed)
    return Start(rows_about(centres, rows, 0.18 * columns**0.5, numpy_generator(seed)), halfway(centres))


def sse(x: np.ndarray, centres: np.ndarray) -> float:
    """Sum the squared distances of the rows to their nearest centres in float64."""
    return float(sum(block.sum() for block in _nearest_squared(x, centres)))


def distance_sum(x: np.ndarray, centres: np.ndarray) -> float:
    """Sum the distances of the rows to their nearest centres in float64: the loss of K-medoids."""
    return float(sum(np.sqrt(block).sum() for block in _nearest_squared(x, centres)))


def _nearest_squared(x: np.ndarray, centres: np.ndarray) -> list[np.ndarray]:
    """Return each block's squared distances, about the mean of the centres, so that the expanded squares keep their digits."""
    offset = centres.mean(axis=0, dtype=np.float64)
    c_kd = centres - offset
    found = []
    for start in range(0, len(x), _BLOCK_ROWS):
        x_bd = x[start : start + _BLOCK_ROWS] - offset
        nearest = ((c_kd**2).sum(1) - 2 * x_bd @ c_kd.T).min(axis=1) + (x_bd**2).sum(1)
        found.append(np.maximum(nearest, 0))
    return found


def retail_rfm() -> np.ndarray:
    """Build recency (days), frequency (invoices) and monetary value (4,338, 3) of the online retail customers.

    Raises:
        Missing: the folder that ``MARKETNN_DATA`` names does not hold the table.
    """
    path = Path(os.environ.get("MARKETNN_DATA", "")) / _RETAIL
    if not path.is_file():
        raise Missing(f"{_RETAIL} in the folder that MARKETNN_DATA names")
    lines = pd.read_parquet(path).dropna(subset="CustomerID")
    lines = lines[
        (lines["Quantity"] > 0) & (lines["UnitPrice"] > 0) & ~lines["InvoiceNo"].astype(str).str.startswith("C")
    ]
    lines = lines.assign(
        spent=lines["Quantity"] * lines["UnitPrice"], date=pd.to_datetime(lines["InvoiceDate"]), id=lines["CustomerID"]
    )
    customers = lines.groupby("id")
    rfm = pd.DataFrame(
        {
            "recency": (pd.Timestamp("2011-12-10") - customers["date"].max()).dt.days,
            "frequency": customers["InvoiceNo"].nunique(),
            "monetary": customers["spent"].sum(),
        }
    )
    return rfm.to_numpy(np.float64)


def min_max(x: np.ndarray) -> np.ndarray:
    """Scale every column to [0, 1]."""
    return (x - x.min(axis=0)) / np.ptp(x, axis=0)
