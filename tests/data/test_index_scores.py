"""The made-up scorecards are what they say: indices, directions, units, ceiling; and index systems of one's own are read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from marketnn.data.index_scores import NOISE, Config, build, draw_index_scores
from marketnn.data.index_system import IndexSystem, packaged
from marketnn.errors import InputError

OWN = """Service:
  WAIT: {name: waiting time, direction: cost, unit: min, low: 0, high: 60}
  ROOMS: {name: rooms used, direction: interval, unit: "%", low: 70, high: 85}
Money:
  PROFIT: {name: profit, direction: benefit, unit: yuan}
"""


@pytest.mark.parametrize("name", ["default", "green"])
def test_there_are_24_indices_in_five_dimensions(name: str) -> None:
    system = IndexSystem.load(name)
    assert name in packaged()
    assert len(set(system.codes)) == 24
    assert [len(codes) for codes in system.dimensions.values()] == [5, 5, 5, 5, 4]
    costs = set(system.signs[system.signs < 0].index)
    fifth = {"PAR3", "PAR4"} if name == "default" else {"GRN1", "GRN3"}
    assert costs == {"FIN3", "FIN4", "CUS4", "PRO1", "PRO5", "LRN5"} | fifth
    assert all(index.unit and index.formula and index.name for index in system.indices)
    assert len(system.table()) == 24


def test_the_ceiling_is_the_truths_r2() -> None:
    drawn = draw_index_scores(4000, seed=1)
    assert drawn.ceiling == pytest.approx(1 - np.mean((drawn.score - drawn.truth) ** 2) / drawn.score.var())
    assert np.std(drawn.score - drawn.truth) == pytest.approx(NOISE, rel=0.05)
    assert 0.98 < drawn.ceiling < 0.99
    assert 0 <= drawn.score.min() < drawn.score.max() <= 1
    assert draw_index_scores(50, noise=0.0, seed=1).ceiling == 1.0


def test_better_indices_make_a_better_score_and_stay_in_their_range() -> None:
    drawn = draw_index_scores(2000, "green", seed=2)
    correlation = drawn.indices.corrwith(pd.Series(drawn.truth))
    assert (np.sign(correlation) == drawn.system.signs).all()
    for index in drawn.system.indices:
        assert index.low <= drawn.indices[index.code].min() < drawn.indices[index.code].max() <= index.high
    assert np.array_equal(draw_index_scores(2000, "green", seed=2).score, drawn.score)


def test_the_table_has_the_score_as_target_and_no_truth() -> None:
    table = build(Config(n=60, target="score"))
    assert table.schema.features == IndexSystem.load("default").codes
    assert "best" not in table.source
    assert "no model can explain more than 98." in table.notes[0]


def test_an_index_system_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(OWN)
    system = IndexSystem.load(file)
    assert system.signs.to_dict() == {"WAIT": -1, "ROOMS": 0, "PROFIT": 1}
    x = pd.DataFrame({"WAIT": [10.0, 30, 20], "ROOMS": [75.0, 60, 90], "PROFIT": [7.0, 7, 7]})
    quality = system.quality(x)
    assert quality.to_numpy().tolist() == [[1, 1, 0], [0, 0, 0], [0.5, 0.5, 0]]
    assert system.dimension_scores(quality).to_numpy().tolist() == [[1, 0], [0, 0], [0.5, 0]]
    weighted = system.dimension_scores(quality, {"WAIT": 3, "ROOMS": 1, "PROFIT": 1})
    assert weighted["Service"].tolist() == [1, 0, 0.5]
    with pytest.raises(InputError, match="weights of Money"):
        system.dimension_scores(quality, {"WAIT": 3, "ROOMS": 1})
    with pytest.raises(InputError, match=r"index ROOMS has no column; there are WAIT, PROFIT\."):
        system.require(["WAIT", "PROFIT"], "own.csv")
    with pytest.raises(InputError, match=r"data\.drop=\[town\]"):
        system.require(["WAIT", "PROFIT", "ROOMS", "town"], "own.csv")
    with pytest.raises(InputError, match="ROOMS is nan in row 2"):
        system.quality(x.assign(ROOMS=[1.0, np.nan, 2.0]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A:\n  X: {direction: up}\n", "direction is 'up'; write benefit"),
        ("A:\n  X: {unit: m}\n", "direction is None"),
        ("A:\n  X: {direction: interval}\n", "needs low and high"),
        ("A:\n  X: {direction: cost, low: 2, high: 1}\n", "low the smaller"),
        ("A:\n  X: {direction: cost, weigth: 1}\n", "weigth"),
        ("A:\n  X: {direction: cost}\nB:\n  X: {direction: cost}\n", "stands twice"),
        ("A: 3\n", "write dimensions"),
        ("A: {}\n", "no index"),
        ("A: [\n", "not a YAML file"),
    ],
)
def test_bad_index_systems(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    with pytest.raises(InputError, match=message):
        IndexSystem.load(file)


def test_no_such_index_system_or_numbers() -> None:
    with pytest.raises(InputError, match="default"):
        IndexSystem.load("gren")
    with pytest.raises(InputError, match="noise=-1"):
        draw_index_scores(10, noise=-1)
