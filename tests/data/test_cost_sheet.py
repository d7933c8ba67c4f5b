"""Cost sheets: YAML and CSV say the same, and mistakes are named with their repair."""

from __future__ import annotations

from pathlib import Path

import pytest

from marketnn.allocation import MarketingCost
from marketnn.data.cost_sheet import EXAMPLE, read_cost_sheet
from marketnn.errors import InputError


def changed(tmp_path: Path, old: str, new: str, suffix: str = ".yaml") -> str:
    text = Path(EXAMPLE).with_suffix(suffix).read_text(encoding="utf-8")
    assert old in text
    file = tmp_path / f"sheet{suffix}"
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    return str(file)


def test_yaml_and_csv_say_the_same() -> None:
    assert read_cost_sheet(EXAMPLE) == read_cost_sheet(str(Path(EXAMPLE).with_suffix(".csv")))


def test_amounts_may_have_thousands_separators(tmp_path: Path) -> None:
    assert read_cost_sheet(changed(tmp_path, "salaries: 220000", "salaries: '1,200,000.50'"))["salaries"] == 1_200_000.5
    assert read_cost_sheet(changed(tmp_path, "salaries,220000", 'salaries,"1,200"', ".csv"))["salaries"] == 1200


@pytest.mark.parametrize(
    ("suffix", "old", "new", "message"),
    [
        (
            ".yaml",
            "  travel: 30000 ",
            "  travell: 180 ",
            "sheet.yaml, group human 'travell'. Did you mean 'travel'",
        ),
        (".yaml", "  travel: 30000 ", "  # travel ", "sheet.yaml: travel is missing; write 0"),
        (".yaml", "travel: 30000", "travel: a lot", "sheet.yaml, group human: travel is 'a lot'; write a number"),
        (".yaml", "travel: 30000", "travel: -30000", "travel is '-30000'"),
        (".yaml", "travel: 30000", "travel: yes", "travel is 'True'"),
        (".yaml", "travel: 30000", "travel: '1,80'", "travel is '1,80'"),
        (".yaml", "promotion:\n", "promotion:\n  travel: 3\n", "group promotion: 'travel' stands twice"),
        (".yaml", "currency:", "currency: [", "not a YAML file"),
        (".csv", "travel,30000", "travel,", "sheet.csv, row 3: travel is ''"),
        (".csv", "item,amount", "item,sum", "column 'amount' is missing"),
        (".csv", "travel,30000,b", "salaries,30000,b", "row 3: 'salaries' stands twice"),
    ],
)
def test_bad_sheets(suffix: str, old: str, new: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        read_cost_sheet(changed(tmp_path, old, new, suffix))


def test_a_rate_outside_its_range_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"sheet\.yaml: training_ratio=0\.25 is outside"):
        MarketingCost.read(changed(tmp_path, "training_ratio: 0.15", "training_ratio: 0.25"))


def test_an_empty_sheet(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="write groups of items"):
        read_cost_sheet(str(tmp_path / "empty.yaml"))
