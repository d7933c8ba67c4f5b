"""What differs between two finished runs: keys of the configuration, versions, metrics, and cells of the tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from marketnn.errors import InputError
from marketnn.pipeline.parts import Parts
from marketnn.spelling import counted
from marketnn.tracking import Run
from marketnn.tracking.folder import FinishedRun, read_finished

N_STAGES = 2


@dataclass(frozen=True)
class Config:
    """Which runs are compared.

    Attributes:
        runs: the folders of the two, the second compared with the first.
    """

    runs: tuple[str, ...] = ()


def run(config: Config, parts: Parts, out: Run) -> None:
    """Compare two runs and list every difference.

    Raises:
        InputError: not two folders, or one that holds no finished run.
    """
    if len(config.runs) != 2:
        raise InputError(
            f"pipeline=diff compares two runs, not {len(config.runs)}; pass runs=[FOLDER_A,FOLDER_B], without spaces."
        )
    with out.stage("runs"):
        first, second = (read_finished(folder) for folder in config.runs)
    with out.stage("differences"):
        keys = value_differences(flattened(first.config), flattened(second.config), "key")
        versions = value_differences(first.versions, second.versions, "name")
        metrics = number_differences(first.metrics, second.metrics)
        tables = table_differences(first, second)
    changed = metrics[metrics["differs"]].drop(columns="differs")
    cells = tables[tables["differs"]].drop(columns="differs")
    out.headline(f"first: {first.folder}; second: {second.folder}. Differences are second - first.")
    out.headline(
        f"{counted(len(keys), 'key')} of the configuration, {counted(len(versions), 'version')}, "
        f"{len(changed)} of {counted(len(metrics), 'metric')} and {len(cells)} of {counted(len(tables), 'table')} differ."
    )
    for title, name, frame in (
        ("Configuration", "configuration", keys),
        ("Versions", "versions", versions),
        ("Metrics", "metrics", changed),
        ("Tables", "tables", cells),
    ):
        out.section(title, "" if len(frame) else "No difference.")
        out.table(name, frame, f"What differs: {name}", show=bool(len(frame)))
        if len(frame):
            out.printed(f"{name}\n{frame.to_string(index=False, na_rep='')}\n")
    out.metric(n_keys=len(keys), n_versions=len(versions), n_metrics=len(changed), n_tables=len(cells))


def flattened(settings: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """Write nested settings as ``pipeline.threshold`` -> value."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat |= flattened(value, f"{where}{key}.") if isinstance(value, Mapping) else {f"{where}{key}": value}
    return flat


def value_differences(first: Mapping[str, Any], second: Mapping[str, Any], name: str) -> pd.DataFrame:
    """List what is not the same in both, as text; an empty cell where only the other has it."""
    rows = [
        {name: key, "first": str(first.get(key, "")), "second": str(second.get(key, ""))}
        for key in dict.fromkeys([*first, *second])
        if key not in first or key not in second or first[key] != second[key]
    ]
    return pd.DataFrame(rows, columns=[name, "first", "second"])


def number_differences(first: Mapping[str, float], second: Mapping[str, float]) -> pd.DataFrame:
    """Compare named numbers: first, second, difference, relative (to the size of the first), and whether they differ at all.

    NaN stands where a run has no such number, and for a difference relative to zero.
    """
    names = sorted({*first, *second})
    frame = pd.DataFrame({"metric": names})
    for column, run in (("first", first), ("second", second)):
        frame[column] = [float(run.get(name, np.nan)) for name in names]
    frame["difference"] = frame["second"] - frame["first"]
    frame["relative"] = frame["difference"] / frame["first"].abs().replace(0.0, np.nan)
    frame["differs"] = [name not in first or name not in second or first[name] != second[name] for name in names]
    return frame


def table_differences(first: FinishedRun, second: FinishedRun) -> pd.DataFrame:
    """Compare tables of the same name, cell by cell: how many cells differ, and by how much at most.

    Returns:
        One row per table: rows_first, rows_second, cells (that differ), largest (absolute), largest_relative (to the first),
        note, differs. Tables of another shape or other columns are not compared by cell; the note says so.
    """
    rows = []
    for name in sorted({*first.tables, *second.tables}):
        a, b = first.tables.get(name), second.tables.get(name)
        row = {"table": name, "rows_first": None if a is None else len(a), "rows_second": None if b is None else len(b)}
        cells: dict[str, Any] = {"cells": np.nan, "largest": np.nan, "largest_relative": np.nan, "note": ""}
        if a is None or b is None:
            cells["note"] = f"only in the {'first' if b is None else 'second'}"
        elif list(a.columns) != list(b.columns):
            cells["note"] = "other columns"
        elif len(a) != len(b):
            cells["note"] = "another number of rows"
        else:
            cells |= _cell_differences(a, b)
        rows.append({**row, **cells, "differs": bool(cells["note"]) or cells["cells"] > 0})
    columns = ["table", "rows_first", "rows_second", "cells", "largest", "largest_relative", "note", "differs"]
    return pd.DataFrame(rows, columns=columns).astype({"differs": bool})


def _cell_differences(a: pd.DataFrame, b: pd.DataFrame) -> dict[str, float]:
    """Count the cells that differ and find the largest difference of numbers; two empty cells are the same."""
    both_empty = a.isna().to_numpy() & b.isna().to_numpy()
    unlike = (a.astype(object).to_numpy() != b.astype(object).to_numpy()) & ~both_empty
    numeric = [name for name in a if pd.api.types.is_numeric_dtype(a[name]) and pd.api.types.is_numeric_dtype(b[name])]
    x, y = a[numeric].to_numpy(dtype=float), b[numeric].to_numpy(dtype=float)
    size = np.abs(y - x)
    relative = np.divide(size, np.abs(x), out=np.full_like(size, np.nan), where=x != 0)
    return {"cells": int(unlike.sum()), "largest": _largest(size), "largest_relative": _largest(relative)}


def _largest(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.max()) if finite.size else np.nan
