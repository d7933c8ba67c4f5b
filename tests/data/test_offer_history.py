"""Offer histories: joined to their customers row by row, made up as described, refused with the repair."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from marketnn.data import Raw, Table, TableOptions, assemble
from marketnn.data.offer_history import ACCEPTANCE, PRICES, draw_offers, read_offers
from marketnn.errors import InputError


def customers(n: int = 400, *, with_id: bool = True) -> Table:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"age": rng.normal(40, 10, n), "plan": rng.choice(["a", "b", "c"], n)})
    if with_id:
        frame.insert(0, "customer_id", [f"C{place:04d}" for place in range(n)])
    return assemble(Raw(frame, TableOptions(), "customers.csv")).ready()


def written(folder: Path, rows: str, header: str = "customer_id,offer,accepted,revenue") -> str:
    file = folder / "offers.csv"
    file.write_text(f"{header}\n{rows}\n", encoding="utf-8")
    return str(file)


def test_a_file_is_joined_by_the_customers_id(tmp_path: Path) -> None:
    table = customers()
    path = written(tmp_path, "C0007,sms pack,yes,10\nC0003,data pack,no,20\nC0007,data pack,no,30\nX,data pack,no,1")
    history = read_offers(path, table)
    assert history.customer.tolist() == [7, 3, 7]
    assert history.unknown == 1
    assert not history.made_up
    assert history.chance is None
    assert history.revenue == {"data pack": 25.0, "sms pack": 10.0}
    joined = history.table.frame
    np.testing.assert_array_equal(joined["age"], table.frame["age"].iloc[[7, 3, 7]])
    assert joined["offer"].tolist() == ["sms pack", "data pack", "data pack"]
    assert history.table.binary_target()[0].tolist() == [1, 0, 0]
    assert history.table.schema.features == ["age", "plan", "offer"]


def test_customers_without_an_id_are_joined_by_row(tmp_path: Path) -> None:
    path = written(tmp_path, "1,a,1,5\n400,b,0,6", "row,offer,accepted,revenue")
    assert read_offers(path, customers(with_id=False)).customer.tolist() == [0, 399]


def test_parquet_is_read_too(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"customer_id": ["C0001", "C0002"], "offer": ["a", "b"], "accepted": ["yes", "no"], "revenue": [3.0, 4.0]}
    )
    frame.to_parquet(tmp_path / "offers.parquet")
    assert read_offers(str(tmp_path / "offers.parquet"), customers()).revenue == {"a": 3.0, "b": 4.0}


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        ("C1,a,yes", "customer_id,offer,accepted", r"offers\.csv: column 'revenue' is missing"),
        ("C0001,a,yes,5\nC0002,a,no,5", None, "'offer' has the one value 'a'"),
        ("C0001,a,yes,5\nC0002,b,yes,5", None, "target 'accepted' has one class"),
        ("C0001,a,yes,5\nC0002,b,no,-5", None, "revenue is -5 in row 2"),
        ("C0001,a,yes,5\nC0002,,no,5", None, "column 'offer' is empty in row 2"),
        ("X1,a,yes,5\nX2,b,no,5", None, "none of its 2 customers is in customers.csv, by customer_id"),
        ("C0001,a,yes,cheap\nC0002,b,no,dear", None, "column 'revenue' is text, such as 'cheap'"),
    ],
)
def test_bad_files(rows: str, header: str | None, message: str, tmp_path: Path) -> None:
    path = written(tmp_path, rows, header or "customer_id,offer,accepted,revenue")
    with pytest.raises(InputError, match=message):
        read_offers(path, customers())


def test_customers_that_cannot_be_joined(tmp_path: Path) -> None:
    path = written(tmp_path, "1,a,yes,5\n2,b,no,5", "id,offer,accepted,revenue")
    frame = pd.DataFrame({"id": ["1", "1", "2"], "age": [30.0, 40.0, 50.0]})
    twice = assemble(Raw(frame, TableOptions(id=("id",)), "customers.csv"))
    with pytest.raises(InputError, match=r"id is the same in 2 rows \(1, 2\)"):
        read_offers(path, twice)
    two = assemble(Raw(frame.assign(key=["a", "b", "c"]), TableOptions(id=("id", "key")), "customers.csv"))
    with pytest.raises(InputError, match="id, key all name customers"):
        read_offers(path, two)
    clash = assemble(Raw(frame.assign(id=["1", "2", "3"], offer=["x", "y", "x"]), TableOptions(id=("id",)), "c.csv"))
    with pytest.raises(InputError, match="rename its column 'offer'"):
        read_offers(path, clash)


def test_made_up_offers_have_the_stated_chances() -> None:
    table = customers(20_000)
    history = draw_offers(table, seed=3)
    assert history.made_up
    assert history.revenue == PRICES
    assert history.chance is not None
    assert history.chance.to_numpy().mean() == pytest.approx(ACCEPTANCE, abs=1e-6)
    offers = pd.Series(history.table.frame["offer"])
    shares = offers.value_counts(normalize=True)
    np.testing.assert_allclose(shares, 1 / len(PRICES), atol=0.015)
    y = history.table.binary_target()[0]
    chance = history.chance.to_numpy()[history.customer, [list(PRICES).index(offer) for offer in offers]]
    # The outcomes are draws from the chances: their standardised sum is normal.
    z = (y - chance).sum() / np.sqrt((chance * (1 - chance)).sum())
    assert abs(z) < norm.ppf(0.9999)
    again = draw_offers(table, seed=3)
    pd.testing.assert_frame_equal(again.table.frame, history.table.frame)
    assert not draw_offers(table, seed=4).table.frame.equals(history.table.frame)
