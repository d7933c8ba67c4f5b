"""RFM by hand on eleven order lines, against pandas on random ones, and on real ones; what cannot be read is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketnn import registry
from marketnn.data import Role
from marketnn.data.rfm import Config, recency_frequency_monetary, sales
from marketnn.errors import InputError

LINES = """customer,date,invoice,quantity,price
anna,2024-01-01 09:00,1,2,5.00
anna,2024-01-01 09:00,1,1,1.50
anna,2024-01-20 18:30,2,3,2.00
ben,2024-01-30 23:59,3,1,10.00
ben,2024-01-31 00:01,C4,-1,10.00
,2024-01-30 12:00,5,1,1.00
cleo,2024-01-10 12:00,6,0,1.00
cleo,2024-01-10 12:00,6,4,0.00
cleo,2024-01-10 12:00,6,4,0.25
ben,2024-01-15 10:00,7,2,1.00
dora,2024-02-09 10:00,C8,-2,1.00
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "orders.csv"
    path.write_text(LINES)
    return path


def build(path: Path, **options: Any) -> Any:
    return registry.build("data", {"name": "rfm", "path": str(path), "cancelled": "C", **options})


def test_eleven_lines_by_hand(file: Path) -> None:
    table = build(file)
    expected = pd.DataFrame(
        {
            "customer": ["anna", "ben", "cleo"],
            "recency_days": [11.0, 1.0, 21.0],
            "frequency": [2.0, 2.0, 1.0],
            "monetary": [17.5, 12.0, 1.0],
        }
    )
    pd.testing.assert_frame_equal(table.frame, expected, check_dtype=False)
    assert table.schema.names(Role.ID) == ["customer"]
    assert table.schema.features == ["recency_days", "frequency", "monetary"]
    (note,) = table.notes
    assert note == (
        "6 of 11 order lines were used (1 without a customer, 2 cancelled, 1 with a quantity of 0 or less, "
        "1 with a price of 0 or less): 3 customers, revenue 30.50, recency in days before 2024-01-31."
    )


def test_an_earlier_reference_day_leaves_later_lines_out(file: Path) -> None:
    table = build(file, reference_day="2024-01-20")
    assert table.frame.set_index("customer")["recency_days"].to_dict() == {"anna": 19, "ben": 5, "cleo": 10}
    assert "2 on the reference day or later" in table.notes[0]


def test_a_line_may_hold_its_revenue(file: Path) -> None:
    frame = pd.read_csv(file, dtype=str, keep_default_na=False)
    lines, dropped = sales(frame, Config(quantity=None, cancelled="C"))
    assert lines.groupby("customer")["revenue"].sum().to_dict() == {"anna": 8.5, "ben": 11, "cleo": 1.25}
    assert dropped["with a quantity of 0 or less"] == 0


def test_parquet_and_sql_say_the_same(file: Path, tmp_path: Path) -> None:
    sqlalchemy = pytest.importorskip("sqlalchemy")
    frame = pd.read_csv(file, parse_dates=["date"])
    frame.to_parquet(tmp_path / "orders.parquet")
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path}/orders.db")
    frame.to_sql("orders", engine)
    engine.dispose()
    expected = build(file).frame
    pd.testing.assert_frame_equal(build(tmp_path / "orders.parquet").frame, expected)
    url = {"name": "rfm", "cancelled": "C", "url": f"sqlite:///{tmp_path}/orders.db", "query": "select * from orders"}
    pd.testing.assert_frame_equal(registry.build("data", url).frame, expected)


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 90), st.integers(0, 5), st.floats(0.01, 100)),
        min_size=1,
        max_size=30,
    )
)
@settings(deadline=None, max_examples=40)
def test_sums_and_counts_are_kept(drawn: list[tuple[int, int, int, float]]) -> None:
    lines = pd.DataFrame(drawn, columns=["customer", "day", "invoice", "revenue"])
    lines["date"] = pd.Timestamp("2024-01-01 13:00") + pd.to_timedelta(lines["day"], unit="D")
    table = recency_frequency_monetary(lines, pd.Timestamp("2024-05-01"))
    assert table["monetary"].sum() == pytest.approx(lines["revenue"].sum())
    assert table["frequency"].sum() == len(lines.drop_duplicates(["customer", "invoice"]))
    assert table["recency_days"].min() == 121 - lines["day"].max()
    assert set(table.index) == set(lines["customer"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("anna,2024-01-20 18:30", "anna,20/01/2024"),
            r"column 'date' is no date in row 3: '20/01/2024'; write it like",
        ),
        (("2,3,2.00", "2,three,2.00"), r"column 'quantity' is no number in row 3: 'three'; write it like 1234.5"),
        (("2,3,2.00", "2,3,"), r"column 'price' is no number in row 3: an empty value"),
        (("2,3,2.00", "2,3,inf"), r"column 'price' is no number in row 3: 'inf'"),
        (("18:30,2,3", "18:30,,3"), r"column 'invoice' has no invoice number in row 3: an empty value; complete it"),
    ],
)
def test_what_cannot_be_read_is_named(file: Path, change: tuple[str, str], message: str) -> None:
    file.write_text(LINES.replace(*change))
    with pytest.raises(InputError, match=message):
        build(file)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"customer": "custmer"}, "unknown column in data.customer 'custmer'. Did you mean 'customer'"),
        ({"reference_day": "yesterday"}, "data.reference_day=yesterday is no day"),
        ({"reference_day": "2020-01-01"}, "none of the 11 order lines is left"),
        ({"date": "price"}, "column 'price' is no date"),
        ({"url": "sqlite://", "query": "select 1"}, "data=rfm reads one source"),
    ],
)
def test_what_cannot_be_done_is_refused(file: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(file, **options)


def test_other_dates_need_their_format(file: Path) -> None:
    frame = pd.read_csv(file, dtype=str, keep_default_na=False)
    frame["date"] = pd.to_datetime(frame["date"]).dt.strftime("%d.%m.%Y")
    frame.to_csv(file, index=False)
    assert build(file, date_format="%d.%m.%Y").frame["recency_days"].tolist() == [11, 1, 21]


def test_real_order_lines(real_data: Path) -> None:
    roles = {"customer": "CustomerID", "date": "InvoiceDate", "invoice": "InvoiceNo", "quantity": "Quantity"}
    table = build(real_data / "online_retail.parquet", **roles, price="UnitPrice")
    assert len(table.frame) == 4338
    assert table.frame["monetary"].sum() == pytest.approx(8_911_407.904)
    assert table.frame["frequency"].sum() == 18_532
    assert table.frame["CustomerID"].iloc[0] == "12346"
    np.testing.assert_array_equal(table.frame["recency_days"].agg(["min", "max"]), [1, 374])
    assert table.notes[0].startswith("397,884 of 541,909 order lines were used (135,080 without a customer")
    assert table.notes[0].endswith("revenue 8,911,407.90, recency in days before 2011-12-10.")
