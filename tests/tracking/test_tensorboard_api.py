"""What TensorBoard makes of a sweep's event files, asked over its own HTTP API."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

from marketnn.tracking import Run
from marketnn.tracking.hparams import write_experiment, write_failed_session

Ask = Callable[..., Any]
ANSWER_WITHIN = 20.0  # seconds until the event files are read


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
        run.charts("training", {"loss": ["training/loss"]})
        run.metric(rmse=0.5 + seed, epochs=3)
        run.finish()
    choices = {"optimizer": ["lm", "adam"], "seed": [0.0, 1.0], "nested": [True, False]}
    write_experiment(folder, choices, ["epochs", "rmse"])
    return folder


@pytest.fixture(scope="module")
def ask(sweep: Path) -> Ask:
    """Start TensorBoard on a free port, and ask it."""
    from tensorboard import program

    board = program.TensorBoard()
    board.configure(
        argv=[None, "--logdir", str(sweep), "--port", "0", "--load_fast", "false", "--reload_interval", "1"]
    )
    url = board.launch()

    def ask(path: str, body: Mapping[str, Any] | None = None, **query: str) -> Any:
        target = f"{url}data/{path}" + (f"?{urlencode(query)}" if query else "")
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(target, data, {"Content-Type": "application/json"}), timeout=ANSWER_WITHIN) as answer:
            return json.load(answer)

    until = time.monotonic() + ANSWER_WITHIN
    while len(ask("runs")) < 4 and time.monotonic() < until:
        time.sleep(0.1)
    return ask


pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::pytest.PytestUnhandledThreadExceptionWarning"
)


def test_the_experiment_names_the_settings_and_the_metrics(ask: Ask) -> None:
    experiment = ask("plugin/hparams/experiment", {"experimentName": ""})
    kinds = {entry["name"]: entry["type"] for entry in experiment["hparamInfos"]}
    assert kinds == {"optimizer": "DATA_TYPE_STRING", "seed": "DATA_TYPE_FLOAT64", "nested": "DATA_TYPE_BOOL"}
    shown = {entry["name"]["tag"]: entry["displayName"] for entry in experiment["metricInfos"]}
    assert shown == {"metrics/epochs": "epochs", "metrics/rmse": "RMSE"}


def test_four_sessions_in_two_groups_with_their_metrics_and_states(ask: Ask) -> None:
    states = ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"]
    request = {
        "experimentName": "",
        "startIndex": 0,
        "sliceSize": 100,
        "allowedStatuses": states,
        "aggregationType": "AGGREGATION_AVG",
        "aggregationMetric": {"group": "", "tag": "metrics/rmse"},
        "colParams": [{"metric": {"group": "", "tag": "metrics/rmse"}}, {"hparam": "optimizer"}, {"hparam": "nested"}],
    }
    groups = {group["name"]: group for group in ask("plugin/hparams/session_groups", request)["sessionGroups"]}
    assert set(groups) == {"lm", "adam"}
    assert sorted(len(group["sessions"]) for group in groups.values()) == [2, 2]
    assert {name: group["hparams"]["nested"] for name, group in groups.items()} == {"lm": True, "adam": False}
    assert {session["status"] for session in groups["lm"]["sessions"]} == {"STATUS_SUCCESS"}
    assert sorted(session["status"] for session in groups["adam"]["sessions"]) == ["STATUS_FAILURE", "STATUS_SUCCESS"]
    (failed,) = (session for session in groups["adam"]["sessions"] if session["status"] == "STATUS_FAILURE")
    assert not failed.get("metricValues")
    values = {
        value["value"]
        for session in groups["lm"]["sessions"]
        for value in session["metricValues"]
        if value["name"]["tag"] == "metrics/rmse"
    }
    assert values == {0.5, 1.5}


def test_the_curves_of_all_jobs_are_on_one_chart(ask: Ask) -> None:
    points = ask("plugin/scalars/scalars", run="1", tag="training/loss")
    assert [(step, value) for _, step, value in points] == [(1, 1.0), (2, 0.5), (3, 0.5)]
    layout = ask("plugin/custom_scalars/layout")
    (category,) = layout["category"]
    assert category["title"] == "training"
    assert category["chart"][0]["multiline"]["tag"] == ["^training/loss$"]
