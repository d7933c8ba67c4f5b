"""Verdicts follow from stored numbers, and the ledger knows what the papers hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.claims import last_place
from experiments.ledger import ITEMS, Row, assemble, compare, coverage, differing, verdict_counts, write_ledger
from marketnn.errors import InputError


def row(item: str = "Equation 2.7", paper: str = "A", experiment: str = "x", **changes: Any) -> Row:
    arguments: dict[str, Any] = {
        "ours": {"a": 1.0, "b": 2.0},
        "published": {"a": 1.0},
        "tolerance": 0.0,
        "reason": "because.",
    }
    return compare(paper, item, experiment, **(arguments | changes))


def test_the_papers_have_34_equations_14_tables_and_15_figures() -> None:
    counts = coverage([row(item, paper) for paper, item in ITEMS])
    assert counts == {"Equation": (34, 34), "Table": (14, 14), "Figure": (15, 15)}
    assert len(set(ITEMS)) == len(ITEMS) == 63


def test_agreement_is_reproduced_or_in_kind() -> None:
    assert row().verdict == "reproduced"
    assert row(in_kind=True).verdict == "in kind"
    assert row(in_kind=True).reason == "because."


@pytest.mark.parametrize("in_kind", [False, True])
def test_a_difference_is_named(in_kind: bool) -> None:
    found = row(published={"a": 1.0, "b": 2.5, "c": 3.0}, in_kind=in_kind)
    assert found.verdict == "not reproducible"
    assert found.reason == "'b' differs: ours is 2, published 2.5 (1 more numbers differ). because."


def test_a_number_that_ours_lacks_is_named() -> None:
    assert row(published={"c": 3.0}).reason == "'c' differs: ours has none, published 3. because."


def test_the_tolerance_is_inclusive_at_printed_digits() -> None:
    assert row(ours={"a": 1.0}, published={"a": 0.9729}, tolerance=0.0271).verdict == "reproduced"
    assert row(ours={"a": 1.0}, published={"a": 0.9728}, tolerance=0.0271).verdict == "not reproducible"


@given(
    ours=st.floats(-1e6, 1e6),
    published=st.floats(-1e6, 1e6),
    tolerance=st.floats(0, 10),
)
@settings(deadline=None)
def test_the_verdict_follows_from_what_is_stored(ours: float, published: float, tolerance: float) -> None:
    found = row(ours={"a": ours}, published={"a": published}, tolerance=tolerance)
    assert (found.verdict == "reproduced") == (not differing(found.ours, found.published, found.tolerance))
    if abs(ours - published) > tolerance + 1e-5:
        assert found.verdict == "not reproducible"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"published": {}}, "Equation 2.7 of paper A has no published number"),
        ({"ours": {"a": float("nan")}}, "'a' is nan"),
        ({"published": {"a": float("inf")}}, "'a' is inf"),
        ({"tolerance": {"b": 0.0}}, "differ in a, b"),
    ],
)
def test_what_cannot_be_compared_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        row(**changes)


def test_rows_are_sorted_by_paper_kind_and_number() -> None:
    items = [
        ("B", "Equation 2"),
        ("A", "A further claim"),
        ("A", "Table 3.1"),
        ("A", "Equation 2.1"),
        ("B", "Equation 10"),
    ]
    ordered = assemble(row(item, paper) for paper, item in items)
    assert [(found.paper, found.item) for found in ordered] == [
        ("A", "Equation 2.1"),
        ("A", "Table 3.1"),
        ("A", "A further claim"),
        ("B", "Equation 2"),
        ("B", "Equation 10"),
    ]
    assert [found.kind for found in ordered] == ["Equation", "Table", "", "Equation", "Equation"]


def test_an_item_has_one_row() -> None:
    with pytest.raises(InputError, match="has 2 rows, from one and two"):
        assemble([row(experiment="one"), row(experiment="two")])
    assert len(assemble([row("Table 3", "A"), row("Table 3", "B")])) == 2


def test_verdicts_are_counted() -> None:
    rows = [row(), row(in_kind=True), row(published={"a": 2.0})]
    assert verdict_counts(rows) == {"reproduced": 1, "in kind": 1, "not reproducible": 1}


def test_the_file_holds_the_numbers_and_their_tolerance(tmp_path: Path) -> None:
    write_ledger(
        tmp_path / "reproduction.json", [row(ours={"a": 1 / 3, "n": 3}, published={"a": 0.3333}, tolerance=1e-4)]
    )
    assert json.loads((tmp_path / "reproduction.json").read_text()) == [
        {
            "paper": "A",
            "item": "Equation 2.7",
            "experiment": "x",
            "ours": {"a": 0.333333333333, "n": 3},
            "published": {"a": 0.3333},
            "tolerance": {"a": 1e-4},
            "verdict": "reproduced",
            "reason": "because.",
        }
    ]


@pytest.mark.parametrize(("text", "unit"), [("0.0123", 1e-4), ("-3.55238", 1e-5), ("12", 1.0), ("1.5e-8", 1e-9)])
def test_the_last_printed_place(text: str, unit: float) -> None:
    assert last_place(text) == unit
