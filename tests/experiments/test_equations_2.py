"""Equations 2.1-2.9: the hand evaluation is right by other means, and every constant carries its verdict."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from experiments import by_hand
from experiments.claims import Claims, load_claims
from experiments.experiment import Workspace
from experiments.ledger import Row
from experiments.paper_a.equations_2 import EQUATIONS, load_case, run

CLAIMS = load_claims()
CASE = load_case(CLAIMS)
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
    row = rows(changed_claims(["A", item, "constants", name], value))[item]
    assert row.verdict == "not reproducible"
    assert " differs: ours is " in row.reason


@pytest.mark.parametrize(("item", "name"), REPAIRS)
@pytest.mark.parametrize("side", [0, 1])
def test_another_erratum_changes_the_verdict(
    item: str, name: str, side: int, changed_claims: Callable[..., Claims]
) -> None:
    value = CLAIMS.errata["A"][item]["constants"][name][side] + 1
    assert (
        rows(changed_claims(["A", item, "constants", name, side], value, errata=True))[item].verdict
        == "not reproducible"
    )


def test_without_the_square_the_error_is_negative() -> None:
    numbers = rows()["Equation 2.1"].ours
    assert numbers["E of the printed formula"] < 0 < numbers["E"]


def test_the_printed_step_goes_uphill() -> None:
    numbers = rows()["Equation 2.7"].ours
    assert numbers["slope along the step"] < 0 < numbers["slope along the printed step"]


def test_the_derivatives_by_hand_are_difference_quotients() -> None:
    flat, step = CASE.weights.flat(), 1e-6
    for x in CASE.inputs:
        derivatives = by_hand.output_derivatives(CASE.weights, [x])
        for place in range(len(flat)):
            high, low = [*flat], [*flat]
            high[place] += step
            low[place] -= step
            quotient = (by_hand.forward(unflat(high), [x])[1] - by_hand.forward(unflat(low), [x])[1]) / (2 * step)
            assert derivatives[place] == pytest.approx(quotient, abs=1e-9)


def test_the_step_by_hand_is_numpys() -> None:
    jacobian, e = np.array(CASE.jacobian(-1)), np.array(CASE.residuals())
    expected = -np.linalg.solve(jacobian.T @ jacobian + CASE.mu * np.eye(7), jacobian.T @ e)
    step = by_hand.levenberg_marquardt_step(CASE.residuals(), CASE.jacobian(-1), CASE.mu, sign=-1, damping=1)
    np.testing.assert_allclose(step, expected, rtol=1e-10)


def test_the_error_by_hand() -> None:
    assert by_hand.half_sse([1.0, -2.0, 3.0], factor=0.5, exponent=2) == 7.0
    assert by_hand.half_sse([1.0, -2.0, 3.0], factor=0.5, exponent=1) == 1.0
    gradient = by_hand.error_gradient([1.0, -2.0], [[1.0, 0.0], [3.0, 1.0]], factor=0.5, exponent=2)
    assert gradient == [-5.0, -2.0]


def test_the_bias_is_counted_once_or_twice() -> None:
    assert by_hand.net_input([2.0], 0.5, [3.0], first_index=1, added_biases=1) == 6.5
    assert by_hand.net_input([2.0], 0.5, [3.0], first_index=0, added_biases=1) == 7.0


def unflat(flat: list[float]) -> by_hand.Weights:
    return by_hand.Weights([[flat[0]], [flat[1]]], flat[2:4], flat[4:6], flat[6])
