"""Searches as they are typed: trials that go on where they stopped, the best of them, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import optuna
import pandas as pd
import pytest

from marketnn import cli

SEGMENT = ["pipeline=segment", "data=points", "data.n=60", "data.groups=3", "pipeline.candidates=[2,3]"]
SPACE = ["cluster=kmeans,ck", "pipeline.n_clusters=int(interval(2,5))"]
WORDS = [*SEGMENT, *SPACE, "metric=silhouette", "hydra.sweep.dir=tune"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def trials(folder: str = "tune") -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(study_name="search", storage=f"sqlite:///{folder}/study.db").trials


def test_a_search_goes_on_and_proposes_what_an_unbroken_one_does(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["search=1", *WORDS]) == 0
    study = optuna.load_study(study_name="search", storage="sqlite:///tune/study.db")
    study.sampler = optuna.samplers.RandomSampler(seed=1)
    distributions = study.trials[0].distributions
    study.ask(distributions)  # a trial that was begun when the process was killed
    assert cli.main(["search=3", *WORDS]) == 0
    printed = capsys.readouterr().out
    assert [trial.state.name for trial in trials()] == ["COMPLETE"] * 3
    summary = pd.read_csv("tune/summary.csv")
    assert list(summary["job"]) == [0, 1, 2]
    for trial, setting, silhouette in zip(trials(), summary["setting"], summary["silhouette"], strict=True):
        assert trial.value == pytest.approx(silhouette, rel=1e-12)
        assert setting == " ".join(f"{key}={trial.params[key]}" for key in distributions)
        assert trial.value == json.loads((here / "tune" / str(trial.number) / "metrics.json").read_text())["silhouette"]
    best = summary.loc[summary["silhouette"].idxmax()]
    assert f"silhouette {best['silhouette']:.6g}  trial {best['job']}: {best['setting']}" in printed
    assert "3 jobs" in printed
    assert cli.main([*SEGMENT, *best["setting"].split(), "hydra.run.dir=alone"]) == 0
    assert (here / "alone" / "metrics.json").read_bytes() == (
        here / "tune" / str(best["job"]) / "metrics.json"
    ).read_bytes()
    unbroken = [word if word != "hydra.sweep.dir=tune" else "hydra.sweep.dir=other" for word in WORDS]
    assert cli.main(["search=1", *unbroken]) == 0
    assert trials("other")[0].params == trials()[0].params
    assert cli.main(["search=4", *WORDS, "sampler=random"]) == 2
    assert "tune has another search, which differs in random, tpe" in capsys.readouterr().err


def test_a_failed_trial_is_told_and_the_others_go_on(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*SEGMENT, "pipeline.n_clusters=choice(3,90)", "metric=sse", "hydra.sweep.dir=tune", "sampler=random"]
    status = cli.main(["search=2", *words, "seed=1"])
    states = [trial.state.name for trial in trials()]
    assert states[0] == "COMPLETE"
    assert set(states) == {"COMPLETE", "FAIL"}
    assert status == 1
    assert f"{states.count('FAIL')} failed." in capsys.readouterr().out
    summary = pd.read_csv("tune/summary.csv")
    assert [{"finished": "COMPLETE", "failed": "FAIL"}[status] for status in summary["status"]] == states


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["search=2", *SEGMENT, "metric=sse"], "search needs something to choose from"),
        (["search=2", *SEGMENT, *SPACE], "search needs metric=NAME"),
        (["search=two", *SEGMENT, *SPACE, "metric=sse"], "search=two is not a number of trials"),
        (["search=2", *SEGMENT, *SPACE, "metric=ss", "direction=minimize"], "unknown metric 'ss'. Did you mean 'sse'?"),
        (["search=2", *SEGMENT, *SPACE, "metric=ss"], "Pass direction=minimize"),
        (["search=2", *SEGMENT, *SPACE, "metric=sse", "sampler=tp"], "unknown sampler 'tp'. Did you mean 'tpe'?"),
        (["search=2", *SEGMENT, *SPACE, "metric=sse", "-m"], "leave -m and hydra/launcher out"),
        (["search=2", *SEGMENT, "seed=0,1", "metric=sse"], "search tries each setting once"),
        (["search=2", *SEGMENT, "pipeline.n_clusters=interval(5,2)", "metric=sse"], "is no interval"),
        (["search=2", *SEGMENT, "cluster=kmeans,kmenas", "metric=sse"], "unknown cluster 'kmenas'"),
        (["metric=sse", *SEGMENT], "metric=... belongs to a search"),
        (["search=2", *SEGMENT, "pipeline.n_clusters=80,90", "metric=sse"], "n_samples=60 with only 60 distinct rows"),
    ],
)
def test_what_cannot_be_searched_is_refused_and_leaves_nothing(
    here: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words) == 2
    said = capsys.readouterr().err
    assert message in said
    assert len(said.splitlines()) <= 3
    assert not list(here.rglob("*.*"))
