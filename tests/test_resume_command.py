"""Commands that are stopped: given again they go on and end with the same bytes; another command does not get their folder."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pandas as pd
import pytest

from marketnn import cli
from marketnn.tracking import Run
from marketnn.tracking.checkpoint import CheckpointFolder
from marketnn.tracking.partial import is_half_written

SCORECARD = ["pipeline=scorecard", "data=index_scores", "data.n=120", "pipeline.members=2", "pipeline.max_epochs=30"]
SEGMENT = ["pipeline=segment", "data=points", "data.n=60", "data.groups=3", "pipeline.n_clusters=3"]


class Killed(BaseException):
    """The process dies."""


def results(folder: Path) -> dict[str, bytes]:
    files = [folder / "metrics.json", *sorted((folder / "tables").glob("*.csv"))]
    assert len(files) > 1
    return {file.name: file.read_bytes() for file in files}


def stop_saving(patch: pytest.MonkeyPatch, calls: int, error: BaseException) -> None:
    """Let a training keep every epoch, and fail at a later one; a process that dies has no time to clear up."""
    save, made = CheckpointFolder.save, []

    def stopping(self: CheckpointFolder, key: str, named: object) -> None:
        if len(made) == calls:
            raise error
        made.append(key)
        save(self, key, named)

    patch.setattr(CheckpointFolder, "save", stopping)
    patch.setattr(CheckpointFolder.__init__, "__defaults__", (0.0,))
    if isinstance(error, Killed):
        patch.setattr(Run, "discard", lambda self: self._close())


def epochs_found(patch: pytest.MonkeyPatch) -> list[int]:
    """List the epochs of every checkpoint that a training goes on from."""
    load, found = CheckpointFolder.load, []

    def watched(self: CheckpointFolder, key: str) -> object:
        named = load(self, key)
        found.append(0 if named is None else len(named["history/loss"]))
        return named

    patch.setattr(CheckpointFolder, "load", watched)
    return found


def test_a_killed_command_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main([*SCORECARD, "hydra.run.dir=whole"]) == 0
    with monkeypatch.context() as patch:
        stop_saving(patch, 5, Killed())
        with pytest.raises(Killed):
            cli.main([*SCORECARD, "hydra.run.dir=stopped"])
    assert is_half_written(Path("stopped"))
    capsys.readouterr()
    for words, message in (
        ([*SCORECARD, "seed=1", "hydra.run.dir=stopped"], "an unfinished run of another configuration"),
        (["pipeline=predict", "model=stopped", "data=index_scores"], "this run has not come to its end"),
        (["pipeline=diff", "runs=[whole,stopped]"], "this run has not come to its end"),
        (["rerun=stopped", "hydra.run.dir=again"], "this run has not come to its end"),
    ):
        assert cli.main(words) == 2
        said = capsys.readouterr().err
        assert message in said
        assert len(said.splitlines()) <= 3
    with monkeypatch.context() as patch:
        found = epochs_found(patch)
        assert cli.main([*SCORECARD, "hydra.run.dir=stopped"]) == 0
    assert found == [5]
    assert results(Path("stopped")) == results(Path("whole"))
    assert not Path("stopped/.partial").exists()


def test_a_full_disk_is_told_and_the_last_checkpoint_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patch:
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "out/.partial/checkpoints/x")
        stop_saving(patch, 4, full)
        assert cli.main([*SCORECARD, "hydra.run.dir=out"]) == 2
    said = capsys.readouterr().err
    assert "out/.partial/checkpoints/x: No space left on device; make room and give the same command again" in said
    assert len(said.splitlines()) == 1
    found = epochs_found(monkeypatch)
    assert cli.main([*SCORECARD, "hydra.run.dir=out"]) == 0
    assert found == [4]


def test_a_sweep_given_again_runs_what_is_unfinished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["-m", *SEGMENT, "hydra.sweep.dir=sweep"]
    assert cli.main([*words, "seed=0,1,2"]) == 0
    whole = {job: results(Path("sweep") / job) for job in "012"}
    summary = Path("sweep/summary.csv").read_bytes()
    stamps = {job: Path(f"sweep/{job}/report.html").stat().st_mtime_ns for job in "012"}
    Path("sweep/1/report.html").unlink()  # as if it had been stopped before its end
    capsys.readouterr()
    assert cli.main([*words, "seed=0,1,2"]) == 0
    assert "Finished before and not run again: 2 jobs" in capsys.readouterr().out
    assert {job: results(Path("sweep") / job) for job in "012"} == whole
    assert Path("sweep/summary.csv").read_bytes() == summary
    again = {job: Path(f"sweep/{job}/report.html").stat().st_mtime_ns for job in "012"}
    assert [job for job in "012" if again[job] != stamps[job]] == ["1"]
    assert cli.main([*words, "seed=0,5"]) == 0
    assert "Finished before and not run again: 1 job;" in capsys.readouterr().out
    assert list(pd.read_csv("sweep/summary.csv")["seed"]) == [0, 5]


def test_a_sweep_repeats_a_job_whose_file_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    frame = pd.DataFrame({"age": range(20), "churn": [0, 1] * 10})
    frame.to_csv("c.csv", index=False)
    words = [
        "-m",
        "pipeline=inspect",
        "data=csv",
        "data.path=c.csv",
        "data.target=churn",
        "seed=0",
        "hydra.sweep.dir=s",
    ]
    assert cli.main(words) == 0
    first = results(Path("s/0"))
    frame.assign(income=1.5).to_csv("c.csv", index=False)
    younger = Path("s/0/report.html").stat().st_mtime + 1
    os.utime("c.csv", (younger, younger))
    assert cli.main(words) == 0
    assert results(Path("s/0")) != first
