"""Reduced and published sizes: laid over the settings, and told in the rows that hang on them."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.claims import load_claims
from experiments.experiment import FOLDER, Workspace
from experiments.plan import read_plan
from experiments.settings import read_settings, seed_words, size_notes

YAML = """
points: {n: 4000, draw: 3}
rows: 10
runs: 12
full:
  sizes: {rows: 20, points: {n: 36763}}
  items: [Figure 4.1]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "settings.yaml").write_text(YAML)
    return tmp_path / "settings.yaml"


def test_the_published_sizes_are_laid_over(file: Path, tmp_path: Path) -> None:
    reduced = {"points": {"n": 4000, "draw": 3}, "rows": 10, "runs": 12}
    assert read_settings(file, full=False) == reduced
    assert read_settings(file, full=True) == {"points": {"n": 36763, "draw": 3}, "rows": 20, "runs": 12}
    assert Workspace(load_claims(), tmp_path).settings(file) == reduced


def test_a_row_says_its_size(file: Path, tmp_path: Path) -> None:
    assert size_notes(file, full=False) == {
        "Figure 4.1": "Reduced size: rows = 10 for 20, points.n = 4,000 for 36,763 of --full."
    }
    assert size_notes(file, full=True) == {"Figure 4.1": "Published size: rows = 20, points.n = 36,763."}
    assert size_notes(tmp_path / "none.yaml", full=False) == {}


def test_seeds_are_told(file: Path, tmp_path: Path) -> None:
    assert seed_words(file) == "points.draw = 3, runs = 12"
    assert seed_words(tmp_path / "none.yaml") == ""


def test_the_published_sizes_are_those_of_the_papers() -> None:
    sizes = {
        item: note.removeprefix("Published size: ").removesuffix(".")
        for name in read_plan()
        for item, note in size_notes(FOLDER / f"{name}.yaml", full=True).items()
    }
    assert sizes["Figure 4.1"] == sizes["CK iteration curve"] == "points.n = 36,763"
    assert sizes["Table 4.2"] == sizes["Figure 4.5"] == sizes["Figure 4.6"] == "rows = 228,778"
    assert sizes["Number of clusters"] == "n = 30,000"
    assert read_settings(FOLDER / "paper_a/pre_experiment.yaml", full=False)["runs"] == 100
    owed = {item for entry in read_plan().values() for item in entry.items}
    assert set(sizes) <= owed
