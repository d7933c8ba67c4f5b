"""Equations 3.1-3.4 and the profit maximum: reproduced, and every constant carries its verdict."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.claims import Claims, load_claims
from experiments.experiment import Workspace
from experiments.ledger import Row
from experiments.paper_a import profit_max
from experiments.paper_a.equations_3 import EQUATIONS, run

CLAIMS = load_claims()
CONSTANTS = [(item, name) for item in EQUATIONS for name in CLAIMS.printed["A"][item]["constants"]]
REPAIRS = [(item, name) for item in EQUATIONS for name in CLAIMS.errata["A"][item].get("constants", {})]


def rows(claims: Claims = CLAIMS) -> dict[str, Row]:
    return {row.item: row for row in run(Workspace(claims, Path("unused"))).rows}


def test_every_equation_is_reproduced() -> None:
    assert {item: row.verdict for item, row in rows().items()} == dict.fromkeys(EQUATIONS, "reproduced")


@pytest.mark.parametrize(("item", "name"), CONSTANTS)
def test_another_printed_constant_changes_the_verdict(
    item: str, name: str, changed_claims: Callable[..., Claims]
) -> None:
    value = CLAIMS.printed["A"][item]["constants"][name] + 1
    assert rows(changed_claims(["A", item, "constants", name], value))[item].verdict == "not reproducible"


@pytest.mark.parametrize(("item", "name"), REPAIRS)
@pytest.mark.parametrize("side", [0, 1])
def test_another_erratum_changes_the_verdict(
    item: str, name: str, side: int, changed_claims: Callable[..., Claims]
) -> None:
    value = CLAIMS.errata["A"][item]["constants"][name][side] - 1
    changed = changed_claims(["A", item, "constants", name, side], value, errata=True)
    assert rows(changed)[item].verdict == "not reproducible"


def test_the_profit_maximum_is_the_closed_form(changed_claims: Callable[..., Claims]) -> None:
    (row,) = profit_max.run(Workspace(CLAIMS, Path("unused"))).rows
    assert row.verdict == "in kind"
    changed = changed_claims(["A", profit_max.ITEM, "difference"], 0.01)
    (other,) = profit_max.run(Workspace(changed, Path("unused"))).rows
    assert other.verdict == "not reproducible"
