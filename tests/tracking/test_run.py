"""A run folder holds whole files or none, and TensorBoard reads back what was told."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2

from marketnn.errors import InputError
from marketnn.tracking import Run
from marketnn.tracking.files import write_json, write_text


def filled(folder: Path) -> Run:
    run = Run(folder, title="a <title>", config="seed: 0\n", facts={"command": "marketnn <x>"}, n_stages=1)
    with run.stage("work"):
        run.headline("one & only")
        run.section("First", "text")
        run.table("numbers", pd.DataFrame({"name": ["<b>", "c"], "value": [1234.5, np.nan]}), "Numbers")
        figure = Figure()
        figure.subplots().plot([0, 1])
        run.figure("line", figure, "A line")
        run.curve("loss", [3.0, 2.0, 1.0])
        run.histogram("weights", np.array([-1.0, 0.0, 0.0, 2.0]), 3)
        run.charts("training", {"loss": ["loss", "validation (5 %)"]})
        run.metric(auc=0.75, n_rows=np.int64(7))
    return run


def test_a_finished_run(tmp_path: Path) -> None:
    run = filled(tmp_path / "run")
    run.finish()
    folder = run.folder
    assert json.loads((folder / "metrics.json").read_text()) == {"auc": 0.75, "n_rows": 7}
    assert '"n_rows": 7\n' in (folder / "metrics.json").read_text()
    assert set(json.loads((folder / "timings.json").read_text())) == {"work"}
    assert {"marketnn", "python", "torch"} <= set(json.loads((folder / "versions.json").read_text()))
    assert (folder / "config.yaml").read_text() == "seed: 0\n"
    assert (folder / "tables" / "numbers.csv").read_text() == "name,value\n<b>,1234.5\nc,\n"
    assert (folder / "figures" / "line.png").read_bytes().startswith(b"\x89PNG")
    page = (folder / "report.html").read_text()
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert "one &amp; only" in page
    assert "data:image/png;base64," in page
    assert "http" not in page.replace("http-equiv", "")
    assert not [entry for entry in folder.rglob("*") if entry.name.startswith(".")]


def test_tensorboard_reads_it_back(tmp_path: Path) -> None:
    run = filled(tmp_path / "run")
    run.finish()
    events = EventAccumulator(str(run.folder))
    events.Reload()
    assert [event.value for event in events.Scalars("loss")] == [3.0, 2.0, 1.0]
    assert [event.step for event in events.Scalars("loss")] == [1, 2, 3]
    assert events.Scalars("metrics/auc")[0].value == 0.75
    assert events.Images("figures/line")
    (histogram,) = events.Histograms("weights")
    assert histogram.step == 3
    numbers = histogram.histogram_value
    assert (numbers.min, numbers.max, numbers.num, numbers.sum) == (-1.0, 2.0, 4.0, 1.0)
    layout = layout_pb2.Layout()
    layout.ParseFromString(events.Tensors("custom_scalars__config__")[0].tensor_proto.string_val[0])
    (category,) = layout.category
    (chart,) = category.chart
    assert (category.title, chart.title) == ("training", "loss")
    first, second = chart.multiline.tag
    assert re.search(first, "loss")
    assert not re.search(first, "validation_loss")
    assert re.search(second, "validation (5 %)")
    text = events.Tensors("tables/numbers/text_summary")[0].tensor_proto.string_val[0].decode()
    assert text.splitlines()[0] == "| name | value |"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_metrics_are_numbers(tmp_path: Path, value: float) -> None:
    with pytest.raises(ValueError, match="metric 'auc' is"):
        Run(tmp_path / "run", title="t").metric(auc=value)


def test_a_discarded_run_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    filled(Path("runs/today/one")).discard()
    assert list(tmp_path.iterdir()) == []


def test_a_discarded_run_spares_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "customers.csv").write_text("a,b\n")
    filled(tmp_path).discard()
    assert [entry.name for entry in tmp_path.iterdir()] == ["customers.csv"]


def test_a_second_run_replaces_the_first_and_nothing_else_and_only_at_the_end(tmp_path: Path) -> None:
    filled(tmp_path).finish()
    (tmp_path / "notes.txt").write_text("mine")
    second = Run(tmp_path, title="second")
    assert (tmp_path / "tables" / "numbers.csv").exists()
    second.finish()
    assert not (tmp_path / "tables").exists()
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert len(list(tmp_path.glob("events.out.tfevents.*"))) == 1
    assert not (tmp_path / ".partial").exists()


def test_a_refused_second_run_leaves_the_first_as_it_was(tmp_path: Path) -> None:
    filled(tmp_path).finish()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    filled(tmp_path).discard()
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_what_a_killed_run_left_is_cleared(tmp_path: Path) -> None:
    (tmp_path / ".partial" / "tables").mkdir(parents=True)
    (tmp_path / ".partial" / "tables" / "half.csv").write_text("a,")
    Run(tmp_path, title="again").finish()
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("events")) == [
        "config.yaml",
        "metrics.json",
        "report.html",
        "timings.json",
        "versions.json",
    ]


def test_somebody_elses_files_are_no_earlier_run(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("mine: true")
    (tmp_path / "tables").mkdir()
    with pytest.raises(InputError, match=r"'config\.yaml' in it was not made by a run; choose another hydra\.run\.dir"):
        Run(tmp_path, title="t")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="this is a file"):
        Run(tmp_path / "file", title="t")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yaml", "file", "tables"]


def test_files_are_replaced_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.txt"
    write_text(path, "old")

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.txt"]


def test_json_is_strict(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"a": float("nan")})
    assert list(tmp_path.iterdir()) == []
