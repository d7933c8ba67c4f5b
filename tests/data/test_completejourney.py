"""Coupon offers: sums by hand, nothing from the campaign's first day on, and the real tables' share of redemptions."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from marketnn import registry
from marketnn.data import Role
from marketnn.data.completejourney import Config, build, offers
from marketnn.errors import InputError


def tables() -> dict[str, pd.DataFrame]:
    lines = [
        ("a", "1", 5.0, 1.0, 0.0, "2017-01-02 10:00"),
        ("a", "1", 2.5, 0.5, 0.2, "2017-01-02 10:00"),
        ("a", "2", 4.0, 0.0, 0.0, "2017-02-27 23:59"),
        ("a", "3", 9.0, 3.0, 1.0, "2017-03-01 00:00"),
    ]
    names = [
        "household_id",
        "basket_id",
        "sales_value",
        "retail_disc",
        "coupon_disc",
        "transaction_timestamp",
    ]
    transactions = pd.DataFrame(lines, columns=names)
    transactions["transaction_timestamp"] = pd.to_datetime(transactions["transaction_timestamp"])
    return {
        "campaigns": pd.DataFrame({"campaign_id": ["1", "2", "1"], "household_id": ["a", "a", "b"]}),
        "campaign_descriptions": pd.DataFrame(
            {
                "campaign_id": ["1", "2"],
                "campaign_type": ["Type A", "Type B"],
                "start_date": ["2017-03-01", "2017-04-01"],
                "end_date": ["2017-03-31", "2017-04-01"],
            }
        ),
        "coupon_redemptions": pd.DataFrame(
            {
                "household_id": ["a", "a"],
                "campaign_id": ["1", "1"],
                "redemption_date": ["2017-03-02", "2017-03-09"],
            }
        ),
        "demographics": pd.DataFrame({"household_id": ["a"], "age": ["65+"]}),
        "transactions": transactions,
    }


def test_an_offer_has_what_was_before_it() -> None:
    found = offers(tables()).set_index(["household_id", "campaign_id"])
    first, second, other = (found.loc[key] for key in (("a", "1"), ("a", "2"), ("b", "1")))
    counted = ["campaign_days", "baskets", "spend", "shop_discount", "coupon_discount", "days_since_purchase"]
    assert first[counted].tolist() == [31, 2, 11.5, 1.5, 0.2, 2]
    assert second[counted].tolist() == [1, 3, 20.5, 4.5, 1.2, 31]
    assert other[counted].tolist() == [31, 0, 0, 0, 0, 58]  # since the first day of all
    assert found["earlier_offers"].tolist() == [0, 1, 0]
    assert found["earlier_redemptions"].tolist() == [0, 2, 0]
    assert found["redeemed"].tolist() == ["yes", "no", "no"]
    assert found["age"].tolist() == ["65+", "65+", "Unknown"]


def test_nothing_from_the_first_day_on_gets_in() -> None:
    whole, before = tables(), tables()
    early = before["transactions"]["transaction_timestamp"] < "2017-03-01"
    before["transactions"] = before["transactions"][early]
    first = offers(whole)["campaign_id"] == "1"
    pd.testing.assert_frame_equal(offers(whole)[first], offers(before)[first])
    assert not offers(whole)[~first].equals(offers(before)[~first])


def test_a_missing_column_or_folder_is_named(tmp_path: Path) -> None:
    for name, table in tables().items():
        table.drop(columns="coupon_disc", errors="ignore").to_parquet(tmp_path / f"completejourney_{name}.parquet")
    with pytest.raises(InputError, match=r"transactions\.parquet: unknown column 'coupon_disc'"):
        build(Config(path=str(tmp_path)))
    with pytest.raises(InputError, match="no such folder"):
        build(Config(path=str(tmp_path / "nowhere")))


@pytest.mark.realdata
def test_the_real_tables(real_data: Path) -> None:
    sample = "completejourney_transactions_sample.parquet"
    table = registry.build("data", {"name": "completejourney", "path": str(real_data), "transactions": sample}).ready()
    assert len(table.frame) == 6589
    assert table.binary_target()[0].mean() == pytest.approx(0.1202, abs=1e-4)
    assert table.schema.names(Role.ID) == ["household_id", "campaign_id"]
    assert len(table.features.columns) == 16
