"""Every command and every example of the documentation runs, and its pages are whole."""

from __future__ import annotations

import importlib.util
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
import yaml
from documented import REPOSITORY, Page, run_command, run_example

from marketnn import registry

PAGES = sorted(str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / "docs").rglob("*.md"))
EXAMPLES = sorted((REPOSITORY / "docs" / "examples").glob("*.py"))
TUTORIAL = Page("docs/tutorial.md")
REAL = {
    "bank_marketing": ("bank_additional-full.csv.gz", {"separator": ","}, 41_188, 19),
    "iranian_churn": ("iranian_churn.csv", {}, 3_150, 12),
    "online_shoppers": (
        "online_shoppers.csv",
        {"target": "revenue", "categorical": ["operating_systems", "browser", "region", "traffic_type"]},
        12_330,
        17,
    ),
    "online_retail": ("online_retail.parquet", {}, 4_338, 3),
}


def test_the_tutorial_runs_from_the_table_to_the_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    printed = ""
    for kind, text in TUTORIAL.blocks:
        if kind == "python":
            run_example(text)
        elif kind == "bash":
            printed = "".join(run_command(command, capsys) for command in text.splitlines())
        else:
            assert text == re.sub(" +$", "", printed, flags=re.MULTILINE)
    plan = pd.read_csv("runs/plan/tables/offers.csv", index_col="offer")
    assert plan.loc[["call", "discount"], "assigned"].tolist() == [150, 80]
    prices = [
        pd.read_csv(f"runs/{name}/tables/offers.csv", index_col="offer").at["call", "one_more_is_worth"]
        for name in ("plan", "plan_160")
    ]
    values = [
        pd.read_json(f"runs/{name}/metrics.json", typ="series")["assignment_value"] for name in ("plan", "plan_160")
    ]
    assert 10 * prices[1] <= values[1] - values[0] <= 10 * prices[0]


@pytest.mark.parametrize("path", [path for path in PAGES if "tutorial" not in path and Page(path).examples])
def test_the_examples_of_a_page_run(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for example in Page(path).examples:
        run_example(example, path)


@pytest.mark.parametrize(
    "path", [path for path in PAGES if not re.search("tutorial|extending", path) and Page(path).commands]
)
def test_the_commands_of_a_page_run(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for command in Page(path).commands:
        run_command(command, capsys)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_example_scripts_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(path), run_name="__main__")


def test_an_added_algorithm_is_found_by_its_name(tmp_path: Path) -> None:
    page = Page("docs/extending.md")
    ignored = shutil.ignore_patterns("__pycache__")
    for folder in ("marketnn", "configs"):
        shutil.copytree(REPOSITORY / folder, tmp_path / folder, ignore=ignored)
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    for kind, text in page.blocks:
        if named := re.search(r'title="(.*)"', kind):
            (tmp_path / named[1]).write_text(text)
    (command,) = page.commands
    words = [sys.executable, "-m", "marketnn.cli", *command.split()[1:]]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    summary = pd.read_csv(tmp_path / "runs" / "shells" / "summary.csv")
    assert summary["setting"].tolist() == ["cluster=kmeans", "cluster=shells"]
    assert summary["sse"].max() == pytest.approx(summary["sse"].min(), rel=0.01)
    help_text = subprocess.run([*words[:3], "--help"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert "K-means that starts from shells around the mean" in help_text.stdout


@pytest.mark.realdata
@pytest.mark.parametrize("name", REAL)
def test_a_configuration_reads_its_data_set(name: str, real_data: Path) -> None:
    file, changed, n_rows, n_features = REAL[name]
    settings = yaml.safe_load((REPOSITORY / "configs" / "data" / f"{name}.yaml").read_text())
    table = registry.build("data", {**settings, "path": str(real_data / file), **changed}).ready()
    assert (len(table.frame), len(table.schema.features)) == (n_rows, n_features)


def test_every_data_set_of_the_page_has_its_configuration() -> None:
    named = set(re.findall(r"`data=(\w+)", Page("docs/datasets.md").text))
    there = {path.stem for path in (REPOSITORY / "configs" / "data").glob("*.yaml")}
    assert named <= there
    assert there - named == {"csv", "parquet", "sql", "rfm"}  # your own


def test_the_table_of_equations_is_the_codes() -> None:
    specification = importlib.util.spec_from_file_location("papers_table", REPOSITORY / "scripts" / "papers_table.py")
    assert specification is not None
    assert specification.loader is not None
    module: ModuleType = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    page = module.page()
    assert page == module.PAGE.read_text()
    rows = re.findall(r"^\| [\d.]+ \| (.*) \| (.*) \|$", page, re.MULTILINE)
    assert len(rows) == 34
    assert all(code and test for code, test in rows)


@pytest.mark.parametrize("path", PAGES)
def test_links_lead_somewhere(path: str) -> None:
    for link in Page(path).links:
        assert ((REPOSITORY / path).parent / link).exists(), link


def test_every_page_is_in_the_navigation() -> None:
    text = (REPOSITORY / "mkdocs.yml").read_text()
    assert sorted(re.findall(r"- (\S+\.md)$", text, re.MULTILINE)) == [path.removeprefix("docs/") for path in PAGES]
