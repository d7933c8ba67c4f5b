"""Read a Parquet file."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from marketnn.data.files import existing_file
from marketnn.data.table import Table, TableOptions, assemble
from marketnn.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Config(TableOptions):
    """A Parquet file.

    Attributes:
        path: the file.
    """

    path: str


def build(config: Config) -> Table:
    """Read the file into a table.

    Raises:
        InputError: no file, not Parquet, the ``parquet`` extra is missing, and everything that ``assemble`` refuses.
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
    return assemble(raw.reset_index(named) if named else raw, config, source=path.name)
