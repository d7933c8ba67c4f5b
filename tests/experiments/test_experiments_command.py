"""``python -m experiments``: what it writes, what it prints, and how it ends."""

from __future__ import annotations

import json
import re
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from experiments import __main__ as command
from experiments import experiment as catalogue
from experiments.claims import load_claims
from experiments.experiment import Findings, Picture, Workspace, find, names
from experiments.html_page import write_html
from experiments.kept import FOLDER, Kept, identity
from experiments.ledger import Row, compare
from experiments.outcome import Outcome, Report
from experiments.pages import write_markdown
from experiments.running import Done, run_all, watch
from marketnn.errors import ConfigurationError
from marketnn.report.page import FigureBlock

CHECKOUT = Path(__file__).parents[2]
FAST = ["paper_a/equations_2", "paper_a/ck_flow"]
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
    monkeypatch.setenv("PYTHONPATH", str(CHECKOUT))
    assert command.main([*FAST, "--reports", "one", "--jobs", "1"]) == 0
    printed = capsys.readouterr().out
    assert command.main([*reversed(FAST), "--reports", "two", "--jobs", "2"]) == 0
    for name in ("reproduction.json", "reproduction.md"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    rows = json.loads((tmp_path / "one" / "reproduction.json").read_text())
    assert [row["item"] for row in rows] == [*(f"Equation 2.{n}" for n in range(1, 10)), "Figure 2.3"]
    for row in rows:
        check_schema(row)
        assert row["item"] in printed
    assert "10 rows: 9 reproduced, 1 in kind, 0 not reproducible." in printed
    assert "10 of the papers' 63 items have a row: 9 of 34 equations, 0 of 14 tables, 1 of 15 figures." in printed
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


def test_a_failing_experiment_is_a_row_and_the_others_finish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(CHECKOUT))
    (tmp_path / "runs").write_text("a file where the run folders should go")
    assert command.main(["paper_a/pre_experiment", "paper_a/table_4_1", "--jobs", "1"]) == 1
    captured = capsys.readouterr()
    message = "paper_a/pre_experiment failed: InputError: "
    assert f"experiments: {message}" in captured.err
    assert message in captured.out
    rows = json.loads((tmp_path / "reports" / "reproduction.json").read_text())
    assert [row["item"] for row in rows] == ["Table 2.1", "Table 4.1", "Figure 2.2"]
    assert rows[1]["verdict"] == "reproduced"
    for row in (rows[0], rows[2]):
        check_schema(row)
        assert row["verdict"] == "not reproducible"
        assert row["reason"].startswith("Not computed: the experiment failed: InputError: ")
    for page in ("reproduction.md", "reproduction.html"):
        assert message in (tmp_path / "reports" / page).read_text()


def test_a_stopped_call_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(CHECKOUT))
    names = ["paper_a/pre_experiment", "paper_a/table_4_1"]  # the first one draws a picture
    assert command.main([*names, "--reports", "unbroken"]) == 0
    workspace = Workspace(load_claims(), command.RUNS)
    kept = Kept(workspace, identity())
    assert kept.load(names[0]) is None  # a call that ended leaves nothing
    capsys.readouterr()
    run_all(names[:1], workspace, 1, kept.save)  # as far as a call came that was killed
    assert kept.load(names[0]) is not None
    assert Kept(workspace, "other sources").load(names[0]) is None
    assert Kept(Workspace(load_claims(), command.RUNS, full=True), identity()).load(names[0]) is None
    assert command.main([*names, "--reports", "resumed"]) == 0
    assert "experiments: 1 of 2 stand from a call that was stopped." in capsys.readouterr().err
    for page in ("reproduction.json", "reproduction.md"):
        assert (tmp_path / "resumed" / page).read_bytes() == (tmp_path / "unbroken" / page).read_bytes()
    assert not (command.RUNS / FOLDER).exists()


def test_damaged_ends_and_lost_run_folders_are_computed_again(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "a"
    run.mkdir(parents=True)
    kept = Kept(Workspace(load_claims(), tmp_path / "runs"), "same")
    picture = Picture(("Equation 2.7",), FigureBlock("caption", b"\x89PNG", 300))
    done = Done("paper_a/x", Findings((make_row(),), (picture,), (run,)), 1.5)
    kept.save(done)
    assert kept.load("paper_a/x") == done
    run.rmdir()
    assert kept.load("paper_a/x") is None
    run.mkdir()
    (file,) = (tmp_path / "runs" / FOLDER).iterdir()
    file.write_text(file.read_text()[:-20])
    assert kept.load("paper_a/x") is None
    kept.save(Done("paper_a/y", Findings(()), 1.0, "failed"))
    assert kept.load("paper_a/y") is None


def test_a_process_that_dies_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    broken: Future[Done] = Future()
    broken.set_exception(BrokenProcessPool("killed"))
    (done,) = watch({broken: "paper_a/table_4_1"})
    assert done.failure == "BrokenProcessPool: killed"


def test_full_adds_what_is_left_out() -> None:
    experiments = [find(name) for name in names()]
    assert command.default_choice(experiments, full=True) == experiments
    left_out = set(names()) - {experiment.name for experiment in command.default_choice(experiments, full=False)}
    assert left_out == {"paper_a/churn_tables"}


@pytest.mark.parametrize("jobs", ["0", "-1", "two"])
def test_a_wrong_number_of_jobs_ends_with_status_2(jobs: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(["--jobs", jobs])
    assert ended.value.code == 2
    assert f"'{jobs}' is not a whole number of at least 1" in capsys.readouterr().err


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


def make_outcome(row: Row, runs: tuple[Path, ...] = (), failure: str = "", block: FigureBlock | None = None) -> Outcome:
    report = Report(1.5, "seed = 0", runs, "marketnn experiment=<x>", failure)
    pictures = [("A", Picture((row.item,), block))] if block else []
    return Outcome([row], pictures, {"<i>": report}, {"machine": "<img src=y>"})


def test_the_pages_escape_what_they_are_told_and_link_relatively(tmp_path: Path) -> None:
    runs = (tmp_path / "runs" / "a <b> & c",)
    outcome = make_outcome(make_row("<script>alert(1)</script>"), runs, "<img src=x>")
    write_html(tmp_path / "reports" / "page.html", outcome)
    page = (tmp_path / "reports" / "page.html").read_text()
    for raw in ("<script>alert", "<i>", "<img src=", "<b>", "<x>"):
        assert raw not in page
    assert page.count("<script>") == 1
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert '<a href="../runs/a%20%3Cb%3E%20%26%20c/report.html">a &lt;b&gt; &amp; c</a>' in page
    write_markdown(tmp_path / "reports" / "page.md", outcome)
    assert "(../runs/a%20%3Cb%3E%20%26%20c/report.html)" in (tmp_path / "reports" / "page.md").read_text()


def test_the_page_is_self_contained_and_has_the_numbers_beside_the_picture(tmp_path: Path) -> None:
    block = FigureBlock.of(Figure(figsize=(1, 1)), "A caption")
    write_html(tmp_path / "page.html", make_outcome(make_row(item="Figure 2.2"), block=block))
    page = (tmp_path / "page.html").read_text()
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    beside = page.partition('<div class="picture">')[2].partition("</section>")[0]
    assert beside.count("data:image/png;base64,") == 1
    for words in ("A caption", "Paper A, Figure 2.2", "reproduced", "<td>a</td>"):
        assert words in beside
    for words in ("seed = 0", "1.5", "machine"):
        assert words in page
