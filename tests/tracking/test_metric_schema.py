"""Every metric of every pipeline is described."""

from __future__ import annotations

import pytest

from marketnn.tracking.metric_schema import METRICS, described, is_described


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
    ],
)
def test_a_metric_is_found_by_its_name_or_its_family(name: str, title: str, better: str) -> None:
    found = described(name)
    assert (found.title, found.better) == (title, better)
    assert is_described(name) == (name != "my_own")


def test_titles_are_distinct() -> None:
    titles = [metric.title for metric in METRICS.values()]
    assert len(set(titles)) == len(titles)
