"""Columns that say the same twice: exact linear dependencies, found by pivoted QR, and variance inflation.

Columns come standardised (mean 0, deviation 1; constant ones 0), so that no unit of measurement decides what counts as
zero, and the intercept is orthogonal to every column. Shapes: n rows, p columns, r of them independent, d dependent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import qr, solve_triangular

from marketnn.errors import InputError

# The information matrix squares the condition number: a column that differs from the others by less than this share of
# its spread leaves no correct digit in float64.
TOLERANCE = 1e-7
_SHOWN = 4
_BLOCK_ELEMENTS = 2**17  # of the rows that are factored at a time


class CollinearityError(InputError):
    """Columns are constant or linear combinations of others, so their coefficients are not determined.

    Attributes:
        columns: one set of column names per dependency; a constant column is a set of its own.
    """

    def __init__(self, message: str, columns: Sequence[frozenset[str]]) -> None:
        super().__init__(message)
        self.columns = tuple(columns)


@dataclass(frozen=True)
class Dependency:
    """``column = intercept + sum of weight * other column``, in the units of the columns.

    Attributes:
        column: the column that the others determine.
        intercept: the constant.
        weights: other column -> weight; empty for a constant column.
    """

    column: str
    intercept: float
    weights: dict[str, float]

    @property
    def columns(self) -> frozenset[str]:
        """All columns that take part."""
        return frozenset({self.column, *self.weights})

    def __str__(self) -> str:
        if not self.weights:
            return f"column '{self.column}' is constant ({self.intercept:.4g}), as the intercept is"
        terms = [f"{'-' if weight < 0 else '+'} {abs(weight):.4g}*'{name}'" for name, weight in self.weights.items()]
        shown = [*terms[:_SHOWN], f"+ ... ({len(terms)} columns)"] if len(terms) > _SHOWN else terms
        return f"column '{self.column}' is a linear combination, {self.intercept:.4g} {' '.join(shown)}"


def find_dependencies(
    z_np: np.ndarray, mean_p: np.ndarray, deviation_p: np.ndarray, names: Sequence[str]
) -> list[Dependency]:
    """Return every dependency among the columns and the intercept; each is minimal: no subset of its columns depends.

    Args:
        z_np: standardised columns.
        mean_p: their means before.
        deviation_p: their deviations before; 0 marks a constant column.
        names: their names.
    """
    constant = [Dependency(names[j], float(mean_p[j]), {}) for j in np.flatnonzero(deviation_p == 0).tolist()]
    varying = np.flatnonzero(deviation_p)
    if not varying.size:
        return constant
    triangle_pp, pivots = qr(_triangle(z_np, varying), mode="r", pivoting=True)
    order_p = varying[pivots]
    diagonal = np.abs(np.diag(triangle_pp))
    rank = int((diagonal > TOLERANCE * diagonal[0]).sum())
    solved_rd = solve_triangular(triangle_pp[:rank, :rank], triangle_pp[:rank, rank:])
    dependent = []
    for solved_r, j in zip(solved_rd.T, order_p[rank:].tolist(), strict=True):
        used = np.abs(solved_r) > TOLERANCE
        others = order_p[:rank][used]
        weights = solved_r[used] * deviation_p[j] / deviation_p[others]
        parts = np.array([mean_p[j], *(-weights * mean_p[others])])
        intercept = float(parts.sum()) if abs(parts.sum()) > TOLERANCE * np.abs(parts).max() else 0.0
        by_name = {
            names[other]: weight for other, weight in sorted(zip(others.tolist(), weights.tolist(), strict=True))
        }
        dependent.append(Dependency(names[j], intercept, by_name))
    return constant + dependent


def _triangle(z_np: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return R (p, p) of a QR factorisation of some columns, by blocks of rows that stay in the cache."""
    rows = max(_BLOCK_ELEMENTS // len(columns), 4 * len(columns))
    triangle_pp = z_np[:0, columns]
    for start in range(0, len(z_np), rows):
        block_bp = z_np[start : start + rows, columns]
        triangle_pp = np.asarray(np.linalg.qr(np.concatenate([triangle_pp, block_bp]), mode="r"))
    return triangle_pp


def refuse_dependencies(found: Sequence[Dependency]) -> None:
    """Raise for the dependencies found, if there are any.

    Raises:
        CollinearityError: names the first two, and one column of each that may go.
    """
    if not found:
        return
    said = "; ".join(map(str, found[:2])) + (f"; and {len(found) - 2} more" if len(found) > 2 else "")
    drop = ", ".join(f"'{dependency.column}'" for dependency in found[:8])
    raise CollinearityError(
        f"the coefficients are not determined: {said}.\nDrop one column of each dependency, for example {drop}.",
        [dependency.columns for dependency in found],
    )


def variance_inflation(z_np: np.ndarray) -> np.ndarray:
    """Return 1 / (1 - R^2) of every independent column regressed on the others and an intercept."""
    r_pp = _triangle(z_np, np.arange(z_np.shape[1]))
    inverse_pp = solve_triangular(r_pp, np.eye(len(r_pp)))
    return len(z_np) * (inverse_pp**2).sum(1)
