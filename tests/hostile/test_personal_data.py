"""Ids come out of ``pipeline=predict`` alone, and a report shows nothing of few people."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from marketnn import cli

N = 240
MARK = "Zx9q"  # begins every id, and nothing else


@pytest.fixture(scope="module")
def customers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Customers with an id and an undeclared one, of whom a few stand far apart; who stays is nearly a matter of age."""
    rng = np.random.default_rng(0)
    age = np.append(rng.integers(20, 60, N - 4), [400, 401, 402, 403]).astype(float)
    frame = pd.DataFrame(
        {
            "customer_id": [f"{MARK}{place:04}" for place in range(N)],
            "age": age,
            "income": age * 100 + rng.normal(0, 900, N).round(),
            "plan": rng.choice(["basic", "gold"], N),
            "mail": rng.random(N).round(3),
            "call": rng.random(N).round(3),
            "churn": np.where(age + rng.normal(0, 12, N) > 45, "yes", "no"),
        }
    )
    path = tmp_path_factory.mktemp("customers") / "customers.csv"
    frame.to_csv(path, index=False)
    return path


def run(customers: Path, folder: Path, *words: str) -> Path:
    """Run a command on the customers; return its folder."""
    assert cli.main([*words, "data=csv", f"data.path='{customers}'", f"hydra.run.dir='{folder}'"]) == 0
    return folder


def holding(folder: Path, text: str) -> list[str]:
    """Name the files of a folder that hold a text."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 5
    return sorted(str(path.relative_to(folder)) for path in files if text.encode() in path.read_bytes())


PIPELINES = {
    "inspect": [],
    "segment": ["pipeline.n_clusters=2"],
    "churn": ["data.target=churn", "classifier=logistic", "pipeline.n_portraits=2"],
    "recommend": ["data.target=churn", "classifier=logistic", "pipeline.compare=[cart]"],
    "allocate": ["pipeline.value=[mail,call]", "pipeline.capacity={call:20}", "data.drop=[churn]"],
}


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_no_file_and_no_line_holds_an_id(
    customers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], pipeline: str
) -> None:
    folder = run(customers, tmp_path / "run", f"pipeline={pipeline}", *PIPELINES[pipeline])
    assert holding(folder, MARK) == []
    printed = capsys.readouterr()
    assert MARK not in printed.out + printed.err


def test_a_column_that_names_rows_is_shown_without_its_values(
    customers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    renamed = tmp_path / "renamed.csv"
    renamed.write_text(customers.read_text().replace("customer_id", "whoever", 1))
    folder = run(renamed, tmp_path / "run", "pipeline=inspect")
    assert "names rows" in (folder / "report.html").read_text()
    assert holding(folder, MARK) == []
    assert MARK not in capsys.readouterr().out


def test_predict_gives_ids_in_its_table_alone(
    customers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = run(customers, tmp_path / "run", "pipeline=segment", "pipeline.n_clusters=2")
    scored = run(customers, tmp_path / "scored", "pipeline=predict", f"model='{model}'")
    assert holding(scored, MARK) == ["tables/predictions.csv"]
    assert pd.read_csv(scored / "tables" / "predictions.csv")["customer_id"].iloc[0] == f"{MARK}0000"
    assert MARK not in capsys.readouterr().out


def test_a_report_shows_no_group_of_fewer_than_min_cell(customers: Path, tmp_path: Path) -> None:
    words = ["pipeline=segment", "pipeline.n_clusters=2", "data.drop=[churn,plan,mail,call]"]
    hidden = run(customers, tmp_path / "hidden", *words)
    shown = run(customers, tmp_path / "shown", *words, "min_cell=4")
    assert json.loads((hidden / "metrics.json").read_text())["segment_2_size"] == 4
    for folder in (hidden, shown):
        assert pd.read_csv(folder / "tables" / "segments.csv")["size"].tolist() == [N - 4, 4]
    said = "Left out here: 1 group of under 10 (min_cell)."
    assert said in (hidden / "report.html").read_text()
    assert said not in (shown / "report.html").read_text()
    cell = re.compile(r"<td>segment 2</td>")
    assert not cell.search((hidden / "report.html").read_text())
    assert cell.search((shown / "report.html").read_text())
    assert holding(hidden, "segment 2 |") == []
    assert len(holding(shown, "segment 2 |")) == 1  # TensorBoard's text


def test_counts_of_few_are_masked_in_a_report(customers: Path, tmp_path: Path) -> None:
    folder = run(customers, tmp_path / "run", "pipeline=churn", *PIPELINES["churn"], "min_cell=30")
    table = pd.read_csv(folder / "tables" / "confusion.csv")
    few = [count for count in table.iloc[:, 1:].to_numpy().ravel() if 0 < count < 30]
    assert few
    assert (folder / "report.html").read_text().count("under 30") >= len(few)
