"""Read the rows of a SQL query through SQLAlchemy; the password stays out of every message."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from marketnn.data.table import Table, TableOptions, assemble
from marketnn.errors import InputError

_READING = re.compile(r"\s*(select|with)\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Config(TableOptions):
    """A query against a database.

    Attributes:
        url: SQLAlchemy's URL, such as ``sqlite:///customers.db``; keep passwords in the environment:
            ``data.url='${oc.env:CUSTOMERS_DB}'``.
        query: one SELECT.
    """

    url: str = field(repr=False)
    query: str


def build(config: Config) -> Table:
    """Run the query and read its rows into a table; nothing is ever committed.

    Raises:
        InputError: no driver, an unreachable database, a query that fails or is no SELECT, and everything that ``assemble``
            refuses.
    """
    try:
        import sqlalchemy
    except ImportError as error:
        raise InputError("data=sql needs SQLAlchemy: pip install -c constraints.txt 'marketnn[sql]'.") from error
    if not _READING.match(config.query):
        raise InputError(f"data.query must be a SELECT, not '{config.query[:40]}'.")
    try:
        url = sqlalchemy.make_url(config.url)
    except sqlalchemy.exc.ArgumentError:
        raise InputError("data.url is not a database URL; write it like sqlite:///customers.db.") from None
    shown = url.render_as_string(hide_password=True)
    if url.get_backend_name() == "sqlite" and not (url.database and Path(url.database).is_file()):
        # SQLite would create the file and then report a missing table.
        raise InputError(f"{shown}: there is no database file '{url.database}'.")
    try:
        engine = sqlalchemy.create_engine(url)
        with engine.connect() as connection:
            rows = connection.execute(sqlalchemy.text(config.query))
            raw = pd.DataFrame(rows.fetchall(), columns=list(rows.keys()))
        engine.dispose()
    except (ImportError, sqlalchemy.exc.NoSuchModuleError) as error:
        raise InputError(f"{shown}: the database driver is not installed ({error}).") from None
    except sqlalchemy.exc.OperationalError as error:
        raise InputError(f"{shown}: {_first_line(error)}") from None
    except sqlalchemy.exc.SQLAlchemyError as error:
        raise InputError(f"{shown}: the query fails: {_first_line(error)}") from None
    return assemble(raw, config, source=shown)


def _first_line(error: Exception) -> str:
    """Keep the driver's first line: the rest of SQLAlchemy's message repeats the statement and a link."""
    original = getattr(error, "orig", None) or error
    return str(original).splitlines()[0].rstrip(".") + "; check data.url and data.query."
