"""Recency, frequency and monetary value of each customer, from raw order lines (the input of both papers' segmentations).

    order lines (CSV, Parquet or SQL) -> lines that are sales -> one row per customer

What is left out is counted, and said in the table's notes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePath

import numpy as np
import pandas as pd

from marketnn import registry
from marketnn.data.columns import type_columns
from marketnn.data.table import Raw, Table, TableOptions, assemble
from marketnn.errors import InputError, rows_text, unknown_name
from marketnn.spelling import counted

RECENCY, FREQUENCY, MONETARY = "recency_days", "frequency", "monetary"


@dataclass(frozen=True, kw_only=True)
class Config(TableOptions):
    """Order lines, and which of their columns is what; the other keys of a table speak of the customers' table.

    Attributes:
        path: a CSV file, or a Parquet file named ``.parquet``.
        separator, encoding: as in ``data=csv``.
        url, query: as in ``data=sql``, instead of ``path``.
        customer: who bought; lines without a customer are left out.
        date: when; ISO 8601, unless ``date_format`` says otherwise; times with an offset count in UTC.
        invoice: which order the line belongs to.
        quantity: pieces; ``None`` where ``price`` is the line's revenue already.
        price: of a piece.
        cancelled: invoices that begin with it, such as ``C``, are cancellations, left out; ``None`` where there are none.
        date_format: of ``date`` as in Python's ``strptime``, such as ``%d/%m/%Y %H:%M``.
        reference_day: recency counts back from this day (ISO); lines of that day and later are left out. ``None`` is the day
            after the last order.
    """

    path: str | None = None
    separator: str = ","
    encoding: str = "utf-8"
    url: str | None = field(default=None, repr=False)
    query: str | None = None
    customer: str = "customer"
    date: str = "date"
    invoice: str = "invoice"
    quantity: str | None = "quantity"
    price: str = "price"
    cancelled: str | None = None
    date_format: str | None = None
    reference_day: str | None = None


def read(config: Config) -> Raw:
    """Read the order lines and sum them up by customer.

    Raises:
        InputError: no source or two, a column that is not there, a date or a number that cannot be read (with its row), no
            line left.
    """
    raw = _order_lines(config)
    lines, dropped = sales(raw.frame, config, source=raw.source)
    day = _reference_day(lines["date"], config.reference_day)
    late = lines["date"] >= day
    dropped["on the reference day or later"] = int(late.sum())
    lines = lines[~late]
    if lines.empty:
        raise InputError(
            f"{raw.source}: none of the {counted(len(raw.frame), 'order line')} is left ({_counts(dropped)}); "
            f"check data.customer, data.cancelled and data.reference_day."
        )
    table = recency_frequency_monetary(lines, day).rename_axis(config.customer).reset_index()
    note = (
        f"{len(lines):,} of {counted(len(raw.frame), 'order line')} were used ({_counts(dropped) or 'none left out'}): "
        f"{counted(len(table), 'customer')}, revenue {lines['revenue'].sum():,.2f}, recency in days before {day:%Y-%m-%d}."
    )
    options = replace(config, id=tuple(dict.fromkeys((config.customer, *config.id))))
    return Raw(table, options, raw.source, (*raw.notes, note))


def build(config: Config) -> Table:
    """Read the source into a table, a row per customer.

    Raises:
        InputError: as ``read`` and ``assemble``.
    """
    return assemble(read(config))


def recency_frequency_monetary(lines: pd.DataFrame, reference_day: pd.Timestamp) -> pd.DataFrame:
    """Sum order lines up by customer.

    Args:
        lines: ``customer``, ``date``, ``invoice``, ``revenue``, as ``sales`` returns them.
        reference_day: recency counts back from it.

    Returns:
        Indexed by customer: ``recency_days`` since the last order, ``frequency`` (different invoices) and ``monetary`` (sum of
        the revenue), all float64.
    """
    by_customer = lines.groupby("customer", sort=True)
    recency = (reference_day - by_customer["date"].max().dt.normalize()).dt.days
    frequency = by_customer["invoice"].nunique()
    monetary = by_customer["revenue"].sum()
    return pd.DataFrame({RECENCY: recency, FREQUENCY: frequency, MONETARY: monetary}, dtype=float)


def sales(
    frame: pd.DataFrame, config: Config, *, source: str = "the order lines"
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Keep the lines that are sales to a known customer.

    Args:
        frame: order lines, text or typed.
        config: which column is what.
        source: for messages.

    Returns:
        ``customer, date, invoice, revenue`` of the lines kept, and why -> how many lines were left out, each counted once under
        the first reason that fits.

    Raises:
        InputError: a column is not there, an invoice is missing, or a date or a number cannot be read; names column, row,
            value and repair.
    """
    for key in ("customer", "date", "invoice", "quantity", "price"):
        name = getattr(config, key)
        if name is not None and name not in frame.columns:
            raise InputError(f"{source}: {unknown_name(f'column in data.{key}', name, map(str, frame.columns))}")
    names = [config.customer, config.invoice]
    text = type_columns(frame[names], source=source, as_text=names)
    price = _numbers(frame[config.price], source)
    quantity = pd.Series(1.0, frame.index) if config.quantity is None else _numbers(frame[config.quantity], source)
    date = _dates(frame[config.date], config.date_format, source)
    customer, invoice = text[config.customer], text[config.invoice]
    _refuse(invoice.isna() & customer.notna(), frame[config.invoice], "has no invoice number", "complete it", source)
    cancelled = invoice.fillna("").astype(str).str.startswith(config.cancelled) if config.cancelled else invoice.isna()
    reasons = {
        "without a customer": customer.isna(),
        "cancelled": cancelled,
        "with a quantity of 0 or less": quantity <= 0,
        "with a price of 0 or less": price <= 0,
    }
    kept = pd.Series(True, frame.index)
    dropped = {}
    for reason, fits in reasons.items():
        dropped[reason] = int((kept & fits).sum())
        kept &= ~fits
    lines = pd.DataFrame({"customer": customer, "date": date, "invoice": invoice, "revenue": quantity * price})
    return lines[kept], dropped


def _order_lines(config: Config) -> Raw:
    """Read the lines by the source that the configuration names."""
    if (config.path is None) == (config.url is None):
        raise InputError(
            "data=rfm reads one source of order lines; pass data.path=orders.csv, or data.url and data.query."
        )
    if config.url is not None:
        settings = {"name": "sql", "url": config.url, "query": config.query}
    elif PurePath(str(config.path)).suffix == ".parquet":
        settings = {"name": "parquet", "path": config.path}
    else:
        settings = {"name": "csv", "path": config.path, "separator": config.separator, "encoding": config.encoding}
    module, source = registry.configure("data", settings)
    raw: Raw = module.read(source)
    return replace(raw, frame=raw.frame.set_axis([str(name).strip() for name in raw.frame.columns], axis="columns"))


def _numbers(values: pd.Series, source: str) -> pd.Series:
    number = pd.to_numeric(values, errors="coerce").astype(float)
    _refuse(~np.isfinite(number), values, "is no number", "write it like 1234.5", source)
    return number


def _dates(values: pd.Series, date_format: str | None, source: str) -> pd.Series:
    repair = "write it like 2011-12-09 12:50, or pass data.date_format=..., such as '%d/%m/%Y %H:%M'"
    if pd.api.types.is_numeric_dtype(values.dtype):
        _refuse(pd.Series(True, values.index), values, "is no date", repair, source)
    try:
        date = pd.to_datetime(values, format=date_format or "ISO8601", errors="coerce", utc=True)
    except ValueError as error:
        raise InputError(f"data.date_format={date_format} cannot be used: {error}.") from error
    _refuse(date.isna(), values, "is no date", repair, source)
    return date.dt.tz_localize(None)


def _refuse(wrong: pd.Series, values: pd.Series, what: str, repair: str, source: str) -> None:
    """Raise an error that names the rows in which a column is wrong, and the first value."""
    if wrong.any():
        first = values[wrong].iloc[0]
        shown = "an empty value" if pd.isna(first) or not str(first).strip() else f"'{first}'"
        raise InputError(
            f"{source}: column '{values.name}' {what} in {rows_text(wrong.to_numpy())}: {shown}; {repair}."
        )


def _reference_day(dates: pd.Series, given: str | None) -> pd.Timestamp:
    if given is None:
        return dates.max() if dates.empty else dates.max().normalize() + pd.Timedelta(days=1)
    day = pd.to_datetime(given, format="ISO8601", errors="coerce", utc=True)
    if pd.isna(day):
        raise InputError(f"data.reference_day={given} is no day; write it like 2011-12-10.")
    return day.tz_localize(None).normalize()


def _counts(dropped: Mapping[str, int]) -> str:
    """Say how many lines were left out and why."""
    return ", ".join(f"{count:,} {reason}" for reason, count in dropped.items() if count)
