"""The audit finds the faults that were planted, and no others."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from experiments.logistic_audit import PrintedRow, audit, two_sided_p


def printed(variable: str, estimate: float, std_error: float) -> PrintedRow:
    z = round(estimate, 9) / round(std_error, 9)
    return PrintedRow(variable, f"{estimate:.9f}", f"{std_error:.9f}", f"{z:.9f}", f"{2 * norm.sf(abs(z)):.9g}")


@st.composite
def clean_tables(draw: st.DrawFn) -> list[PrintedRow]:
    """Tables whose neighbouring z differ clearly and whose p can tell them apart."""
    sizes = draw(st.lists(st.floats(1.0, 6.0), min_size=2, max_size=8, unique_by=lambda size: round(size, 1)))
    signs = draw(st.lists(st.sampled_from([-1, 1]), min_size=len(sizes), max_size=len(sizes)))
    errors = draw(st.lists(st.floats(0.01, 2.0), min_size=len(sizes), max_size=len(sizes)))
    return [
        printed(f"x{place}", sign * size * error, error)
        for place, (size, sign, error) in enumerate(zip(sizes, signs, errors, strict=True))
    ]


CLEAN = [printed("a", 1.2, 0.4), printed("b", -0.9, 0.45), printed("c", 0.35, 0.14)]


@given(z=st.floats(-30, 30))
@settings(deadline=None)
def test_p_is_the_normal_tail(z: float) -> None:
    assert two_sided_p(z) == pytest.approx(2 * norm.sf(abs(z)), rel=1e-10)


@given(table=clean_tables())
@settings(deadline=None)
def test_a_clean_table_has_no_fault(table: list[PrintedRow]) -> None:
    assert audit(table) == []


@given(table=clean_tables(), place=st.integers(0), factor=st.sampled_from([0.5, 0.7, 1.5, 3.0]))
@settings(deadline=None)
def test_a_wrong_std_error_is_found_and_repaired(table: list[PrintedRow], place: int, factor: float) -> None:
    place %= len(table)
    true = float(table[place].std_error)
    wrong = [*table]
    wrong[place] = replace(table[place], std_error=f"{true * factor:.9f}")
    (fault,) = audit(wrong)
    assert (fault.variable, fault.column) == (f"x{place}", "std_error")
    assert fault.repaired == pytest.approx(true, rel=1e-3)


@given(table=clean_tables(), place=st.integers(0))
@settings(deadline=None)
def test_a_z_from_the_row_below_is_found_and_repaired(table: list[PrintedRow], place: int) -> None:
    place %= len(table) - 1
    wrong = [*table]
    wrong[place] = replace(table[place], z=table[place + 1].z)
    if abs(abs(float(table[place].z)) - abs(float(table[place + 1].z))) < 0.1:
        return  # p cannot tell two z of nearly one size apart
    (fault,) = audit(wrong)
    assert (fault.variable, fault.column, fault.cause) == (f"x{place}", "z", "row below")
    assert fault.repaired == pytest.approx(float(table[place].z), rel=1e-6)


@given(table=clean_tables(), place=st.integers(0), factor=st.sampled_from([10.0, 0.1]))
@settings(deadline=None)
def test_a_tenfold_p_is_found_and_repaired(table: list[PrintedRow], place: int, factor: float) -> None:
    place %= len(table)
    true = float(table[place].p)
    wrong = [*table]
    wrong[place] = replace(table[place], p=f"{true * factor:.9g}")
    (fault,) = audit(wrong)
    assert (fault.variable, fault.column, fault.cause) == (f"x{place}", "p", "tenfold")
    assert fault.repaired == pytest.approx(true, rel=1e-6)


def test_one_wrong_digit_of_a_std_error_is_restored_exactly() -> None:
    (fault,) = audit([replace(CLEAN[0], std_error="0.490000000"), *CLEAN[1:]])
    assert (fault.column, fault.cause, fault.repaired) == ("std_error", "one digit", 0.4)


def test_a_lost_sign_is_the_fault_of_z() -> None:
    (fault,) = audit([CLEAN[0], replace(CLEAN[1], z="2.000000000"), CLEAN[2]])
    assert (fault.variable, fault.column, fault.cause, fault.repaired) == ("b", "z", "unexplained", -2.0)


@pytest.mark.parametrize(("share", "n_faults"), [(1.019, 0), (1.021, 1)])
def test_p_may_be_two_percent_off(share: float, n_faults: int) -> None:
    p = float(CLEAN[0].p) * share
    assert len(audit([replace(CLEAN[0], p=f"{p:.9f}")])) == n_faults


def test_p_of_few_digits_may_be_two_units_off() -> None:
    rounded = printed("a", 5.65, 1.0)
    assert two_sided_p(5.65) == pytest.approx(1.604e-8, rel=1e-3)
    assert audit([replace(rounded, p="0.000000015")]) == []
    (fault,) = audit([replace(rounded, p="0.000000013")])
    assert fault.column == "p"
