"""Means, paired differences and their intervals against SciPy; failed and stopped jobs are counted, never averaged."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from marketnn.errors import InputError
from marketnn.report.sweep_page import main_metrics, render_sweep
from marketnn.tracking.files import write_json, write_text
from marketnn.tracking.folder import write_failure
from marketnn.tracking.sweep import (
    UNFINISHED,
    Job,
    JobResult,
    begin_job,
    comparison_table,
    job_states,
    paired_difference,
    read_jobs,
    summary_table,
)

NUMBERS = st.floats(-1e3, 1e3).map(lambda value: round(value, 3))


def result(number: int, setting: str, seed: int, value: float | None) -> JobResult:
    job = Job("s", number, [f"optimizer={setting}", f"seed={seed}"], f"optimizer={setting}", seed)
    failed = {"kind": "InputError", "message": "two\nlines <b>"} if value is None else {}
    return JobResult(job, Path(str(number)), metrics={} if value is None else {"auc": value}, **failed)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=2, max_size=8))
def test_the_interval_is_the_paired_t_test_of_scipy(pairs: list[tuple[float, float]]) -> None:
    first, second = (list(values) for values in zip(*pairs, strict=True))
    ours = paired_difference(second, first)
    differences = np.subtract(second, first)
    assert ours["difference"] == pytest.approx(differences.mean(), abs=1e-12)
    if np.ptp(differences) > 1e-6:
        expected = stats.ttest_rel(second, first).confidence_interval(0.95)
        assert (ours["low"], ours["high"]) == pytest.approx((expected.low, expected.high), rel=1e-9, abs=1e-9)
    else:
        assert ours["high"] - ours["low"] == pytest.approx(0, abs=1e-4)


def test_settings_are_compared_over_the_seeds_they_share() -> None:
    jobs = [result(seed, "lm", seed, value) for seed, value in enumerate([0.5, 0.7, None, 0.9])]
    jobs += [result(4 + seed, "adam", seed, value) for seed, value in enumerate([0.4, None, 0.1, 0.7])]
    table = comparison_table(jobs).set_index("setting")
    lm, adam = table.loc["optimizer=lm"], table.loc["optimizer=adam"]
    assert (lm["n"], lm["n_failed"], lm["n_shared"]) == (3, 1, 0)
    assert lm["mean"] == pytest.approx(0.7)
    assert lm["sd"] == pytest.approx(0.2)
    assert np.isnan(lm["difference"])
    assert (adam["n"], adam["n_failed"], adam["n_shared"]) == (3, 1, 2)  # seeds 0 and 3
    assert adam["mean"] == pytest.approx(0.4)
    assert adam["difference"] == pytest.approx(-0.15)
    half_width = stats.t.ppf(0.975, 1) * np.std([-0.1, -0.2], ddof=1) / np.sqrt(2)
    assert (adam["low"], adam["high"]) == pytest.approx((-0.15 - half_width, -0.15 + half_width))


def test_one_seed_has_a_difference_and_no_interval() -> None:
    table = comparison_table([result(0, "lm", 0, 0.5), result(1, "adam", 0, 0.25)])
    assert table["difference"].tolist()[1] == -0.25
    assert table[["sd", "half_width", "low", "high"]].isna().all(axis=None)


def test_a_setting_that_failed_throughout_is_listed() -> None:
    jobs = [result(0, "lm", 0, None), result(1, "adam", 0, 0.5)]
    table = comparison_table(jobs).set_index("setting")
    assert table.loc["optimizer=lm", "n"] == 0
    assert table.loc["optimizer=lm", "n_failed"] == 1
    assert np.isnan(table.loc["optimizer=adam", "difference"])
    summary = summary_table(jobs)
    assert summary["status"].tolist() == ["failed", "finished"]
    assert summary["failure"].tolist() == ["two lines <b>", ""]
    page = render_sweep(summary, comparison_table(jobs), ["two <jobs>"], {"command": "marketnn -m"})
    assert "two lines &lt;b&gt;" in page
    assert "two &lt;jobs&gt;" in page
    assert "http" not in page


def test_only_failures_make_a_page_too() -> None:
    jobs = [result(0, "lm", 0, None)]
    assert comparison_table(jobs).empty
    assert "two lines" in render_sweep(summary_table(jobs), comparison_table(jobs), [], {})


def test_what_is_known_to_matter_comes_first() -> None:
    jobs = [
        JobResult(
            Job("s", number, [], f"k={number}", 0), Path("x"), {"auc": 0.5, "n_rows": number, "mae": 1.0 + number}
        )
        for number in range(2)
    ]
    assert main_metrics(comparison_table(jobs)) == ["auc", "mae"]


def test_jobs_are_read_from_their_folders(tmp_path: Path) -> None:
    jobs = [Job("now", number, [f"seed={number}"], "as given", number) for number in range(3)]
    for job in jobs:
        begin_job(tmp_path / str(job.number), job)
    begin_job(tmp_path / "9", Job("before", 9, [], "as given", 9))
    write_json(tmp_path / "0" / "metrics.json", {"auc": 0.5})
    write_text(tmp_path / "0" / "report.html", "<p>")
    write_failure(tmp_path / "1", "ValueError", "sqlite:///c.db?password=hush", "seed: 1\n")
    assert [(job.number, ended) for job, ended in job_states(tmp_path, "now")] == [(0, True), (1, True), (2, False)]
    finished, failed, stopped = read_jobs(tmp_path, "now")
    assert (finished.metrics, finished.failed) == ({"auc": 0.5}, False)
    assert (failed.kind, failed.message) == ("ValueError", "sqlite:///c.db?password=***")
    assert (stopped.failed, stopped.message) == (True, UNFINISHED)
    begin_job(tmp_path / "0", jobs[0])
    assert [entry.name for entry in (tmp_path / "0").iterdir()] == ["job.json"]


def test_somebody_elses_folder_is_left_alone(tmp_path: Path) -> None:
    write_text(tmp_path / "job.json", json.dumps({"mine": 1}))
    with pytest.raises(InputError, match=r"'job\.json' in it was not made by a run"):
        begin_job(tmp_path, Job("s", 0, [], "as given", 0))
    assert read_jobs(tmp_path, "s") == []
