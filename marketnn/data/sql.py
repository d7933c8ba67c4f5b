"""Read the rows of a SQL query through SQLAlchemy; the database is never changed, the password never shown."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pandas as pd

from marketnn.data.table import Raw, Table, TableOptions, assemble
from marketnn.errors import InputError
from marketnn.redact import redact

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine

_ONE_SELECT = re.compile(r"\s*(select|with)\b[^;]*;?\s*", re.IGNORECASE)
# Texts, quoted names and comments, in which any word may stand.
_ASIDE = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`|\[[^\]]*\]|--[^\n]*|/\*.*?\*/", re.DOTALL)
_WRITES = re.compile(r"\b(insert|update|delete|merge|into)\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Config(TableOptions):
    """A query against a database.

    Attributes:
        url: SQLAlchemy's URL, such as ``sqlite:///customers.db``; keep passwords in the environment:
            ``data.url='${oc.env:CUSTOMERS_DB}'``.
        query: one SELECT, without a semicolon inside.
    """

    url: str = field(repr=False)
    query: str


def read(config: Config) -> Raw:
    """Run the query in a read-only connection and read its rows.

    Raises:
        InputError: no driver, an unreachable database, a query that fails or is not one SELECT, and everything that
            ``assemble`` refuses.
    """
    try:
        import sqlalchemy
    except ImportError as error:
        raise InputError(
            "data=sql needs the package SQLAlchemy; install it (constraints.txt has the version)."
        ) from error
    if not _ONE_SELECT.fullmatch(config.query):
        raise InputError(f"data.query must be one SELECT, not '{config.query[:60]}'.")
    writes = _WRITES.search(_ASIDE.sub(" ", config.query))
    if writes:
        raise InputError(
            f"data.query must only read, and '{writes.group()}' writes; a column of that name goes in quotes."
        )
    shown = redact(config.url)
    try:
        url = sqlalchemy.make_url(config.url)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        raise InputError(f"data.url={shown} is not a database URL; write it like sqlite:///customers.db.") from None
    try:
        engine = _read_only_engine(url, shown)
        with engine.connect() as connection:
            if url.get_backend_name() == "postgresql":
                connection = connection.execution_options(postgresql_readonly=True)
            rows = connection.execute(sqlalchemy.text(config.query))
            raw = pd.DataFrame(rows.fetchall(), columns=list(rows.keys()))
        engine.dispose()
    except (ImportError, sqlalchemy.exc.NoSuchModuleError) as error:
        raise InputError(f"{shown}: the database driver is not installed ({error}).") from None
    except sqlalchemy.exc.SQLAlchemyError as error:
        original = getattr(error, "orig", None) or error  # SQLAlchemy's own text repeats the statement and a link
        first_line = redact(str(original).splitlines()[0]).rstrip(".")
        raise InputError(f"{shown}: the database answers: {first_line}; check data.url and data.query.") from None
    return Raw(raw, config, shown)


def build(config: Config) -> Table:
    """Read the source into a table.

    Raises:
        InputError: as ``read`` and ``assemble``.
    """
    return assemble(read(config))


def _read_only_engine(url: URL, shown: str) -> Engine:
    import sqlalchemy

    if url.get_backend_name() != "sqlite":
        return sqlalchemy.create_engine(url)
    if not (url.database and Path(url.database).is_file()):
        # SQLite would create the file and then report a missing table.
        raise InputError(f"{shown}: there is no database file '{url.database}'.")
    address = f"file:{quote(str(Path(url.database).resolve()))}?mode=ro"

    def connect() -> Any:
        return sqlite3.connect(address, uri=True)

    return sqlalchemy.create_engine("sqlite://", creator=connect, poolclass=sqlalchemy.pool.NullPool)
