"""A run that is stopped, at whatever moment: never taken for a finished one, continued by its like, not lost to another."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch

from marketnn.errors import InputError
from marketnn.tracking import Run, SavedModel, load_model
from marketnn.tracking.folder import clear_run, read_finished
from marketnn.tracking.partial import Begun, begin, is_half_written


class Killed(BaseException):
    """What no ``except`` of the program's expects."""


def filled(folder: Path, config: str = "seed: 0\n", auc: float = 0.75) -> Run:
    run = Run(folder, title="t", config=config, facts={"command": "marketnn seed=0"})
    run.section("Numbers")
    run.table("numbers", pd.DataFrame({"value": [auc]}), "Numbers")
    run.model(SavedModel("churn", {"auc": auc}, {}))
    run.metric(auc=auc)
    return run


def kill_at(patch: pytest.MonkeyPatch, name: str, call: int) -> None:
    """Let the n-th call of a function of ``os`` be the last thing that happens."""
    real, calls = getattr(os, name), []

    def stopping(*given: object, **named: object) -> object:
        calls.append(given)
        if len(calls) > call:
            raise Killed
        return real(*given, **named)

    patch.setattr(os, name, stopping)


def results(folder: Path) -> tuple[dict[str, float], float]:
    finished = read_finished(folder)
    return dict(finished.metrics), float(finished.tables["numbers"]["value"].iloc[0])


@pytest.mark.parametrize("function", ["replace", "unlink", "rmdir"])
def test_a_second_run_killed_at_any_step_of_its_end_leaves_one_run_whole_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    seen, call, ended = set(), 0, False
    while not ended:
        folder = tmp_path / str(call)
        filled(folder, auc=0.5).finish()
        second = filled(folder, auc=0.75)
        with monkeypatch.context() as patch:
            kill_at(patch, function, call)
            try:
                second.finish()
                ended = True
            except Killed:
                second._close()
        try:
            found = results(folder)
            assert found in (({"auc": 0.5}, 0.5), ({"auc": 0.75}, 0.75))
            assert load_model(folder).settings["auc"] == found[1]
            seen.add(found[1])
        except InputError:
            for reader in (read_finished, load_model):
                with pytest.raises(InputError, match="this run has not come to its end"):
                    reader(folder)
            seen.add(0.0)
        filled(folder, auc=0.75).finish()
        assert results(folder) == ({"auc": 0.75}, 0.75)
        assert not (folder / ".partial").exists()
        call += 1
    assert seen >= ({0.0, 0.75} if function == "replace" else {0.75})


def test_the_same_run_takes_over_the_checkpoints_and_nothing_else(tmp_path: Path) -> None:
    first = filled(tmp_path)
    first.checkpoints.save("key", {"w": torch.tensor([1.5])})
    first._close()  # and then killed
    assert is_half_written(tmp_path)
    second = Run(tmp_path, title="t", config="seed: 0\n", facts={"command": "another wording"})
    kept = second.checkpoints.load("key")
    assert kept is not None
    assert kept["w"].item() == 1.5
    assert second.checkpoints.load("other") is None
    assert not (tmp_path / ".partial" / "tables").exists()
    second.finish()
    assert not is_half_written(tmp_path)
    assert not (tmp_path / ".partial").exists()
    assert not (tmp_path / "checkpoints").exists()


def test_another_configuration_or_other_threads_are_refused(tmp_path: Path) -> None:
    filled(tmp_path)._close()
    with pytest.raises(InputError, match=r"unfinished run of another configuration .*begun by 'marketnn seed=0'"):
        filled(tmp_path, config="seed: 1\n")
    note = tmp_path / ".partial" / "begun.json"
    content = json.loads(note.read_text())
    content["versions"]["threads"] = "97"
    note.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"begun with threads 97, and now there is \d+"):
        filled(tmp_path)
    assert is_half_written(tmp_path)
    shutil.rmtree(tmp_path / ".partial")
    filled(tmp_path, config="seed: 1\n").finish()


def test_a_stopped_second_run_leaves_the_first_to_readers(tmp_path: Path) -> None:
    filled(tmp_path, auc=0.5).finish()
    filled(tmp_path, auc=0.75)._close()
    assert results(tmp_path) == ({"auc": 0.5}, 0.5)
    with pytest.raises(InputError, match="another configuration"):
        filled(tmp_path, config="seed: 1\n")


@pytest.mark.parametrize("note", ["", "{", "[]", '{"command": 1}'])
def test_what_was_stopped_before_its_note_was_written_holds_nothing(tmp_path: Path, note: str) -> None:
    (tmp_path / ".partial").mkdir()
    (tmp_path / ".partial" / "begun.json").write_text(note)
    assert not is_half_written(tmp_path)
    begin(tmp_path, Begun("", "seed: 0\n", {}))
    assert is_half_written(tmp_path)


@pytest.mark.parametrize("call", range(6))
def test_a_folder_that_is_half_cleared_is_not_finished_and_still_a_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    filled(tmp_path).finish()
    with monkeypatch.context() as patch:
        kill_at(patch, "unlink", call)
        with pytest.raises(Killed):
            clear_run(tmp_path)
    if call:
        with pytest.raises(InputError, match="name the folder of a finished run"):
            read_finished(tmp_path)
    filled(tmp_path, auc=0.25).finish()
    assert results(tmp_path) == ({"auc": 0.25}, 0.25)


def test_an_interrupted_run_keeps_its_checkpoints_and_goes_without_them(tmp_path: Path) -> None:
    run = filled(tmp_path / "with")
    run.checkpoints.save("key", {"w": torch.tensor(1.0)})
    run.interrupt()
    assert is_half_written(tmp_path / "with")
    filled(tmp_path / "without").interrupt()
    assert not (tmp_path / "without").exists()
