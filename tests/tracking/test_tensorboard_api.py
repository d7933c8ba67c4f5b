"""What TensorBoard makes of a sweep's event files, asked over its own HTTP API."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import numpy as np
import pytest
from matplotlib.figure import Figure
from tensorboard import program

from marketnn.tracking import Run
from marketnn.tracking.hparams import write_experiment, write_failed_session

Ask = Callable[..., Any]
ANSWER_WITHIN = 20.0  # seconds
LABELS = np.random.default_rng(0).integers(0, 2, 200)
PROBABILITY = np.clip(0.25 + 0.5 * LABELS + np.random.default_rng(1).normal(0, 0.25, 200), 0, 1)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two settings and two seeds; the last job failed."""
    folder = tmp_path_factory.mktemp("sweep")
    for number, (optimizer, seed) in enumerate([("lm", 0), ("lm", 1), ("adam", 0), ("adam", 1)]):
        settings: dict[str, bool | float | str] = {"optimizer": optimizer, "seed": seed, "nested": optimizer == "lm"}
        if number == 3:
            write_failed_session(folder / "3", settings, optimizer, time.time())
            continue
        run = Run(folder / str(number), title="job", settings=settings, group=optimizer)
        run.section("Training")
        run.curve("training/loss", [1.0, 0.5, 0.25 * (1 + seed)])
        run.curve(f"error/{optimizer}", [3.0, 2.0])
        run.charts("training", {"loss": ["training/loss"], "error": ["error/"]})
        run.pr_curve("test/churn", LABELS, PROBABILITY)
        run.histogram("probability", PROBABILITY)
        figure = Figure()
        figure.subplots().plot([0, 1])
        run.figure("line", figure, "A line")
        run.metric(rmse=0.5 + seed, epochs=3)
        run.finish()
    choices = {"optimizer": ["lm", "adam"], "seed": [0.0, 1.0], "nested": [True, False]}
    write_experiment(folder, choices, ["epochs", "rmse"])
    return folder


@pytest.fixture(scope="module")
def ask(sweep: Path) -> Ask:
    """Start TensorBoard on a free port, all files read, and ask it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "html5lib's sanitizer is deprecated", DeprecationWarning)
        board = program.TensorBoard()
    read_first = ["--load_fast", "false", "--reload_task", "blocking", "--reload_interval", "0"]
    board.configure(argv=[None, "--logdir", str(sweep), "--port", "0", *read_first])
    url = board.launch()

    def ask(path: str, body: Mapping[str, Any] | None = None, **query: str) -> Any:
        target = f"{url}data/{path}" + (f"?{urlencode(query)}" if query else "")
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(target, data, {"Content-Type": "application/json"}), timeout=ANSWER_WITHIN) as answer:
            return json.load(answer)

    return ask


def test_the_experiment_names_the_settings_and_the_metrics(ask: Ask) -> None:
    experiment = ask("plugin/hparams/experiment", {"experimentName": ""})
    kinds = {entry["name"]: entry["type"] for entry in experiment["hparamInfos"]}
    assert kinds == {"optimizer": "DATA_TYPE_STRING", "nested": "DATA_TYPE_BOOL"}
    shown = {entry["name"]["tag"]: entry["displayName"] for entry in experiment["metricInfos"]}
    assert shown == {"metrics/epochs": "epochs", "metrics/rmse": "RMSE"}


def session_groups(ask: Ask, **column: Any) -> dict[str, dict[str, Any]]:
    """The rows of the HParams page, by name, with a further restriction on the column of ``nested``."""
    request = {
        "experimentName": "",
        "startIndex": 0,
        "sliceSize": 100,
        "allowedStatuses": ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"],
        "aggregationType": "AGGREGATION_AVG",
        "colParams": [{"metric": {"group": "", "tag": "metrics/rmse"}}, {"hparam": "nested", **column}],
    }
    return {group["name"]: group for group in ask("plugin/hparams/session_groups", request)["sessionGroups"]}


def values(holder: Mapping[str, Any]) -> dict[str, float]:
    return {value["name"]["tag"]: value["value"] for value in holder.get("metricValues", [])}


def test_four_sessions_in_two_groups_with_their_metrics_and_states(ask: Ask) -> None:
    groups = session_groups(ask)
    assert {name: group["hparams"] for name, group in groups.items()} == {
        "lm": {"optimizer": "lm", "nested": True},
        "adam": {"optimizer": "adam", "nested": False},
    }
    sessions = {session["name"]: session for group in groups.values() for session in group["sessions"]}
    assert {name: session["status"] for name, session in sessions.items()} == {
        "0": "STATUS_SUCCESS",
        "1": "STATUS_SUCCESS",
        "2": "STATUS_SUCCESS",
        "3": "STATUS_FAILURE",
    }
    assert {name: values(session) for name, session in sessions.items()} == {
        "0": {"metrics/rmse": 0.5, "metrics/epochs": 3.0},
        "1": {"metrics/rmse": 1.5, "metrics/epochs": 3.0},
        "2": {"metrics/rmse": 0.5, "metrics/epochs": 3.0},
        "3": {},
    }


def test_a_group_shows_the_mean_of_the_jobs_that_finished(ask: Ask) -> None:
    means = {name: values(group)["metrics/rmse"] for name, group in session_groups(ask).items()}
    assert means == {"lm": 1.0, "adam": 0.5}


def test_groups_are_chosen_by_a_truth_value(ask: Ask) -> None:
    assert set(session_groups(ask, filterDiscrete=[True])) == {"lm"}


def test_the_curves_of_all_jobs_are_on_one_chart(ask: Ask) -> None:
    points = ask("plugin/scalars/scalars", run="1", tag="training/loss")
    assert [(step, value) for _, step, value in points] == [(1, 1.0), (2, 0.5), (3, 0.5)]
    (category,) = ask("plugin/custom_scalars/layout")["category"]
    assert category["title"] == "training"
    charts = {chart["title"]: chart["multiline"]["tag"] for chart in category["chart"]}
    assert charts == {"loss": ["^training/loss$"], "error": ["^error/"]}, "alike in every run, so shown once"
    for run, tag in (("0", "error/lm"), ("2", "error/adam")):
        (pattern,) = charts["error"]
        found = ask("plugin/custom_scalars/scalars", run=run, tag=pattern)
        assert found["regex_valid"]
        assert {name: [value for *_, value in curve] for name, curve in found["tag_to_events"].items()} == {
            tag: [3.0, 2.0]
        }


def test_precision_and_recall_are_those_of_every_threshold(ask: Ask) -> None:
    (curve,) = ask("plugin/pr_curves/pr_curves", run="0", tag="test/churn")["0"]
    assert len(curve["thresholds"]) > 100
    chosen = PROBABILITY[None, :] >= np.array(curve["thresholds"])[:, None]
    found = (chosen & (LABELS == 1)).sum(axis=1)
    np.testing.assert_array_equal(curve["true_positives"], found)
    np.testing.assert_allclose(curve["precision"], found / chosen.sum(axis=1), rtol=1e-6)
    np.testing.assert_allclose(curve["recall"], found / LABELS.sum(), rtol=1e-6)


def test_figures_and_distributions_are_there(ask: Ask) -> None:
    images = ask("plugin/images/tags")
    assert {run: list(tags) for run, tags in images.items() if tags} == {run: ["figures/line"] for run in "012"}
    (histogram,) = ask("plugin/histograms/histograms", run="2", tag="probability")
    assert sum(count for *_, count in histogram[2]) == pytest.approx(len(PROBABILITY))
