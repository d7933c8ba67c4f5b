"""Reading tables: what is read is what was written, and what cannot be read is named."""

from __future__ import annotations

import gzip
import sqlite3
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from marketnn import registry
from marketnn.data import Role, packaged
from marketnn.errors import ConfigurationError, InputError

GOOD = "id,age,plan,churn\n" + "".join(f"C{i},{20 + i % 9},{'ab'[i % 2]},{i % 2}\n" for i in range(30))


def read(path: Path, **settings: object):
    return registry.build("data", {"name": "csv", "path": str(path), **settings})


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.csv"
    path.write_text(GOOD)
    return path


def test_csv_round_trip(good: Path) -> None:
    table = read(good, target="churn")
    assert table.frame.shape == (30, 4)
    assert table.frame["age"].tolist() == [20.0 + i % 9 for i in range(30)]
    assert table.schema.names(Role.ID) == ["id"]


@pytest.mark.parametrize("separator", [";", "tab", "|"])
def test_separators(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "customers.csv"
    path.write_text(GOOD.replace(",", "\t" if separator == "tab" else separator))
    assert read(path, separator=separator).frame.shape == (30, 4)
    with pytest.raises(InputError, match=r'pass "data\.separator='):
        read(path)


def test_gzip_byte_order_mark_quotes_and_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "customers.csv.gz"
    path.write_bytes(gzip.compress(b'\xef\xbb\xbfname,age\n"Smith, J.",3\n\n"two\nlines",4\n'))
    frame = read(path).frame
    assert frame["name"].tolist() == ["Smith, J.", "two\nlines"]
    assert frame["age"].tolist() == [3.0, 4.0]


def test_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "customers.csv"
    path.write_bytes("name,age\nMüller,3\n".encode("cp1252"))
    with pytest.raises(InputError, match=r"byte \d+ is not utf-8 text.*data\.encoding=cp1252"):
        read(path)
    assert read(path, encoding="cp1252").frame["name"].tolist() == ["Müller"]
    with pytest.raises(InputError, match="klingon is unknown"):
        read(path, encoding="klingon")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"\n\n", "the file is empty"),
        (b"a,b,churn\n", "there is a header and no rows"),
        (b"a,b,churn\n1,2,0\n1,2\n", r"row 2 \(line 3\) has 2 fields, the header has 3"),
        (b"a,b\n1,2,3\n", r"row 1 \(line 2\) has 3 fields, the header has 2"),
        (b"a,,c\n1,2,3\n", "column 2 has no name"),
        (b"a,b,a\n1,2,3\n", r"'a' stands 2 times \(columns \[1, 3\]\)"),
        (b"PK\x03\x04rest", "a zip or Excel file"),
        (b"PAR1rest", "a Parquet file"),
        (b"a,b\n1,\x00\n", "binary"),
        (b"a,b\n1,\xff\n", "is not utf-8 text"),
    ],
)
def test_files_that_are_no_table(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read(path)


def test_paths_that_are_no_file(tmp_path: Path, good: Path) -> None:
    with pytest.raises(InputError, match="this is a folder"):
        read(tmp_path)
    with pytest.raises(InputError, match=r"no such file.*Did you mean 'good\.csv'"):
        read(tmp_path / "godo.csv")


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200))
def test_any_bytes_give_a_table_or_a_clear_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "any.csv"
    path.write_bytes(content)
    message = ""
    try:
        read(path)
    except InputError as error:
        message = str(error)
    assert len(message.splitlines()) <= 3


def test_parquet_equals_csv(tmp_path: Path, good: Path) -> None:
    path = tmp_path / "customers.parquet"
    pd.read_csv(good).to_parquet(path)
    table = registry.build("data", {"name": "parquet", "path": str(path), "target": "churn"})
    pd.testing.assert_frame_equal(table.frame[["age", "plan"]], read(good).frame[["age", "plan"]])
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        registry.build("data", {"name": "parquet", "path": str(good)})


def test_a_parquet_index_is_a_column(tmp_path: Path, good: Path) -> None:
    path = tmp_path / "customers.parquet"
    pd.read_csv(good).set_index("id").to_parquet(path)
    table = registry.build("data", {"name": "parquet", "path": str(path), "target": "churn"})
    assert table.schema.names(Role.ID) == ["id"]


def test_long_numbers_keep_their_digits(tmp_path: Path) -> None:
    path = tmp_path / "customers.parquet"
    ids = [7590120000000000 + i for i in range(40)]
    frame = pd.DataFrame({"customer_id": ids, "code": [1000001, 1000002] * 20, "use": range(5, 45)})
    frame.assign(churn=frame["code"]).to_parquet(path)
    settings = {"name": "parquet", "path": str(path), "target": "churn", "positive": "1000002", "categorical": ["code"]}
    table = registry.build("data", settings)
    assert table.frame["customer_id"].tolist() == [str(number) for number in ids]
    assert sorted(table.frame["code"].unique()) == ["1000001", "1000002"]
    assert table.binary_target()[0].tolist() == [0, 1] * 20


def test_ids_are_shown_as_the_file_spells_them(tmp_path: Path) -> None:
    path = tmp_path / "customers.csv"
    path.write_text("customer_id,use\n" + "".join(f"00{i},{i % 7}\n" for i in range(30)))
    assert read(path).frame["customer_id"].tolist() == [f"00{i}" for i in range(30)]


def test_spaces_after_separators_and_other_encodings(tmp_path: Path) -> None:
    path = tmp_path / "customers.csv"
    path.write_text('name, note\nx, "hello, world"\n')
    assert read(path).frame["note"].tolist() == ["hello, world"]
    path.write_text("a, a\n1, 2\n")
    with pytest.raises(InputError, match="'a' stands 2 times"):
        read(path)
    path.write_bytes("a,b\n1,2\n".encode("utf-16"))
    assert read(path, encoding="utf-16").frame["b"].tolist() == [2.0]


def test_sql_equals_csv(tmp_path: Path, good: Path) -> None:
    path = tmp_path / "customers.db"
    with sqlite3.connect(path) as connection:
        pd.read_csv(good).to_sql("customers", connection, index=False)
    connection.close()
    settings = {"name": "sql", "url": f"sqlite:///{path}", "query": "SELECT age, plan FROM customers"}
    pd.testing.assert_frame_equal(registry.build("data", settings).frame, read(good).frame[["age", "plan"]])
    with pytest.raises(InputError, match="no such table: customer"):
        registry.build("data", {**settings, "query": "SELECT * FROM customer"})
    deleting = "WITH x AS (SELECT 1) DELETE FROM customers"
    for query in ("DROP TABLE customers", "SELECT 1; DELETE FROM customers", deleting):
        with pytest.raises(InputError, match=r"must be one SELECT|must only read"):
            registry.build("data", {**settings, "query": query})
    assert len(registry.build("data", settings).frame) == 30


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite:///nowhere.db", "there is no database file"),
        ("postgresql://reader:hush@127.0.0.1:1/x", r"postgresql://reader:\*\*\*@127\.0\.0\.1:1/x"),
        ("mysterydb://reader:hush@host/x", "driver is not installed"),
        ("not a url", "not a database URL"),
        ("postgresql://host:abc/x", "not a database URL"),
        ("postgresql://u:hu/sh@127.0.0.1:1/x", r"u:\*\*\*@127"),
        ("postgresql://127.0.0.1:1/x?user=u&password=hush", r"password=\*\*\*"),
    ],
)
def test_databases_that_do_not_answer(url: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        registry.build("data", {"name": "sql", "url": url, "query": "SELECT 1"})
    assert "sh@" not in str(caught.value)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "n_rows", "n_positive"), [("wa_churn", 7043, 1869), ("mlc_churn", 5000, 707), ("caravan", 5822, 348)]
)
def test_packaged_tables_are_the_real_ones(name: str, n_rows: int, n_positive: int) -> None:
    table = registry.build("data", {"name": "packaged", "table": name})
    assert len(table.frame) == n_rows
    assert "rownames" not in table.frame
    assert table.binary_target()[0].sum() == n_positive
    assert len(table.ready().schema.features) >= 15


def test_a_packaged_table_with_a_score() -> None:
    table = registry.build("data", {"name": "packaged", "table": "concrete"}).ready()
    assert table.features.shape == (1030, 8)
    score = table.numeric_target()
    assert (score.min(), score.max()) == (2.33, 82.6)
    with pytest.raises(InputError, match=r"has 845 classes"):
        table.binary_target()


def test_a_packaged_file_that_changed_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = {
        "wa_churn": packaged.TABLES["wa_churn"].__class__(**{**vars(packaged.TABLES["wa_churn"]), "sha256": "0" * 64})
    }
    monkeypatch.setattr(packaged, "TABLES", changed)
    with pytest.raises(InputError, match="is not the file this version knows, so it is not read"):
        registry.build("data", {"name": "packaged"})


def test_a_packaged_table_is_chosen_from_the_list() -> None:
    with pytest.raises(ConfigurationError, match=r"There are: caravan, concrete, mlc_churn, wa_churn"):
        registry.build("data", {"name": "packaged", "table": "../../etc/passwd"})


@pytest.mark.realdata
def test_real_tables(real_data: Path) -> None:
    iranian = read(real_data / "iranian_churn.csv", target="Churn").ready()
    assert iranian.frame.shape == (3150, 14)
    assert iranian.binary_target()[0].mean() == pytest.approx(0.1571, abs=5e-5)
    bank = read(real_data / "bank_additional-full.csv.gz", target="y", leakage=["duration"]).ready()
    assert bank.frame.shape == (41188, 21)
    assert bank.binary_target()[0].mean() == pytest.approx(0.1127, abs=5e-5)
    assert "duration" not in bank.schema.features
