"""Every command and every example of the README runs, and prints what the README says it prints."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from marketnn import registry

README = (Path(__file__).parent.parent.parent / "README.md").read_text()
REPOSITORY = Path(__file__).parent.parent.parent
SETUP = ("./scripts/reproduce.sh", "./scripts/test.sh")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
COMMANDS = [line for kind, text in BLOCKS if kind == "bash" for line in text.splitlines() if line not in SETUP]
EXAMPLES = [text for kind, text in BLOCKS if kind == "python"]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with the files that the README speaks of: real customers, fewer of them."""
    folder = tmp_path_factory.mktemp("readme")
    customers = registry.build("data", {"name": "packaged"}).frame.dropna().sample(900, random_state=0)
    customers.insert(0, "customer_id", [f"C{i:04}" for i in range(len(customers))])
    customers.iloc[:600].to_csv(folder / "customers.csv", index=False)
    customers.iloc[600:].drop(columns="churn").to_csv(folder / "new_customers.csv", index=False)
    orders(customers["customer_id"].to_numpy()).to_csv(folder / "orders.csv", index=False)
    chances = np.random.default_rng(0).beta([2, 1], [4, 5], (len(customers), 2)).round(3)
    columns = {"customer_id": customers["customer_id"], "bundle": chances[:, 0], "upgrade": chances[:, 1]}
    pd.DataFrame(columns).to_csv(folder / "chances.csv", index=False)
    return folder


def orders(customers: np.ndarray) -> pd.DataFrame:
    """Order lines of some customers, three lines to an order."""
    rng = np.random.default_rng(0)
    invoice = np.repeat(np.arange(1_000), 3)
    return pd.DataFrame(
        {
            "customer": np.repeat(rng.choice(customers, 1_000), 3),
            "date": np.repeat(pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, 300, 1_000), "D"), 3),
            "invoice": invoice,
            "quantity": rng.integers(1, 9, len(invoice)),
            "price": rng.gamma(2.0, 5.0, len(invoice)).round(2),
        }
    )


def run(words: list[str], desk: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(words, cwd=desk, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def as_run_here(command: str) -> list[str]:
    """Start a documented command with this interpreter; of the TensorBoard server, only its reading of the logs."""
    first, *words = shlex.split(command)
    if first == "marketnn":
        return [sys.executable, "-m", "marketnn.cli", *words]
    if first == "tensorboard":
        return [sys.executable, "-m", "tensorboard.main", *words, "--inspect"]
    assert first == "python", f"the README has a command that no test runs: {command}"
    return [sys.executable, *words]


def test_every_command_runs_in_the_readmes_order(desk: Path) -> None:
    assert len(COMMANDS) == 17
    printed = {command: run(as_run_here(command), desk) for command in COMMANDS}
    (said,) = [text for kind, text in BLOCKS if kind == "text" and "report:" in text]
    assert printed[COMMANDS[0]] == said
    assert "scalars" in printed["tensorboard --logdir runs"]
    assert (desk / "runs" / "scores" / "tables" / "predictions.csv").read_text().count("\n") == 301
    assert (desk / "runs" / "rfm" / "figures" / "lorenz.png").exists()
    for whole in ("enterprise", "quarters"):
        assert len(list((desk / "runs" / whole / "figures").glob("*.png"))) >= 8
    (allocated,) = [text for command, text in printed.items() if "pipeline=allocate" in command]
    assert "900 of 900 customers get one of 2 offers" in allocated
    assert "no other assignment within the limits is worth more" in allocated
    assert len(list((desk / "runs" / "race").glob("*/metrics.json"))) == 4
    comparison = pd.read_csv(desk / "runs" / "race" / "comparison.csv").set_index(["metric", "setting"])["mean"]
    assert comparison["best_epoch", "optimizer=lm"] < 30 < 1_000 < comparison["best_epoch", "optimizer=adam"]
    assert "seed" in printed[next(command for command in COMMANDS if "pipeline=diff" in command)]


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_every_example_runs(desk: Path, example: str) -> None:
    run([sys.executable, "-W", "error", "-c", example], desk)


def test_the_message_is_one_that_is_given(desk: Path) -> None:
    frame = registry.build("data", {"name": "csv", "path": str(desk / "customers.csv")}).frame.astype(object)
    frame.loc[[4, 11], "tenure"] = ["twelve", "?"]
    folder = desk / "mistake"
    folder.mkdir()
    frame.to_csv(folder / "customers.csv", index=False)
    words = as_run_here("marketnn pipeline=churn data=csv data.path=customers.csv data.target=churn")
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    (said,) = [text for kind, text in BLOCKS if kind == "text" and "marketnn:" in text]
    assert done.stderr == said
    assert not (folder / "runs").exists()


def test_setup_commands_and_links_exist() -> None:
    for path in (*SETUP, "constraints.txt", *re.findall(r"\]\(([^)h][^)]*)\)", README)):
        assert (REPOSITORY / path).exists(), path
    for script in SETUP:
        assert os.access(REPOSITORY / script, os.X_OK)
