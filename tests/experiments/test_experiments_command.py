"""``python -m experiments``: what it writes, what it prints, and how it ends."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from experiments import __main__ as command
from experiments import experiment as catalogue
from experiments.experiment import Experiment, Findings, Workspace, find, names
from experiments.ledger import Row, compare
from experiments.pages import Outcome, write_html, write_markdown
from marketnn.errors import ConfigurationError

FAST = ["paper_a/equations_2", "paper_a/table_4_1"]
ITEM = re.compile(r"(Equation|Table|Figure) \d+(\.\d+)?")
FURTHER = re.compile(r"Churn analysis on \w+")


def make_row(reason: str = "because.", item: str = "Equation 2.7") -> Row:
    return compare("A", item, "x", ours={"a": 1.0}, published={"a": 1.0}, tolerance=0.0, reason=reason)


def check_schema(row: dict[str, object]) -> None:
    assert list(row) == ["paper", "item", "experiment", "ours", "published", "tolerance", "verdict", "reason"]
    assert row["paper"] in ("A", "B")
    assert ITEM.fullmatch(str(row["item"])) or FURTHER.fullmatch(str(row["item"]))
    assert row["experiment"] in names()
    assert row["verdict"] in ("reproduced", "in kind", "not reproducible")
    for numbers in (row["ours"], row["published"], row["tolerance"]):
        assert isinstance(numbers, dict)
        assert all(type(number) in (int, float) for number in numbers.values())
    assert row["reason"]


def test_two_runs_write_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command.main([*FAST, "--reports", "one"]) == 0
    printed = capsys.readouterr().out
    assert command.main([*reversed(FAST), "--reports", "two"]) == 0
    for name in ("reproduction.json", "reproduction.md"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    rows = json.loads((tmp_path / "one" / "reproduction.json").read_text())
    assert [row["item"] for row in rows] == [*(f"Equation 2.{n}" for n in range(1, 10)), "Table 4.1"]
    for row in rows:
        check_schema(row)
        assert row["item"] in printed
    assert "10 rows: 10 reproduced, 0 in kind, 0 not reproducible." in printed
    assert "10 of the papers' 63 items have a row: 9 of 34 equations, 1 of 14 tables, 0 of 15 figures." in printed
    assert "report: one/reproduction.html\n" in printed
    assert "TensorBoard: tensorboard --logdir runs/reproduction\n" in printed
    assert str(tmp_path) not in (tmp_path / "one" / "reproduction.json").read_text()


def test_the_churn_rows_fit_the_schema(churn_findings: Findings) -> None:
    for row in churn_findings.rows:
        check_schema(json.loads(json.dumps(vars(row))))


def test_an_unknown_name_ends_with_status_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command.main(["paper_a/table_4_2"]) == 2
    message = capsys.readouterr().err
    assert "unknown experiment 'paper_a/table_4_2'. Did you mean 'paper_a/table_4_1'?" in message
    for name in names():
        assert name in message
    assert not list(tmp_path.iterdir())


def test_a_failing_experiment_is_named_and_the_others_finish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(workspace: Workspace) -> Findings:
        raise ZeroDivisionError("no\nrows")

    experiments = [Experiment("broken", broken, False), find("paper_a/table_4_1")]
    monkeypatch.setattr(command, "names", lambda: ["broken", "paper_a/table_4_1"])
    monkeypatch.setattr(command, "find", {experiment.name: experiment for experiment in experiments}.__getitem__)
    assert command.main(["--reports", str(tmp_path)]) == 1
    captured = capsys.readouterr()
    assert "experiments: broken failed: ZeroDivisionError: no rows" in captured.err
    assert "broken failed: ZeroDivisionError: no rows" in captured.out
    assert [row["item"] for row in json.loads((tmp_path / "reproduction.json").read_text())] == ["Table 4.1"]
    for page in ("reproduction.md", "reproduction.html"):
        assert "broken failed: ZeroDivisionError: no rows" in (tmp_path / page).read_text()


@pytest.mark.parametrize(
    ("words", "expected"),
    [([], ["small"]), (["--full"], ["large", "small"]), (["large"], ["large"])],
)
def test_full_adds_what_is_left_out(
    words: list[str], expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = []

    def make(name: str) -> Experiment:
        def run(workspace: Workspace) -> Findings:
            ran.append(name)
            return Findings((make_row(item=name),))

        return Experiment(name, run, full_only=name == "large")

    monkeypatch.setattr(command, "names", lambda: ["large", "small"])
    monkeypatch.setattr(command, "find", make)
    assert command.main([*words, "--reports", str(tmp_path)]) == 0
    assert ran == expected


def test_an_experiment_is_found_by_its_file_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(FAST) < set(names())
    assert find("paper_a/table_4_1").full_only is False
    assert find("paper_a/churn_tables").full_only is True
    (tmp_path / "paper_c").mkdir()
    for name in ("__init__", "table_9"):
        (tmp_path / "paper_c" / f"{name}.py").touch()
    monkeypatch.setattr(catalogue, "FOLDER", tmp_path)
    assert names() == ["paper_c/table_9"]
    with pytest.raises(ConfigurationError, match="unknown experiment 'table_9'"):
        find("table_9")


def test_the_pages_escape_what_they_are_told_and_link_relatively(tmp_path: Path) -> None:
    runs = [tmp_path / "runs" / "a <b> & c"]
    outcome = Outcome([make_row("<script>alert(1)</script>")], [], runs, {"<i>": "<img src=x>"}, "tensorboard")
    write_html(tmp_path / "reports" / "page.html", outcome)
    page = (tmp_path / "reports" / "page.html").read_text()
    for raw in ("<script>", "<i>", "<img src=x>", "<b>"):
        assert raw not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert '<a href="../runs/a%20%3Cb%3E%20%26%20c/report.html">a &lt;b&gt; &amp; c</a>' in page
    write_markdown(tmp_path / "reports" / "page.md", outcome)
    assert "(../runs/a%20%3Cb%3E%20%26%20c/report.html)" in (tmp_path / "reports" / "page.md").read_text()


def test_the_html_page_is_self_contained(churn_findings: Findings, tmp_path: Path) -> None:
    write_html(tmp_path / "page.html", Outcome(churn_findings.rows, churn_findings.figures, [], {}, "tensorboard"))
    page = (tmp_path / "page.html").read_text()
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert page.count("data:image/png;base64,") == 1
    for row in churn_findings.rows:
        assert row.item in page
