"""Read a CSV file strictly: every row has the header's fields, or the message says which has not."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import pandas as pd

from marketnn.data.files import existing_file
from marketnn.data.table import Raw, Table, TableOptions, assemble
from marketnn.errors import InputError

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_SIGNATURES = {
    b"PK\x03\x04": "a zip or Excel file",
    b"PAR1": "a Parquet file (use data=parquet)",
    b"\x1f\x8b": "gzip data",
}


@dataclass(frozen=True, kw_only=True)
class Config(TableOptions):
    """A CSV file, plain or ``.gz``.

    Attributes:
        path: the file.
        separator: one character, or ``tab``.
        encoding: how the text is encoded; spreadsheets on Windows often write ``cp1252``.
    """

    path: str
    separator: str = ","
    encoding: str = "utf-8"


def read(config: Config) -> Raw:
    """Read the file.

    Raises:
        InputError: no file, a folder, empty, binary, another separator, ragged rows, duplicate or empty column names.
    """
    path = existing_file(config.path)
    separator = "\t" if config.separator in ("tab", "\\t") else config.separator
    if len(separator) != 1:
        raise InputError(f"data.separator='{config.separator}' is not one character; use ',', ';', '|' or tab.")
    _check_text(path, config.encoding)
    try:
        with _open(path, config.encoding) as stream:
            _check_shape(csv.reader(stream, delimiter=separator, skipinitialspace=True), path.name, separator)
        with _open(path, config.encoding) as stream:
            raw = pd.read_csv(
                stream, sep=separator, dtype=str, keep_default_na=False, na_filter=False, skipinitialspace=True
            )
    except UnicodeError as error:
        where = f"byte {error.start:,}" if isinstance(error, UnicodeDecodeError) else "the file"
        raise InputError(
            f"{path.name}: {where} is not {config.encoding} text; save the file as UTF-8, or pass data.encoding=cp1252."
        ) from error
    except LookupError as error:
        raise InputError(f"data.encoding={config.encoding} is unknown; use utf-8, cp1252 or latin-1.") from error
    except (
        csv.Error,
        pd.errors.ParserError,
        pd.errors.EmptyDataError,
        EOFError,
        gzip.BadGzipFile,
        zlib.error,
    ) as error:
        raise InputError(f"{path.name}: cannot be read as CSV: {error}.") from error
    return Raw(raw, config, path.name)


def build(config: Config) -> Table:
    """Read the source into a table.

    Raises:
        InputError: as ``read`` and ``assemble``.
    """
    return assemble(read(config))


@contextmanager
def _open(path: Path, encoding: str) -> Iterator[TextIO]:
    if encoding.lower() in ("utf-8", "utf8"):
        encoding = "utf-8-sig"  # spreadsheets begin UTF-8 with a mark
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding=encoding, newline="") as stream:
        yield stream


def _check_text(path: Path, encoding: str) -> None:
    with path.open("rb") as stream:
        start = stream.read(4096)
    if not start.strip():
        raise InputError(f"{path.name}: the file is empty.")
    if path.suffix == ".gz":
        return
    for signature, what in _SIGNATURES.items():
        if start.startswith(signature):
            raise InputError(f"{path.name}: this is {what}, not CSV text; export it as CSV.")
    if b"\x00" in start and not encoding.lower().startswith(("utf-16", "utf_16", "utf-32", "utf_32")):
        raise InputError(f"{path.name}: the file is binary (byte {start.index(0):,} is zero); export it as CSV.")


def _check_shape(rows: Iterator[list[str]], name: str, separator: str) -> None:
    """Compare every row's number of fields with the header's; blank lines do not count."""
    header = next((row for row in rows if row), [])
    if not header:
        raise InputError(f"{name}: the file is empty.")
    if len(header) == 1:
        line = header[0]
        for other, word in SEPARATORS.items():
            if other != separator and other in line:
                given = "tab" if other == "\t" else f"'{other}'"
                raise InputError(
                    f"{name}: the header is one field under '{separator}' but holds {line.count(other)} of {word} signs; "
                    f'pass "data.separator={given}".'
                )
    empty = [place + 1 for place, field in enumerate(header) if not field.strip()]
    if empty:
        raise InputError(f"{name}: column {empty[0]} has no name in the header; name it.")
    header = [field.strip() for field in header]
    twice = sorted({field for field in header if header.count(field) > 1})
    if twice:
        places = [place + 1 for place, field in enumerate(header) if field == twice[0]]
        raise InputError(f"{name}: column name '{twice[0]}' stands {len(places)} times (columns {places}); rename.")
    number = 0
    for row in rows:
        if not row:
            continue
        number += 1
        if len(row) != len(header):
            raise InputError(
                f"{name}: row {number} (line {rows.line_num}) has {len(row)} fields, the header has {len(header)}: "  # type: ignore[attr-defined]
                f"a separator or a quote is missing or too many."
            )
