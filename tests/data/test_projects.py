"""A projects file: every number is read, every mistake named."""

from __future__ import annotations

from pathlib import Path

import pytest

from marketnn.data.projects import Project, project_table, read_projects
from marketnn.errors import InputError

FILE = """project,revenue,column,above,basis,fixed_cost,cost,capacity,channel
mail,40,orders_again,,segment,,1,,post
call,60,frequency,1,,500,6.5,900,
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "projects.csv"
    path.write_text(FILE)
    return path


def test_every_number_is_read_and_empty_cells_are_defaults(file: Path) -> None:
    assert read_projects(str(file)) == (
        Project("mail", 40.0, "orders_again", None, "segment", 0.0, 1.0, None, "post"),
        Project("call", 60.0, "frequency", 1.0, "score", 500.0, 6.5, 900, "call"),
    )


def test_three_columns_suffice(file: Path) -> None:
    file.write_text("column,project,revenue\nbought,7,2.5\n")
    assert read_projects(str(file)) == (Project("7", 2.5, "bought", channel="7"),)


def test_the_table_has_a_row_per_project(file: Path) -> None:
    table = project_table(read_projects(str(file)))
    assert table["project"].tolist() == ["mail", "call"]
    assert table["capacity"].isna().tolist() == [True, False]
    assert table["cost"].sum() == 7.5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("project,column\nmail,y\n", "the projects' column 'revenue' is not there; give project, revenue, column"),
        ("project,revenue,column,budget\nmail,1,y,2\n", "unknown column of the projects 'budget'"),
        ("project,revenue,column\n", "a header and no rows|a header and no project"),
        ("project,revenue,column\nmail,,y\n", "'revenue' is empty in row 1; every project needs one"),
        ("project,revenue,column\nmail,1,y\nmail,2,y\n", "project 'mail' stands twice; rename one"),
        ("project,revenue,column\nmail,-4,y\n", "revenue is -4 in row 1; give 0 or more"),
        ("project,revenue,column\nmail,dear,y\n", "'revenue' is text, such as 'dear'; give numbers"),
        ("project,revenue,column,above\nmail,1,y,high\n", "'above' is text, such as 'high'; give numbers"),
        ("project,revenue,column,capacity\nmail,1,y,2.5\n", "capacity is 2.5 in row 1; give a whole number from 0 on"),
        ("project,revenue,column,basis\nmail,1,y,scores\n", "unknown basis 'scores'. Did you mean 'score'"),
    ],
)
def test_a_mistake_is_named(file: Path, text: str, message: str) -> None:
    file.write_text(text)
    with pytest.raises(InputError, match=message):
        read_projects(str(file))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such file"):
        read_projects(str(tmp_path / "none.csv"))
