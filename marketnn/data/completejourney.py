"""Coupon campaigns of a grocer (dunnhumby's Complete Journey): a row per household and campaign, redeemed or not.

    campaigns x households -> what each household did before its campaign began -> redeemed: yes or no

Whatever happened on a campaign's first day or later stays out of its rows. A household has a row for each of its campaigns.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from marketnn import registry
from marketnn.data.table import Raw, Table, TableOptions, assemble
from marketnn.errors import InputError, unknown_name
from marketnn.spelling import counted

HOUSEHOLD, CAMPAIGN, TARGET, UNKNOWN = "household_id", "campaign_id", "redeemed", "Unknown"
PREFIX = "completejourney_"
NEEDED = {
    "campaigns": (CAMPAIGN, HOUSEHOLD),
    "campaign_descriptions": (CAMPAIGN, "campaign_type", "start_date", "end_date"),
    "coupon_redemptions": (HOUSEHOLD, CAMPAIGN, "redemption_date"),
    "demographics": (HOUSEHOLD,),
    "transactions": (HOUSEHOLD, "basket_id", "sales_value", "retail_disc", "coupon_disc", "transaction_timestamp"),
}


@dataclass(frozen=True, kw_only=True)
class Config(TableOptions):
    """The folder of the tables.

    Attributes:
        path: a folder with ``completejourney_campaigns.parquet``, ``..._campaign_descriptions``, ``..._coupon_redemptions``,
            ``..._demographics`` and the file of the transactions.
        transactions: name of that file: all of them, or a sample.
    """

    path: str
    transactions: str = PREFIX + "transactions.parquet"
    target: str | None = TARGET
    id: tuple[str, ...] = (HOUSEHOLD, CAMPAIGN)


def read(config: Config) -> Raw:
    """Read the tables and join them.

    Raises:
        InputError: no such folder or file, or a column is missing.
    """
    folder = Path(config.path).expanduser()
    if not folder.is_dir():
        raise InputError(f"{config.path}: there is no such folder; pass the one that holds {PREFIX}*.parquet.")
    tables = {name: _table(folder, name, columns, config) for name, columns in NEEDED.items()}
    frame = offers(tables)
    transactions = tables["transactions"]
    note = (
        f"{len(frame):,} coupon offers of {counted(frame[CAMPAIGN].nunique(), 'campaign')} to "
        f"{frame[HOUSEHOLD].nunique():,} households; purchases, redemptions and earlier offers count only before the campaign "
        f"({len(transactions):,} order lines read). Households stand in several rows."
    )
    return Raw(frame, config, folder.name, (note,))


def build(config: Config) -> Table:
    """Read the source into a table.

    Raises:
        InputError: as ``read`` and ``assemble``.
    """
    return assemble(read(config))


def offers(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return a row per household and campaign.

    Args:
        tables: name -> table with the columns of ``NEEDED``; the demographics' further columns become features.

    Returns:
        ``household_id``, ``campaign_id``, the campaign's type and length in days, what the household did before, its
        demographics, and ``redeemed``.
    """
    campaigns = tables["campaign_descriptions"].assign(
        start=lambda frame: pd.to_datetime(frame["start_date"]), end=lambda frame: pd.to_datetime(frame["end_date"])
    )
    made = tables["campaigns"][[HOUSEHOLD, CAMPAIGN]].merge(campaigns, on=CAMPAIGN, validate="many_to_one")
    made = made.rename_axis("offer").reset_index()
    redeemed = tables["coupon_redemptions"][[HOUSEHOLD, CAMPAIGN]].drop_duplicates().assign(**{TARGET: "yes"})
    frame = made[[HOUSEHOLD, CAMPAIGN]].assign(
        campaign_type=made["campaign_type"].astype(str), campaign_days=(made["end"] - made["start"]).dt.days + 1
    )
    for features in (
        _purchases(made, tables["transactions"]),
        _earlier_offers(made),
        _earlier_redemptions(made, tables["coupon_redemptions"]),
    ):
        frame = frame.join(features)
    demographics = tables["demographics"].astype(object)
    frame = frame.merge(demographics, on=HOUSEHOLD, how="left", validate="many_to_one")
    traits = [name for name in demographics.columns if name != HOUSEHOLD]
    frame[traits] = frame[traits].fillna(UNKNOWN)
    frame = frame.merge(redeemed, on=[HOUSEHOLD, CAMPAIGN], how="left", validate="many_to_one")
    return frame.assign(**{TARGET: frame[TARGET].fillna("no")})


def _purchases(made: pd.DataFrame, transactions: pd.DataFrame) -> pd.DataFrame:
    """Sum up what each offer's household bought before; without a purchase, its last counts as on the first day of all."""
    first = transactions["transaction_timestamp"].min().normalize()
    lines = made[["offer", HOUSEHOLD, "start"]].merge(transactions, on=HOUSEHOLD)
    lines = lines[lines["transaction_timestamp"] < lines["start"]]
    by_offer = lines.groupby("offer")
    found = pd.DataFrame(
        {
            "baskets": by_offer["basket_id"].nunique(),
            "spend": by_offer["sales_value"].sum(),
            "shop_discount": by_offer["retail_disc"].sum(),
            "coupon_discount": by_offer["coupon_disc"].sum(),
        }
    ).reindex(made["offer"], fill_value=0)
    last = by_offer["transaction_timestamp"].max().reindex(made["offer"]).fillna(first).dt.normalize()
    found["days_since_purchase"] = (made.set_index("offer")["start"] - last).dt.days
    return found


def _earlier_offers(made: pd.DataFrame) -> pd.Series:
    """Count the campaigns that the household was sent before, those of the same day not among them."""
    rank = made.groupby(HOUSEHOLD)["start"].rank(method="min")
    return (rank - 1).rename("earlier_offers")


def _earlier_redemptions(made: pd.DataFrame, redemptions: pd.DataFrame) -> pd.Series:
    """Count the coupons that the household redeemed before."""
    joined = made[["offer", HOUSEHOLD, "start"]].merge(redemptions[[HOUSEHOLD, "redemption_date"]], on=HOUSEHOLD)
    before = joined[pd.to_datetime(joined["redemption_date"]) < joined["start"]]
    return before.groupby("offer").size().reindex(made["offer"], fill_value=0).rename("earlier_redemptions")


def _table(folder: Path, name: str, columns: tuple[str, ...], config: Config) -> pd.DataFrame:
    """Read a table and check its columns."""
    file = config.transactions if name == "transactions" else f"{PREFIX}{name}.parquet"
    module, source = registry.configure("data", {"name": "parquet", "path": str(folder / file)})
    frame: pd.DataFrame = module.read(source).frame
    for column in columns:
        if column not in frame.columns:
            raise InputError(f"{file}: {unknown_name('column', column, frame.columns)}")
    return frame
