"""Audit of a printed coefficient table: does every z follow from its row, and every p from its z?

A z must be estimate / std. error (Wald), and its p must be 2 (1 - Phi(|z|)). Where they disagree, p tells which of the
two columns is at fault, since it was computed before the misprint, and the fault's shape suggests the repair.
"""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal

from experiments.claims import last_place

Z_TOLERANCE = 5e-4  # relative; the printed inputs have six good digits, a misprint moves z by a thousandth or more
P_TOLERANCE = 0.02  # relative
P_LAST_PLACES = 2  # a p of few digits may be off by so many units of its last place

Cause = Literal["one digit", "row below", "tenfold", "unexplained"]


@dataclass(frozen=True)
class PrintedRow:
    """One variable of a coefficient table, numbers as printed."""

    variable: str
    estimate: str
    std_error: str
    z: str
    p: str

    @property
    def wald_z(self) -> float:
        """Estimate / std. error, both as printed."""
        return float(self.estimate) / float(self.std_error)


@dataclass(frozen=True)
class Fault:
    """One cell that cannot be right.

    Attributes:
        variable: its row.
        column: ``std_error``, ``z`` or ``p``.
        printed: the cell's text.
        repaired: what it must have been.
        cause: ``one digit`` of the std. error is wrong, z is that of the ``row below``, p is ``tenfold`` or a tenth, or
            ``unexplained``.
    """

    variable: str
    column: Literal["std_error", "z", "p"]
    printed: str
    repaired: float
    cause: Cause


def audit(rows: Sequence[PrintedRow]) -> list[Fault]:
    """Find the faulty cells of a table, row by row."""
    faults = []
    for row, below in zip_longest(rows, rows[1:]):
        z_fault = _audit_z(row, below)
        z = row.wald_z if z_fault is None or z_fault.column == "z" else float(row.estimate) / z_fault.repaired
        faults += [fault for fault in (z_fault, _audit_p(row, z)) if fault is not None]
    return faults


def two_sided_p(z: float) -> float:
    """Return 2 (1 - Phi(|z|))."""
    return math.erfc(abs(z) / math.sqrt(2))


def _audit_z(row: PrintedRow, below: PrintedRow | None) -> Fault | None:
    if _same_z(float(row.z), row.wald_z):
        return None
    one_digit = _one_digit_repair(row)
    if _std_error_is_at_fault(row, one_digit):
        if one_digit is None:
            return Fault(row.variable, "std_error", row.std_error, float(row.estimate) / float(row.z), "unexplained")
        return Fault(row.variable, "std_error", row.std_error, one_digit, "one digit")
    shifted = below is not None and _same_z(float(row.z), below.wald_z)
    return Fault(row.variable, "z", row.z, row.wald_z, "row below" if shifted else "unexplained")


def _std_error_is_at_fault(row: PrintedRow, one_digit: float | None) -> bool:
    """Ask the printed p which z it came from; where it fits both, a std. error that one digit repairs is at fault."""
    p_of_printed, p_of_wald = two_sided_p(float(row.z)), two_sided_p(row.wald_z)
    fits_printed, fits_wald = _same_p(row.p, p_of_printed), _same_p(row.p, p_of_wald)
    if fits_printed and fits_wald:
        return one_digit is not None
    if fits_printed or fits_wald:
        return fits_printed
    return _log_distance(row.p, p_of_printed) < _log_distance(row.p, p_of_wald)


def _audit_p(row: PrintedRow, z: float) -> Fault | None:
    p = two_sided_p(z)
    if _same_p(row.p, p):
        return None
    for factor in (10.0, 0.1):
        if _same_p(row.p, p, factor):
            return Fault(row.variable, "p", row.p, float(row.p) * factor, "tenfold")
    return Fault(row.variable, "p", row.p, p, "unexplained")


def _one_digit_repair(row: PrintedRow) -> float | None:
    """Change one digit of the std. error so that the printed z follows; the best such change, if any."""
    text, target = row.std_error, float(row.z)
    changed = (
        float(text[:place] + digit + text[place + 1 :])
        for place, old in enumerate(text)
        if old.isdigit()
        for digit in string.digits
        if digit != old
    )
    distances = [(abs(float(row.estimate) / value - target), value) for value in changed if value > 0]
    _, nearest = min(distances)
    return nearest if _same_z(target, float(row.estimate) / nearest) else None


def _same_z(printed: float, computed: float) -> bool:
    return abs(printed - computed) <= Z_TOLERANCE * abs(computed)


def _same_p(printed: str, computed: float, factor: float = 1.0) -> bool:
    """Whether a printed p, times ``factor``, is the computed one up to rounding."""
    difference = abs(float(printed) * factor - computed)
    return difference <= P_TOLERANCE * computed or difference <= P_LAST_PLACES * last_place(printed) * factor


def _log_distance(printed: str, computed: float) -> float:
    smallest = math.ulp(0.0)
    return abs(math.log(max(float(printed), smallest)) - math.log(max(computed, smallest)))
