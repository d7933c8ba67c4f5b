"""The command line: help at once, one to three lines and status 2 for what cannot be, and no folder left behind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from marketnn import cli

GOOD = "customer_id,age,plan,churn\n" + "".join(
    f"C{i},{20 + (7 * i) % 31},{'abc'[i % 3]},{int((i * i) % 7 < 3)}\n" for i in range(80)
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory with one good file in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.csv").write_text(GOOD)
    return tmp_path


def refuse(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Run a command that must be refused; return its message."""
    before = sorted(Path.cwd().rglob("*"))
    assert cli.main(list(words)) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert 1 <= len(printed.err.splitlines()) <= 3
    assert "Traceback" not in printed.err
    assert sorted(Path.cwd().rglob("*")) == before
    return printed.err


def test_help_lists_every_choice(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    text = capsys.readouterr().out
    for group in cli.GROUPS:
        for name in cli.options(group):
            assert re.search(rf"^  {re.escape(name)}\b", text, re.MULTILINE), name
    for key in ("data.path", "data.target", "data.missing", "pipeline.threshold", "seed", "hydra.run.dir"):
        assert f"  {key} " in text
    assert cli.main([]) == 0


def test_help_of_a_choice_lists_its_keys(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["pipeline=allocate", "data=rfm", "--help"]) == 0
    text = capsys.readouterr().out
    keys = re.findall(r"^  ((?:pipeline|data)\.\w+) ", text, re.MULTILINE)
    assert {"pipeline.channel_budget", "data.invoice"} < set(keys)
    assert "pipeline.threshold" not in keys
    assert cli.main(["pipeline=../../marketnn", "--help"]) == 0
    assert "pipeline=NAME" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["pipeline=chrun"],
            r"unknown pipeline 'chrun'\. Did you mean 'churn'\?\nThere are: .*churn, diff, .*segment",
        ),
        (["pipeline=../../etc"], r"unknown pipeline '\.\./\.\./etc'"),
        (
            ["data=exel"],
            r"There are: bank_marketing, completejourney, csv, .*online_retail, .*packaged, parquet, points, rfm, sql",
        ),
        (["experiment=paper_c/table_1"], r"There are: .*paper_a/table_4_1"),
        (["+_target_=os.system"], r"builds nothing from a _target_"),
        (["+data._target_=pandas.read_pickle"], r"builds nothing from a _target_"),
        (["pipeline.thresold=0.3"], r"unknown key 'pipeline\.thresold'\. Did you mean 'pipeline\.threshold'\?"),
        (["+pipeline.rounds=3"], r"unknown key 'pipeline\.rounds'"),
        (["sead=3"], r"unknown key 'sead'\. Did you mean 'seed'\?"),
        (["+sead=3"], r"unknown key 'sead'\. Did you mean 'seed'\?"),
        (["seed=soon"], r"seed='soon' is not a whole number"),
        (["pipeline.level=2"], r"pipeline\.level=2\.0 must lie between 0 and 1"),
        (["pipeline.candidates=[1,2]"], r"candidates=\[1, 2\] must be numbers of portraits, each at least 2"),
        (["device=cuda"], r"device 'cuda' is not to be had on this machine; use device=cpu"),
        (["device=cuda:9"], r"device 'cuda:9' is not to be had on this machine; use device=cpu"),
        (["device=gpu"], r"unknown device 'gpu'\. Did you mean 'cpu'\?\nThere are: auto, cpu, cuda"),
        (["--fast"], r"unknown flag '--fast'"),
        (["pipeline"], r"'pipeline' says nothing: write key=value"),
        (["seed=-1"], r"seed=-1 must be at least 0"),
        (["device.threads=0"], r"device\.threads=0 at least 1"),
        (["hydra.run.dir=good.csv"], r"good\.csv"),
        (["pipeline.fallback_features=0"], r"fallback_features=0 must be at least 1"),
        (["-m", "data.url=postgresql://u:hush@h/x", "data=sql", "seed=0,1"], r"keep the password in the environment"),
        (["--config-dir=elsewhere"], r"unknown flag '--config-dir=elsewhere'"),
        (["data=csv"], r"data\.path is missing; pass data\.path=\.\.\."),
        (["data=csv", "data.path=my file (1).csv"], r"""quote .*"data\.path='my file \(1\)\.csv'\""""),
        (["data=csv", "data.path=it's (1).csv"], r"""quote .*'data\.path="it'"'"'s \(1\)\.csv"'"""),
        (["data=csv", "data.path=b,c.csv"], r"""(?s)quote .*"data\.path='b,c\.csv'".*-m"""),
        (["pipeline=churn,predict"], r"names 2 choices; -m runs each"),
        (["~seed"], r"seed is missing"),
        (["device.name=mps"], r"device 'mps' is not to be had"),
        (["hydra.output_subdir=.hydra"], r"stays null"),
        (["--cfg=job"], r"unknown flag"),
        (["-m", "pipeline=inspect", "data=csv", "data.path=nope.csv", "seed=0,1"], r"nope\.csv: there is no such file"),
        (["-m", "sead=0,1"], r"unknown key 'sead'"),
        (["data=csv", "data.path=nowhere.csv"], r"nowhere\.csv: there is no such file"),
        (["data=csv", "data.path=."], r"this is a folder"),
        (["data=csv", "data.path=good.csv"], r"no target column; pass data\.target"),
        (["data=csv", "data.path=good.csv", "data.target=chum"], r"'chum'\. Did you mean 'churn'\?"),
        (["data=csv", "data.path=good.csv", "data.target=plan"], r"target 'plan' has 3 classes"),
        (
            ["data=csv", "data.path=good.csv", "data.target=churn", "data.categorical=[customer_id]"],
            r"'customer_id' has 80 different values in 80 rows",
        ),
        (
            ["data=csv", "data.path=good.csv", "data.target=churn", "pipeline.n_portraits=60"],
            r"60 portraits were asked for, but the 57 churned customers have 57 distinct rows",
        ),
        (
            ["data=csv", "data.path=good.csv", "data.target=churn", "pipeline.min_churners=58"],
            r"57 rows have churn=1; portraits need at least 58",
        ),
        (["data=sql", "data.url=sqlite:///no.db", "data.query='select 1'"], r"there is no database file 'no\.db'"),
        (["data=sql", "data.url='${oc.env:NO_SUCH_NAME}'", "data.query='select 1'"], r"NO_SUCH_NAME"),
        (["optimizer=lmm"], r"unknown optimizer 'lmm'\. Did you mean 'lm'\?"),
        (["network=bp,cnn"], r"There are: bp"),
        (["optimizer.daping=1"], r"unknown key 'optimizer\.daping'\. Did you mean 'optimizer\.damping'\?"),
        (["network.hidden=relu"], r"network\.hidden=relu is not possible; choose sigmoid, tanh"),
        (["pipeline=scorecard", "data=packaged"], r"target 'churn' is text, such as '(Yes|No)'; a number is needed"),
        (["pipeline=scorecard", "data=csv", "data.path=good.csv"], r"no target column; pass data\.target"),
        (["pipeline=predict"], r"model is missing; pass model=RUN_FOLDER"),
        (["pipeline=predict", "model=nowhere"], r"model=nowhere: there is no such folder"),
        (["pipeline=predict", "model=."], r"the folder holds no model"),
    ],
)
@pytest.mark.usefixtures("here")
def test_refusals(capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    if words == ["device=cuda"] and torch.cuda.is_available():
        pytest.skip("there is a CUDA card")
    assert re.search(message, refuse(capsys, *words))


@pytest.mark.usefixtures("here")
def test_a_password_is_never_shown(capsys: pytest.CaptureFixture[str]) -> None:
    url = "postgresql://reader:hush@127.0.0.1:1/customers"
    assert "hush" not in refuse(capsys, "data=sql", f"data.url={url}", "data.query='select 1'")


def test_a_password_is_never_written(here: Path) -> None:
    import sqlite3

    with sqlite3.connect(here / "c.db") as connection:
        pd.read_csv("good.csv").to_sql("customers", connection, index=False)
    connection.close()
    words = ["pipeline=inspect", "data=sql", "data.url='sqlite:///c.db?password=hush'", "hydra.run.dir=out"]
    assert cli.main([*words, "data.query='select * from customers'"]) == 0
    written = [path for path in (here / "out").rglob("*") if path.is_file()]
    assert len(written) > 5
    assert not [path for path in written if b"hush" in path.read_bytes()]


def test_inspect_shows_the_roles(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["pipeline=inspect", "data=csv", "data.path=good.csv", "data.target=churn"]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"customer_id +id +named like an id, every value different", printed)
    assert re.search(r"plan +categorical", printed)
    assert "80 rows, 4 columns, 2 features" in printed
    (report,) = here.glob("runs/*/*-inspect/report.html")
    assert f"report: {report.relative_to(here)}" in printed


def test_a_sweep_leaves_a_folder_per_job(here: Path) -> None:
    words = ["-m", "pipeline=inspect", "data=csv", "data.path=good.csv", "seed=0,1", "hydra.sweep.dir=sweep"]
    assert cli.main(words) == 0
    assert sorted(path.parent.name for path in (here / "sweep").glob("*/metrics.json")) == ["0", "1"]


def test_a_sweep_names_every_job_that_failed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["-m", "pipeline=inspect", "data=csv", "data.path=good.csv,nowhere.csv,gone.csv", "hydra.sweep.dir=sweep"]
    assert cli.main(words) == 1
    said = capsys.readouterr().out
    assert "Job 1 (data.path=nowhere.csv, seed 0) failed: nowhere.csv: there is no such file" in said
    assert "Job 2 (data.path=gone.csv, seed 0) failed: gone.csv: there is no such file" in said
    assert [path.parent.name for path in (here / "sweep").glob("*/metrics.json")] == ["0"]


def test_the_command_itself(here: Path) -> None:
    command = [sys.executable, "-m", "marketnn.cli"]
    environment = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parent.parent)}
    bad = subprocess.run([*command, "pipeline=no"], capture_output=True, text=True, cwd=here, env=environment)
    assert bad.returncode == 2
    expected = r"marketnn: unknown pipeline 'no'\.\nThere are: .*churn, diff, .*segment\.\n"
    assert re.fullmatch(expected, bad.stderr)
    version = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True, env=environment)
    assert re.fullmatch(r"marketnn \d+\.\d+\.\d+\n", version.stdout)
