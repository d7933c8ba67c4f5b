"""Differences between two runs, by hand: keys, versions, metrics, cells of tables."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from marketnn.errors import InputError
from marketnn.pipeline import Parts, diff
from marketnn.tracking import Run


def finished(folder: Path, config: str, metrics: dict[str, float], table: pd.DataFrame) -> str:
    run = Run(folder, title="a run", config=config)
    run.metric(**metrics)
    run.section("Numbers")
    run.table("numbers", table, "Numbers")
    run.finish()
    return str(folder)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[str, str]:
    """Two finished runs with differences that can be counted."""
    first = pd.DataFrame({"name": ["a", "b", None], "value": [1.0, 2.0, None]})
    second = pd.DataFrame({"name": ["a", "c", None], "value": [1.0, 2.5, None]})
    return (
        finished(tmp_path / "a", "seed: 0\ndata: {name: csv, path: x}\n", {"auc": 0.5, "fp": 0, "tp": 1}, first),
        finished(tmp_path / "b", "seed: 1\ndata: {name: csv, path: x}\n", {"auc": 0.6, "fp": 2, "tn": 1}, second),
    )


def compare(out: Path, *runs: str) -> Run:
    run = Run(out, title="diff")
    diff.run(diff.Config(runs=runs), Parts(data={"name": "csv"}), run)
    run.finish()
    return run


def test_every_difference_is_listed(tmp_path: Path, pair: tuple[str, str]) -> None:
    run = compare(tmp_path / "out", *pair)
    assert run.metrics == {"n_keys": 1, "n_versions": 0, "n_metrics": 4, "n_tables": 1}
    keys = pd.read_csv(run.folder / "tables" / "configuration.csv")
    assert keys.to_dict("records") == [{"key": "seed", "first": 0, "second": 1}]
    metrics = pd.read_csv(run.folder / "tables" / "metrics.csv", index_col="metric")
    assert metrics.loc["auc", "difference"] == pytest.approx(0.1)
    assert metrics.loc["auc", "relative"] == pytest.approx(0.2)
    assert metrics.loc["fp", "difference"] == 2
    assert metrics.loc[["fp", "tp", "tn"], "relative"].isna().all()
    (table,) = pd.read_csv(run.folder / "tables" / "tables.csv").to_dict("records")
    assert (table["table"], table["cells"], table["largest"], table["largest_relative"]) == ("numbers", 2, 0.5, 0.25)
    assert "1 key of the configuration" in run.headlines[1]
    assert "auc" in "".join(run.console)


def test_a_run_does_not_differ_from_itself(tmp_path: Path, pair: tuple[str, str]) -> None:
    run = compare(tmp_path / "out", pair[0], pair[0])
    assert set(run.metrics.values()) == {0}
    assert "No difference." in (run.folder / "report.html").read_text()
    assert run.console == []


@pytest.mark.parametrize(
    ("table", "note"),
    [
        (pd.DataFrame({"name": ["a"], "value": [1.0]}), "another number of rows"),
        (pd.DataFrame({"other": ["a", "b", "c"]}), "other columns"),
    ],
)
def test_tables_of_another_shape_are_named(
    tmp_path: Path, pair: tuple[str, str], table: pd.DataFrame, note: str
) -> None:
    other = finished(tmp_path / "c", "seed: 0\n", {"auc": 0.5}, table)
    run = compare(tmp_path / "out", pair[0], other)
    assert pd.read_csv(run.folder / "tables" / "tables.csv")["note"].tolist() == [note]


def test_a_table_that_one_run_lacks(tmp_path: Path, pair: tuple[str, str]) -> None:
    (Path(pair[1]) / "tables" / "numbers.csv").unlink()
    run = compare(tmp_path / "out", *pair)
    assert pd.read_csv(run.folder / "tables" / "tables.csv")["note"].tolist() == ["only in the first"]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "failure.json").write_text("{}"), "this run failed"),
        (lambda folder: (folder / "metrics.json").unlink(), "there is no metrics.json"),
        (lambda folder: (folder / "metrics.json").write_text("{"), "damaged"),
        (lambda folder: (folder / "config.yaml").write_text("a: ["), "damaged"),
        (lambda folder: (folder / "config.yaml").write_text("!!python/object/apply:os.getcwd []"), "damaged"),
    ],
)
def test_what_is_no_finished_run(tmp_path: Path, pair: tuple[str, str], spoil, message: str) -> None:
    spoil(Path(pair[1]))
    with pytest.raises(InputError, match=message):
        compare(tmp_path / "out", *pair)


def test_two_runs_are_needed(tmp_path: Path, pair: tuple[str, str]) -> None:
    with pytest.raises(InputError, match="compares two runs, not 1"):
        compare(tmp_path / "out", pair[0])
    assert json.loads((Path(pair[0]) / "metrics.json").read_text())["auc"] == 0.5
