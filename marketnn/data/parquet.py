"""Read a Parquet file."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from marketnn.data.files import existing_file
from marketnn.data.table import Raw, Table, TableOptions, assemble
from marketnn.errors import InputError


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
        raise InputError(
            "data=parquet needs the package pyarrow; install it (constraints.txt has the version)."
        ) from error
    except Exception as error:  # pyarrow's errors share no base class but this one
        raise InputError(f"{path.name}: cannot be read as Parquet ({str(error).splitlines()[0]}).") from error
    named = [name for name in raw.index.names if name is not None]
    return Raw(raw.reset_index(named) if named else raw, config, path.name)


def build(config: Config) -> Table:
    """Read the source into a table.

    Raises:
        InputError: as ``read`` and ``assemble``.
    """
    return assemble(read(config))
