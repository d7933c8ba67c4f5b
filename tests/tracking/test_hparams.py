"""The three records of TensorBoard's HParams page hold what was said, each value with its own type."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata

from marketnn.tracking import Run
from marketnn.tracking.hparams import write_experiment, write_failed_session

SETTING = st.booleans() | st.floats(-1e6, 1e6) | st.text(st.characters(codec="utf-8"), max_size=8)
PARSE = {
    metadata.EXPERIMENT_TAG: metadata.parse_experiment_plugin_data,
    metadata.SESSION_START_INFO_TAG: metadata.parse_session_start_info_plugin_data,
    metadata.SESSION_END_INFO_TAG: metadata.parse_session_end_info_plugin_data,
}


def records(folder: Path) -> dict[str, dict[str, Any]]:
    """The HParams records in the folder's only event file."""
    (file,) = folder.glob("events.out.tfevents.*")
    events = EventAccumulator(str(file)).Reload()
    found = [tag for tag in PARSE if tag in events.Tags()["tensors"]]
    return {tag: MessageToDict(PARSE[tag](events.SummaryMetadata(tag).plugin_data.content)) for tag in found}


def experiment(folder: Path) -> dict[str, Any]:
    return records(folder)[metadata.EXPERIMENT_TAG]


def test_settings_keep_their_types(tmp_path: Path) -> None:
    values = {
        "scale": [True, False],
        "k": [3, 4, 3],
        "rate": [0.1, 1],
        "optimizer": ["lm", "adam"],
        "damping": ["auto", 1],
    }
    write_experiment(tmp_path, {**values, "data": ["csv", "csv"], "seed": [0, 1]}, [])
    infos = {info["name"]: info for info in experiment(tmp_path)["hparamInfos"]}
    assert {name: (info["type"], info["domainDiscrete"]) for name, info in infos.items()} == {
        "scale": ("DATA_TYPE_BOOL", [True, False]),
        "k": ("DATA_TYPE_FLOAT64", [3.0, 4.0]),
        "rate": ("DATA_TYPE_FLOAT64", [0.1, 1.0]),
        "optimizer": ("DATA_TYPE_STRING", ["lm", "adam"]),
        "damping": ("DATA_TYPE_STRING", ["auto", 1.0]),
    }
    assert all(info["differs"] for info in infos.values())


def test_a_sweep_over_seeds_alone_shows_its_choices(tmp_path: Path) -> None:
    write_experiment(tmp_path, {"data": ["csv", "csv"], "seed": [0, 1]}, [])
    (info,) = experiment(tmp_path)["hparamInfos"]
    assert (info["name"], info["domainDiscrete"]) == ("data", ["csv"])


def test_metrics_come_with_their_meaning_the_main_ones_first(tmp_path: Path) -> None:
    write_experiment(tmp_path, {"k": [2, 3]}, ["n_rows", "own", "rmse_linear", "r2", "rmse"])
    infos = experiment(tmp_path)["metricInfos"]
    assert [info["name"]["tag"] for info in infos] == [
        f"metrics/{name}" for name in ("rmse", "r2", "own", "rmse_linear", "n_rows")
    ]
    assert [info["displayName"] for info in infos] == ["RMSE", "R²", "own", "RMSE, linear", "rows"]
    assert infos[0]["description"] == "root of the mean squared error; in units of the score; lower is better"
    assert "description" not in infos[2]


@settings(deadline=None, max_examples=25)
@given(given=st.dictionaries(st.text("abc._", min_size=1, max_size=6), SETTING, max_size=4))
def test_a_session_holds_what_the_job_was_given(
    given: dict[str, bool | float | str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("job")
    write_failed_session(folder, {**given, "seed": 7}, "k=3", 12.5)
    start, end = records(folder).values()
    held = start.get("hparams", {})
    assert {name: (type(value), value) for name, value in held.items()} == {
        name: (type(value), value) for name, value in given.items()
    }
    assert (start["groupName"], start["startTimeSecs"]) == ("k=3", 12.5)
    assert end["status"] == "STATUS_FAILURE"
    assert end["endTimeSecs"] == pytest.approx(time.time(), abs=60)


def test_a_finished_run_writes_one_session_into_its_one_event_file(tmp_path: Path) -> None:
    run = Run(tmp_path / "run", title="t", settings={"optimizer": "lm", "seed": 7})
    partial = next((tmp_path / "run").rglob("events.out.tfevents.*")).parent
    run._events.flush()
    assert list(records(partial)) == [metadata.SESSION_START_INFO_TAG], "it is running"
    run.finish()
    start, end = records(tmp_path / "run").values()
    assert start["hparams"] == {"optimizer": "lm", "seed": 7.0}, "a row of its own shows its seed"
    assert "groupName" not in start
    assert end["status"] == "STATUS_SUCCESS"
    assert end["endTimeSecs"] >= start["startTimeSecs"]


def test_a_run_without_settings_is_no_session(tmp_path: Path) -> None:
    Run(tmp_path / "run", title="t").finish()
    assert records(tmp_path / "run") == {}
