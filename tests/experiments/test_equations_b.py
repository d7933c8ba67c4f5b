"""Equations 1-20 of paper B: the hand evaluation is right by other means, and every constant carries its verdict."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import entropy

from experiments import by_hand_b
from experiments.claims import Claims, load_claims
from experiments.experiment import Workspace
from experiments.ledger import Row
from experiments.paper_b.equations import EQUATIONS, load_case, run

CLAIMS = load_claims()
CASE = load_case()
CONSTANTS = [(item, name) for item in EQUATIONS for name in CLAIMS.printed["B"][item]["constants"]]
REPAIRS = [(item, name) for item in EQUATIONS for name in CLAIMS.errata["B"][item].get("constants", {})]


def rows(claims: Claims = CLAIMS) -> dict[str, Row]:
    return {row.item: row for row in run(Workspace(claims, Path("unused"))).rows}


def test_every_equation_is_reproduced() -> None:
    found = rows()
    assert list(found) == [f"Equation {number}" for number in range(1, 21)]
    assert {item: row.verdict for item, row in found.items()} == dict.fromkeys(EQUATIONS, "reproduced")


@pytest.mark.parametrize(("item", "name"), CONSTANTS)
def test_another_printed_constant_changes_the_verdict(
    item: str, name: str, changed_claims: Callable[..., Claims]
) -> None:
    value = CLAIMS.printed["B"][item]["constants"][name] + 1
    assert rows(changed_claims(["B", item, "constants", name], value))[item].verdict == "not reproducible"


@pytest.mark.parametrize(("item", "name"), REPAIRS)
@pytest.mark.parametrize("side", [0, 1])
def test_another_erratum_changes_the_verdict(
    item: str, name: str, side: int, changed_claims: Callable[..., Claims]
) -> None:
    value = CLAIMS.errata["B"][item]["constants"][name][side] - 1
    changed = changed_claims(["B", item, "constants", name, side], value, errata=True)
    assert rows(changed)[item].verdict == "not reproducible"


def test_the_hand_evaluation_by_other_means() -> None:
    given = CASE.projects
    p_a, p_b, r_a, r_b = map(np.array, (given.p_a, given.p_b, given.r_a, given.r_b))
    to_b = p_b >= given.k * p_a
    w = np.where(to_b, p_b * r_b, p_a * r_a).sum() - given.c_a - given.c_b
    assert by_hand_b.benefit(given, income_a=1, income_b=1, cost_a=1, cost_b=1) == pytest.approx(w)
    w0 = (p_a * r_a).sum() - given.c_a
    assert by_hand_b.gain(given, score_of_b=1, given_up=1, cost=1) == pytest.approx(w - w0)
    assert sum(by_hand_b.weights(CASE.pmf)) == pytest.approx(entropy(CASE.pmf, base=2))
    x, weight = np.arange(7), np.array(by_hand_b.weights(CASE.pmf))
    l1, l2 = CASE.costs
    for m in range(7):
        loss = (weight * (l1 * np.maximum(m - x, 0) + l2 * np.maximum(x - m, 0))).sum()
        assert by_hand_b.total_loss(CASE.pmf, CASE.costs, m, surplus=1, shortage=1) == pytest.approx(loss)


def test_the_printed_shortage_is_below_zero() -> None:
    assert rows()["Equation 15"].ours["m = 4 of the printed formula"] > 0  # two wrong signs meet there
    assert by_hand_b.shortage_loss(CASE.pmf, 1.0, 4, difference=-1, to_the_end=1) < 0
    assert rows()["Equation 19"].ours["m* of the printed formula, -1 for none"] == -1
