"""Every command and every example of the README runs, and prints what the README says it prints."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from documented import REPOSITORY, SETUP, Page, run_command, run_example

from marketnn import cli, registry

README = Page("README.md")


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


@pytest.fixture
def there(desk: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The desk, and the test at it."""
    monkeypatch.chdir(desk)
    return desk


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


def test_every_command_runs_in_the_readmes_order(there: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(README.commands) == 18
    printed = {command: run_command(command, capsys) for command in README.commands}
    (said,) = [text for kind, text in README.blocks if kind == "text" and "report:" in text]
    assert printed[README.commands[0]] == said
    assert "scalars" in printed["tensorboard --logdir runs"]
    assert (there / "runs" / "scores" / "tables" / "predictions.csv").read_text().count("\n") == 301
    assert (there / "runs" / "rfm" / "figures" / "lorenz.png").exists()
    for whole in ("enterprise", "quarters"):
        assert len(list((there / "runs" / whole / "figures").glob("*.png"))) >= 8
    (allocated,) = [text for command, text in printed.items() if "pipeline=allocate" in command]
    assert "900 of 900 customers get one of 2 offers" in allocated
    assert "no other assignment within the limits is worth more" in allocated
    assert len(list((there / "runs" / "race").glob("*/metrics.json"))) == 4
    comparison = pd.read_csv(there / "runs" / "race" / "comparison.csv").set_index(["metric", "setting"])["mean"]
    assert comparison["best_epoch", "optimizer=lm"] < 30 < 1_000 < comparison["best_epoch", "optimizer=adam"]
    assert "seed" in printed[next(command for command in README.commands if "pipeline=diff" in command)]


@pytest.mark.parametrize("place", range(len(README.examples)))
def test_every_example_runs(there: Path, place: int) -> None:
    run_example(README.examples[place])


def test_the_message_is_one_that_is_given(
    desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = registry.build("data", {"name": "csv", "path": str(desk / "customers.csv")}).frame.astype(object)
    frame.loc[[4, 11], "tenure"] = ["twelve", "?"]
    frame.to_csv(tmp_path / "customers.csv", index=False)
    monkeypatch.chdir(tmp_path)
    assert cli.main(["pipeline=churn", "data=csv", "data.path=customers.csv", "data.target=churn"]) == 2
    (said,) = [text for kind, text in README.blocks if kind == "text" and "marketnn:" in text]
    assert capsys.readouterr().err == said
    assert not (tmp_path / "runs").exists()


def test_setup_commands_and_links_exist() -> None:
    for path in (*SETUP, "constraints.txt", *README.links):
        assert (REPOSITORY / path).exists(), path
    for script in SETUP:
        assert os.access(REPOSITORY / script, os.X_OK)
    assert re.search(r"\./scripts/reproduce\.sh\n\./scripts/test\.sh", README.text)
