"""A sheet of marketing costs that a finance person fills in: YAML, in groups, or CSV, a row per item."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from marketnn.data import csv
from marketnn.data.files import existing_file
from marketnn.errors import InputError, unknown_name
from marketnn.plain_yaml import read_yaml

ITEMS = (
    "salaries",
    "travel",
    "training_ratio",
    "hardware",
    "depreciation_rate",
    "office_space",
    "advertising",
    "market_development",
    "office_supplies",
    "hospitality",
    "sales",
    "after_sales_rate",
    "dealer_network",
    "sales_promotion",
)
CURRENCY = "currency"
EXAMPLE = str(Path(__file__).parent / "cost_sheets" / "example.yaml")
_THOUSANDS = re.compile(r"-?\d{1,3}(,\d{3})+(\.\d+)?")


def read_cost_sheet(path: str) -> dict[str, float | str]:
    """Read every item of a sheet.

    Amounts may have thousands separators (``1,200,000``) and a decimal point.

    Args:
        path: a ``.csv`` with the columns ``item`` and ``amount`` (others are comments), or YAML, groups of items.

    Returns:
        Item -> amount, all of ``ITEMS``; ``currency`` too where the sheet says one.

    Raises:
        InputError: no such file, unreadable, an unknown, repeated or missing item, or an amount that is no number from 0 on; the
            message names the file, the row or item, and the repair.
    """
    file = existing_file(path)
    found: dict[str, float | str] = {}
    for where, item, amount in _csv_lines(path) if file.suffix == ".csv" else _yaml_lines(file):
        if item not in (*ITEMS, CURRENCY):
            raise unknown_name(f"item in {file.name}, {where}", item, [*ITEMS, CURRENCY])
        if item in found:
            raise InputError(f"{file.name}, {where}: '{item}' stands twice; keep one.")
        found[item] = str(amount) if item == CURRENCY else _amount(amount, f"{file.name}, {where}: {item}")
    missing = [item for item in ITEMS if item not in found]
    if missing:
        raise InputError(
            f"{file.name}: {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing; write 0 for what costs nothing."
        )
    return found


def _csv_lines(path: str) -> Iterator[tuple[str, str, str]]:
    frame = csv.read(csv.Config(path=path)).frame
    for column in ("item", "amount"):
        if column not in frame.columns:
            raise InputError(
                f"{Path(path).name}: column '{column}' is missing; a sheet has the columns item and amount."
            )
    for number, (item, amount) in enumerate(zip(frame["item"], frame["amount"], strict=True), start=1):
        yield f"row {number}", item.strip(), amount.strip()


def _yaml_lines(file: Path) -> Iterator[tuple[str, str, Any]]:
    read = read_yaml(file)
    if not isinstance(read, Mapping) or not read:
        raise InputError(f"{file.name}: write groups of items, as the example does, or items alone.")
    for name, content in read.items():
        if isinstance(content, Mapping):
            for item, amount in content.items():
                yield f"group {name}", str(item), amount
        else:
            yield "top level", str(name), content


def _amount(given: Any, where: str) -> float:
    text = str(given).strip()
    if _THOUSANDS.fullmatch(text):
        text = text.replace(",", "")
    try:
        amount = math.nan if isinstance(given, bool) else float(text)
    except ValueError:
        amount = math.nan
    if not (math.isfinite(amount) and amount >= 0):
        raise InputError(f"{where} is '{given}'; write a number from 0 on, such as 1200 or 1,200,000.50.")
    return amount
