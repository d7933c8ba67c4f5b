"""Sweeps, reruns and differences, as they are typed: a job notices nothing of the others, and a failure stays one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import api_pb2, metadata

from marketnn import cli
from marketnn.tracking.sweep import UNFINISHED

SEGMENT = ["pipeline=segment", "data=points", "data.n=60", "data.groups=3", "pipeline.n_clusters=3"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def results(folder: Path) -> dict[str, bytes]:
    """The files of a run that hold its numbers."""
    files = [folder / "metrics.json", *sorted((folder / "tables").glob("*.csv"))]
    assert len(files) > 1
    return {file.name: file.read_bytes() for file in files}


def test_the_first_sweep_of_a_reader(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3))
    frame = pd.DataFrame(x, columns=["price", "service", "speed"]).assign(score=60 + 10 * np.tanh(x[:, 0]) + x[:, 1])
    frame.to_csv(here / "indices.csv", index=False)
    words = ["pipeline=scorecard", "data=csv", "data.path=indices.csv", "data.target=score", "pipeline.members=1"]
    words += ["pipeline.max_epochs=5", "optimizer=lm,adam", "seed=0,1", "hydra.sweep.dir=sweep"]
    assert cli.main(["-m", *words]) == 0
    printed = capsys.readouterr().out
    assert sorted(file.parent.name for file in (here / "sweep").rglob("metrics.json")) == ["0", "1", "2", "3"]
    summary = pd.read_csv("sweep/summary.csv")
    assert list(summary["setting"]) == ["optimizer=lm"] * 2 + ["optimizer=adam"] * 2
    assert list(summary["seed"]) == [0, 1, 0, 1]
    for job, rmse in zip(summary["job"], summary["rmse"], strict=True):
        assert json.loads((here / "sweep" / str(job) / "metrics.json").read_text())["rmse"] == pytest.approx(
            rmse, rel=1e-12
        )
    comparison = pd.read_csv("sweep/comparison.csv").set_index(["setting", "metric"])
    rmse = summary["rmse"].to_numpy()
    adam = comparison.loc[("optimizer=adam", "rmse")]
    assert adam["difference"] == pytest.approx(np.mean(rmse[2:] - rmse[:2]), rel=1e-12)
    assert adam["n"] == adam["n_shared"] == 2
    assert "4 jobs, 2 settings, 0 failed." in printed
    assert "summary: sweep/summary.html" in printed
    page = (here / "sweep" / "summary.html").read_text()
    assert "optimizer=adam" in page
    assert "data:image/png;base64," in page
    versions = json.loads((here / "sweep" / "3" / "versions.json").read_text())
    assert versions["default_dtype"] == "torch.float32"
    assert int(versions["threads"]) >= 1


def session_status(folder: Path) -> int:
    """How the one event file in a folder says that its job ended."""
    (file,) = folder.glob("events.out.tfevents.*")
    read = EventAccumulator(str(file)).Reload()
    content = read.SummaryMetadata(metadata.SESSION_END_INFO_TAG).plugin_data.content
    return metadata.parse_session_end_info_plugin_data(content).status


LAUNCHERS = {
    "basic": [],
    "joblib": ["hydra.launcher.n_jobs=2"],
    "submitit_local": ["hydra.launcher.timeout_min=5", "hydra.launcher.cpus_per_task=1"],
    "ray": ["+hydra.launcher.ray.init.num_cpus=2", "+hydra.launcher.ray.remote.num_cpus=1"],
}
PLUGINS = {"submitit_local": "hydra_submitit_launcher"}


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_job_of_a_sweep_equals_the_job_alone(here: Path, launcher: str) -> None:
    if launcher != "basic":
        pytest.importorskip(f"hydra_plugins.{PLUGINS.get(launcher, f'hydra_{launcher}_launcher')}")
    words = ["-m", *SEGMENT, "cluster=kmeans,ck", "seed=3", "hydra.sweep.dir=sweep", f"hydra/launcher={launcher}"]
    assert cli.main([*words, *LAUNCHERS[launcher]]) == 0
    assert cli.main([*SEGMENT, "cluster=ck", "seed=3", "hydra.run.dir=alone"]) == 0
    assert results(here / "sweep" / "1") == results(here / "alone")


@pytest.mark.usefixtures("here")
def test_a_failed_job_is_shown_and_not_averaged_in(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["-m", *SEGMENT[:2], "data.n=60,20", "pipeline.n_clusters=30", "seed=0,1", "hydra.sweep.dir=sweep"]
    assert cli.main(words) == 1
    printed = capsys.readouterr().out
    assert "4 jobs, 2 settings, 2 failed." in printed
    assert "Job 2 (data.n=20, seed 0) failed: 20 made-up points: n_samples=20" in printed
    summary = pd.read_csv("sweep/summary.csv")
    assert list(summary["status"]) == ["finished", "finished", "failed", "failed"]
    assert summary.loc[2:, "silhouette"].isna().all()
    comparison = pd.read_csv("sweep/comparison.csv").set_index(["setting", "metric"])
    failed = comparison.loc[("data.n=20", "silhouette")]
    assert (failed["n"], failed["n_failed"]) == (0, 2)
    assert np.isnan(failed["mean"])
    finished = comparison.loc[("data.n=60", "silhouette")]
    assert finished["mean"] == pytest.approx(summary.loc[:1, "silhouette"].mean(), rel=1e-12)
    failure = json.loads(Path("sweep/2/failure.json").read_text())
    assert failure["kind"] == "InputError"
    assert session_status(Path("sweep/2")) == api_pb2.STATUS_FAILURE
    assert session_status(Path("sweep/0")) == api_pb2.STATUS_SUCCESS
    assert not Path("sweep/2/metrics.json").exists()
    assert not Path("sweep/2/report.html").exists()
    assert cli.main(["pipeline=diff", "runs=[sweep/0,sweep/2]"]) == 2
    assert "this run failed" in capsys.readouterr().err


@pytest.mark.usefixtures("here")
def test_a_failure_replaces_an_earlier_result() -> None:
    words = ["-m", "pipeline=inspect", "data=points", "hydra.sweep.dir=sweep"]
    assert cli.main([*words, "data.n=60,61"]) == 0
    assert cli.main([*words, "data.n=60,-1"]) == 1
    assert Path("sweep/0/metrics.json").exists()
    assert not Path("sweep/1/metrics.json").exists()
    assert cli.main([*words, "data.n=60,62"]) == 0
    assert not Path("sweep/1/failure.json").exists()
    assert list(pd.read_csv("sweep/summary.csv")["status"]) == ["finished", "finished"]


@pytest.mark.usefixtures("here")
def test_a_fault_of_the_program_fails_its_job_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from marketnn.pipeline import inspect

    def fail(config: object, parts: object, out: object) -> None:
        raise ZeroDivisionError("postgresql://reader:hush@db/x")

    monkeypatch.setattr(inspect, "run", fail)
    assert cli.main(["-m", *SEGMENT[1:4], "pipeline=inspect", "seed=0,1", "hydra.sweep.dir=sweep"]) == 1
    printed = capsys.readouterr()
    assert "ZeroDivisionError" in printed.err
    assert "hush" not in printed.err + printed.out + Path("sweep/1/failure.json").read_text()


def test_a_rerun_repeats_every_number(here: Path) -> None:
    assert cli.main([*SEGMENT, "cluster=ck", "cluster.preset=paper", "seed=5", "hydra.run.dir=first"]) == 0
    assert cli.main(["rerun=first", "hydra.run.dir=again"]) == 0
    assert results(here / "again") == results(here / "first")
    assert (here / "again" / "config.yaml").read_text() == (here / "first" / "config.yaml").read_text()
    assert cli.main(["rerun=first", "cluster=kmeans", "data.n=61", "hydra.run.dir=changed"]) == 0
    changed = (here / "changed" / "config.yaml").read_text()
    assert "name: kmeans" in changed
    assert "preset" not in changed
    assert json.loads((here / "changed" / "metrics.json").read_text())["n_rows"] == 61


def test_a_masked_password_is_not_run_again(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import sqlite3

    with sqlite3.connect(here / "c.db") as connection:
        pd.DataFrame({"age": [1, 2, 3], "churn": [0, 1, 0]}).to_sql("customers", connection, index=False)
    connection.close()
    url = "data.url='sqlite:///c.db?password=hush'"
    words = ["pipeline=inspect", "data=sql", url, "data.query='select * from customers'", "hydra.run.dir=out"]
    assert cli.main(words) == 0
    capsys.readouterr()
    assert cli.main(["rerun=out"]) == 2
    assert "the password in data.url was masked" in capsys.readouterr().err
    assert cli.main(["rerun=out", url, "hydra.run.dir=again"]) == 0
    assert results(here / "again") == results(here / "out")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rerun=nowhere"], "there is no config.yaml in it"),
        (["rerun="], "rerun takes one folder"),
        (["rerun=a", "rerun=b"], "rerun takes one folder"),
        (["rerun=a", "experiment=paper_a/table_4_1"], "leave experiment=... out"),
        (["pipeline=diff"], "compares two runs, not 0"),
        (["pipeline=diff", "runs=[nowhere,there]"], "nowhere: there is no such folder"),
        (["pipeline=diff", "runs=[.,.]"], "there is no config.yaml"),
        (["pipeline=churn", "runs=[a,b]"], "unknown key 'pipeline.runs'"),
        (["-m", "seed=0,1", "data=csv", "data.path=(x"], "cannot read"),
        (["-m", "seed=0,1", "hydra.sweep.dir='a${now:%Y}'"], "write it out"),
    ],
)
def test_what_cannot_be_run_again_or_compared(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert cli.main(words) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert len(printed.err.splitlines()) <= 3
    assert not list(here.iterdir())


@pytest.mark.usefixtures("here")
def test_a_stopped_process_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from concurrent.futures.process import BrokenProcessPool

    from marketnn.command import sweep
    from marketnn.command.compose import launch

    def stop_after_one(job, words: list[str], primary: str) -> None:
        launch(job, [word.replace("seed=0,1,2", "seed=0") for word in words], primary)
        Path("sweep/0/report.html").unlink()  # as if it had been stopped before its end
        raise BrokenProcessPool

    monkeypatch.setattr(sweep, "launch", stop_after_one)
    assert cli.main(["-m", "pipeline=inspect", "data=points", "seed=0,1,2", "hydra.sweep.dir=sweep"]) == 1
    printed = capsys.readouterr().out
    assert "1 job, 1 setting, 1 failed." in printed
    assert "2 jobs were never begun" in printed
    assert list(pd.read_csv("sweep/summary.csv")["failure"]) == [UNFINISHED]
