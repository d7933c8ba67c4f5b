"""Every metric has a title, a meaning and a direction, and a reader sees the telling ones first."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from marketnn import cli
from marketnn.tracking.metric_schema import METRICS, described, importance, is_described


@pytest.mark.parametrize(
    ("name", "title", "better"),
    [
        ("auc", "AUC", "higher"),
        ("rmse_linear", "RMSE, linear", "lower"),
        ("sse_kmeans", "SSE, kmeans", "lower"),
        ("total_error_minibatch_kmeans", "total error, minibatch kmeans", "lower"),
        ("portrait_2_size", "size of portrait 2", "neither"),
        ("segment_11_size", "size of segment 11", "neither"),
        ("my_own", "my_own", "neither"),
        ("batch_size", "batch_size", "neither"),
        ("speed_linear", "speed_linear", "neither"),
    ],
)
def test_a_metric_is_found_by_its_name_or_its_family(name: str, title: str, better: str) -> None:
    found = described(name)
    assert (found.title, found.better) == (title, better)
    assert is_described(name) == (title != name)


def test_titles_are_distinct_and_texts_are_lines() -> None:
    assert len({metric.title for metric in METRICS.values()}) == len(METRICS)
    for name, metric in METRICS.items():
        assert metric.title, name
        assert metric.meaning, name
        assert "\n" not in metric.description, name


def test_a_description_tells_meaning_unit_and_direction() -> None:
    assert described("mae").description == "mean absolute error; in units of the score; lower is better"
    assert described("r2").description == "share of the variance that is explained; higher is better"
    assert described("epochs").description == "until the training ended; in epochs"
    assert described("my_own").description == ""


def test_telling_metrics_come_first() -> None:
    names = ["n_rows", "sse_ck", "silhouette_ck", "my_own", "sse", "total_error", "silhouette", "rounds"]
    ordered = ["silhouette", "total_error", "sse", "my_own", "silhouette_ck", "sse_ck", "rounds", "n_rows"]
    assert sorted(names, key=importance) == ordered


def test_an_inspection_writes_described_metrics_too(tmp_path: Path) -> None:
    assert cli.main(["pipeline=inspect", "data=points", f"hydra.run.dir='{tmp_path}/run'"]) == 0
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics
    assert [name for name in metrics if not is_described(name)] == []
