"""What a case gave, in one JSON file per case beside the page, so that a run of a few cases leaves the others' results alone.

A file holds what was run (text, settings, seed, threads), on what (machine, versions) and every run's measures; no date and
no path, so that it changes only with what it reports. Measures that are not finite are strings: JSON has no infinity.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.case import Case, Measures, Options
from bench.measure import Record


@dataclass(frozen=True)
class Section:
    """A case and what its measurement gave.

    Attributes:
        case: the comparison.
        seed: of the data and the first weights.
        threads: cores of every contender.
        quick: whether sizes were scaled down; nothing is judged then.
        stated: what each library said of its threads.
        machine: in one line.
        versions: distribution -> version, ``None`` for one that was not installed.
        records: contender -> what it gave.
    """

    case: Case
    seed: int
    threads: int
    quick: bool
    stated: str
    machine: str
    versions: Mapping[str, str | None]
    records: Mapping[str, Record]


def save(path: Path, section: Section) -> None:
    """Write a section's file."""
    rows = [
        {
            "name": contender.name,
            "settings": contender.settings,
            "problem": section.records[contender.name].problem,
            "runs": [_written(run) for run in section.records[contender.name].runs],
        }
        for contender in section.case.contenders
    ]
    content = {
        "text": section.case.text,
        "seed": section.seed,
        "threads": section.threads,
        "quick": section.quick,
        "stated": section.stated,
        "machine": section.machine,
        "versions": dict(section.versions),
        "contenders": rows,
    }
    write_atomically(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def load(path: Path, case: Case) -> Section:
    """Read a section's file: text and settings are those of the measurement, columns, check and goals today's.

    A contender that the case has got since then is a row that says so; one that it lost is left out.
    """
    content = json.loads(path.read_text(encoding="utf-8"))
    rows = {row["name"]: row for row in content.pop("contenders")}
    contenders = tuple(
        replace(contender, settings=rows[contender.name]["settings"]) if contender.name in rows else contender
        for contender in case.contenders
    )
    records = {contender.name: _record(rows.get(contender.name)) for contender in contenders}
    return Section(replace(case, text=content.pop("text"), contenders=contenders), records=records, **content)


def stored(engine: str, module: str, output: Path) -> tuple[list[Section], list[str]]:
    """Read what was measured of an engine.

    Args:
        engine: name of the folder.
        module: where its ``cases(options)`` is.
        output: the folder above.

    Returns:
        A section for every measured case, in the engine's order, and the names of the other cases.
    """
    cases = importlib.import_module(module).cases(Options(seed=0, threads=1, quick=False, output=str(output)))
    files = {case.name: output / engine / f"{case.name}.json" for case in cases}
    sections = [load(files[case.name], case) for case in cases if files[case.name].is_file()]
    return sections, [name for name, file in files.items() if not file.is_file()]


def write_atomically(path: Path, text: str) -> None:
    """Write a text file so that a reader, or a crash, never meets half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def _written(run: Measures) -> dict[str, float | str]:
    return {name: value if math.isfinite(value) else str(value) for name, value in run.items()}


def _record(row: dict[str, Any] | None) -> Record:
    if row is None:
        return Record([], "not measured yet")
    return Record([{name: float(value) for name, value in run.items()} for run in row["runs"]], row["problem"])
