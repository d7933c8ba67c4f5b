"""Every row that is reproduced or in kind hangs on a printed number: changing it flips the verdict. The others have a reason."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flip_rows import Build, builders

from experiments.claims import Claims, load_claims
from experiments.ledger import Row
from experiments.plan import paper_of, read_plan

CLAIMS = load_claims()
OWED = [(name, item) for name, entry in read_plan().items() for item in entry.items]
NOT_REPRODUCIBLE = {("B", "Table 2"), ("B", "Table 4")}
NAMES = ("fields",)  # texts that stand for numbers


@pytest.fixture(scope="module")
def rebuild(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Build]:
    return builders(CLAIMS, tmp_path_factory.mktemp("runs"))


def test_there_is_a_way_to_the_rows_of_every_experiment(rebuild: dict[str, Build]) -> None:
    assert set(rebuild) == set(read_plan())


@pytest.mark.parametrize(("name", "item"), OWED)
def test_another_printed_number_flips_the_verdict(name: str, item: str, rebuild: dict[str, Build]) -> None:
    paper = paper_of(name)
    row = row_of(rebuild[name](CLAIMS), item)
    if (paper, item) in NOT_REPRODUCIBLE:
        assert row.verdict == "not reproducible"
        assert " differs: ours is " in row.reason
        assert CLAIMS.finding(paper, item) in row.reason
        return
    assert row.verdict in ("reproduced", "in kind"), row.reason
    assert any(row_of(rebuild[name](changed), item).verdict == "not reproducible" for changed in changes(paper, item))


def row_of(rows: Any, item: str) -> Row:
    (row,) = (row for row in rows if row.item == item)
    return row


def changes(paper: str, item: str) -> Iterator[Claims]:
    """Yield the claims with one number of an item changed at a time."""
    printed = "Churn analysis" if item.startswith("Churn analysis") else item
    for path in numbers(CLAIMS.printed[paper][printed]):
        changed = copy.deepcopy(dict(CLAIMS.printed))
        place: Any = changed[paper][printed]
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = another(place[path[-1]])
        yield replace(CLAIMS, printed=changed)


def numbers(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the paths to the numbers of a tree, where they stand in the paper left out."""
    places = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in places:
        if key not in ("line", "page"):
            yield from numbers(value, (*path, key))
    if not isinstance(tree, dict | list) and (_is_number(tree) or set(path) & set(NAMES)):
        yield path


def another(value: Any) -> Any:
    """Return another number of the same kind, or another name."""
    if not _is_number(value):
        return "Shoe_size"
    return str(round(1 - 2 * float(value), 6)) if isinstance(value, str) else value + 1


def _is_number(value: Any) -> bool:
    try:
        return bool(float(value) is not None)
    except (TypeError, ValueError):
        return False
