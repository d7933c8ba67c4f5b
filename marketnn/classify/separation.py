"""Separation: labels that a linear score predicts without error, so that logistic regression has no finite estimate.

Decided by linear programming (Konis 2007, "Linear programming algorithms for detecting separated data in binary
logistic regression models"). With signed rows ``m_i = (2 y_i - 1) (1, x_i)`` a score ``b`` separates when ``M b >= 0``
and some row is strictly above: completely when all rows are, quasi-completely otherwise.

Shapes: n rows, p columns, q = p + 1 with the intercept, which comes first; m rows that are left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.linalg import null_space
from scipy.optimize import linprog

from marketnn.errors import InputError

_TOLERANCE = 1e-6  # ten times the feasibility tolerance of the linear programme
_SHOWN = 6


class SeparationError(InputError):
    """A linear score predicts the labels of all rows ("complete") or of some ("quasi") without error.

    Attributes:
        kind: ``complete`` or ``quasi``.
        columns: the columns that separate, in the table's order. Quasi: all whose estimate is infinite. Complete: those
            that separate alone, or where none does, a set none of which can be spared.
    """

    def __init__(self, message: str, kind: str, columns: Sequence[str]) -> None:
        super().__init__(message)
        self.kind = kind
        self.columns = tuple(columns)


@dataclass(frozen=True)
class Separation:
    """What was found.

    Attributes:
        kind: ``complete`` or ``quasi``.
        columns: positions of the columns that separate.
        n_separated: rows that a score can place strictly on their side.
    """

    kind: Literal["complete", "quasi"]
    columns: tuple[int, ...]
    n_separated: int


def find_separation(x_np: np.ndarray, y_n: np.ndarray) -> Separation | None:
    """Return how the labels are separated, or ``None`` where the maximum-likelihood estimate is finite.

    Args:
        x_np: linearly independent columns, none of them constant, without the intercept.
        y_n: labels, 0 and 1.
    """
    signed_nq = _signed_rows(x_np, y_n)
    rest_mq = _unseparated(signed_nq)
    n_separated = len(signed_nq) - len(rest_mq)
    if not n_separated:
        return None
    if not len(rest_mq):
        return Separation("complete", _sufficient_columns(x_np, y_n, signed_nq), n_separated)
    # Every separating score vanishes on the rest, and together they fill its null space.
    directions_qk = null_space(np.linalg.qr(rest_mq, mode="r"), rcond=_TOLERANCE * rest_mq.shape[1])
    infinite_q = np.abs(directions_qk).max(axis=1, initial=0.0) > _TOLERANCE
    return Separation("quasi", tuple(np.flatnonzero(infinite_q[1:]).tolist()), n_separated)


def refuse_separation(found: Separation | None, names: Sequence[str], n_rows: int) -> None:
    """Raise for the separation found, if there is one.

    Args:
        found: from ``find_separation``.
        names: the names of its columns.
        n_rows: how many rows there are.

    Raises:
        SeparationError: names the columns and the repair.
    """
    if found is None:
        return
    columns = [names[j] for j in found.columns]
    shown = ", ".join(f"'{name}'" for name in columns[:_SHOWN]) + (", ..." if len(columns) > _SHOWN else "")
    subject = f"column {shown} predicts" if len(columns) == 1 else f"columns {shown} predict"
    rows = "every row" if found.kind == "complete" else f"{found.n_separated:,} of {n_rows:,} rows"
    raise SeparationError(
        f"{found.kind} separation: {subject} y of {rows} without error, so no finite estimate exists.\n"
        "Check for a leak of the target; then drop columns, merge rare levels, or use a penalised classifier.",
        found.kind,
        columns,
    )


def _signed_rows(x_np: np.ndarray, y_n: np.ndarray) -> np.ndarray:
    """Return M, scaled so that the programme's tolerance is small beside the bulk of the data and beside its outliers.

    Neither an affine map of a column nor a positive factor on a row changes what separates. A skewed column
    standardised by its deviation crowds most rows within the tolerance; quartiles spread them.
    """
    low_p, middle_p, high_p = np.quantile(x_np, (0.25, 0.5, 0.75), axis=0)
    spread_p = np.where(high_p > low_p, high_p - low_p, x_np.std(axis=0))
    rows_nq = np.column_stack([np.ones(len(x_np)), (x_np - middle_p) / spread_p])
    sign_n = 2.0 * y_n - 1.0
    return rows_nq * (sign_n / np.abs(rows_nq).max(axis=1))[:, None]


def _unseparated(signed_nq: np.ndarray) -> np.ndarray:
    """Return the rows that no separating score can place strictly on their side.

    A row that one score separates stays separated when a small multiple of any other is added, so separated rows leave
    the programme and the search goes on among the others.
    """
    rest_mq = signed_nq
    while len(rest_mq):
        zeros_m = np.zeros(len(rest_mq))
        programme = linprog(-rest_mq.mean(0), A_ub=-rest_mq, b_ub=zeros_m, bounds=(-1, 1), method="highs")
        separated_m = rest_mq @ programme.x > _TOLERANCE
        if not separated_m.any():
            break
        rest_mq = rest_mq[~separated_m]
    return rest_mq


def _sufficient_columns(x_np: np.ndarray, y_n: np.ndarray, signed_nq: np.ndarray) -> tuple[int, ...]:
    """Return all columns that separate completely alone, or else a set that does and from which none can be spared."""
    zeros_mp, ones_mp = x_np[y_n == 0], x_np[y_n == 1]
    alone_p = (zeros_mp.max(0) < ones_mp.min(0)) | (ones_mp.max(0) < zeros_mp.min(0))
    if alone_p.any():
        return tuple(np.flatnonzero(alone_p).tolist())
    # Drop blocks of halving size where the rest still separates; those that tell the classes apart least go first.
    between_p = np.abs(ones_mp.mean(0) - zeros_mp.mean(0)) / x_np.std(axis=0)
    kept = np.argsort(between_p).tolist()
    size = len(kept) // 2
    while size:
        start = 0
        while start < len(kept):
            fewer = kept[:start] + kept[start + size :]
            if len(_unseparated(signed_nq[:, [0, *(j + 1 for j in fewer)]])):
                start += size
            else:
                kept = fewer
        size //= 2
    return tuple(sorted(kept))
