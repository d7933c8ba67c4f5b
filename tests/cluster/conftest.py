"""The real table that several clusterings are tried on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="session")
def retail_rfm(real_data: Path) -> np.ndarray:
    """Recency in days, frequency and monetary value of 4,338 customers of an online shop."""
    lines = pd.read_parquet(real_data / "online_retail.parquet")
    bought = (lines.Quantity > 0) & (lines.UnitPrice > 0) & ~lines.InvoiceNo.astype(str).str.startswith("C")
    lines = lines[lines.CustomerID.notna() & bought].assign(revenue=lambda t: t.Quantity * t.UnitPrice)
    by_customer = lines.groupby("CustomerID").agg(
        last=("InvoiceDate", "max"), frequency=("InvoiceNo", "nunique"), monetary=("revenue", "sum")
    )
    recency = (pd.Timestamp("2011-12-10") - by_customer["last"]).dt.days
    return np.column_stack([recency, by_customer.frequency, by_customer.monetary]).astype(float)
