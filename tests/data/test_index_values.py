"""An enterprise's own index values: read from YAML, refused with the repair."""

from __future__ import annotations

from pathlib import Path

import pytest

from marketnn.data.index_system import IndexSystem
from marketnn.data.index_values import middle_values, read_index_values
from marketnn.errors import InputError


def test_values_are_read_by_code(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("CUS1: 81.5  # survey\nPRO2: 93\n", encoding="utf-8")
    assert read_index_values(str(file), IndexSystem.default()) == {"CUS1": 81.5, "PRO2": 93.0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "write a line per index"),
        ("- CUS1", "write a line per index"),
        ("CUS1: [", "not a YAML file"),
        ("CUS1: 81,5", "index CUS1 is '81,5'; write a number"),
        ("CUS1: yes", "index CUS1 is True"),
        ("CUS1: .nan", "index CUS1 is nan"),
        ("CUS11: 80", "CUS11"),
        ("CUS1: !!python/object/apply:os.system ['true']", r"python/object/apply:os\.system is not read"),
    ],
)
def test_bad_files(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_index_values(str(file), IndexSystem.default())


def test_the_middle_stands_in_for_what_is_unknown() -> None:
    system = IndexSystem.green()
    middle = middle_values(system)
    assert list(middle) == system.codes
    assert middle["LRN1"] == pytest.approx(15.0)
