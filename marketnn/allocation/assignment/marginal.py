"""The exact part: a linear or integer programme over the few customers whose choice the prices leave open.

Shapes: k offers, m customers or groups of equal ones, c cells (a customer and an offer), r rows, u uses (`limits`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

from marketnn.allocation.assignment.customers import Block
from marketnn.allocation.assignment.limits import Limits

_DUAL_TOLERANCE = 1e-10  # the smallest that HiGHS takes
_FITS = 1e-9
_OBJECTIVE = 1e4  # the largest value of a contact in integer programmes: HiGHS stops at a gap of 1e-6
_WHOLE = 1e-6


class Cells(NamedTuple):
    """The contacts that are open: customer (c,), offer (c,), value (c,), and uses per row (r, c)."""

    customer_c: np.ndarray
    offer_c: np.ndarray
    value_c: np.ndarray
    row_rc: np.ndarray


class LinearAnswer(NamedTuple):
    """How many of each cell's customers get its offer (c,), and the prices of the rows (r,)."""

    taken_c: np.ndarray
    y_r: np.ndarray


class WholeAnswer(NamedTuple):
    """How many of each cell's customers get its offer (c,), and a bound on the value of all such answers."""

    taken_c: np.ndarray
    bound: float


def open_cells(block: Block, limits: Limits) -> Cells:
    """Return the possible contacts of some customers.

    Args:
        block: customers on the CPU in float64.
        limits: whose rows the cells use.
    """
    value_km = block.value_kb.numpy()
    customer_c, offer_c = np.nonzero((value_km > -np.inf).T)
    row_rc = limits.row_ru[:, offer_c]
    if block.cost_kb is not None:
        row_rc = row_rc + limits.row_ru[:, limits.k + offer_c] * block.cost_kb.numpy()[offer_c, customer_c]
    return Cells(customer_c, offer_c, value_km[offer_c, customer_c], row_rc)


def solve_linear(
    cells: Cells, weight_m: np.ndarray, bound_r: np.ndarray, y_r: np.ndarray, reach_r: np.ndarray
) -> LinearAnswer | None:
    """Solve the linear programme; whole where all rows count contacts, since it is a flow problem.

    Limits may be bought and sold at prices somewhat above and below those given: so the solution's prices stay within reach of
    them, and nothing is traded where the true prices are.

    Args:
        cells: the contacts that are open.
        weight_m: how many customers each stands for.
        bound_r: limits of the rows.
        y_r: prices of the rows.
        reach_r: how far they may move; infinite where no limit is traded.

    Returns:
        ``None`` if no solution meets the limits, or only with traded ones.
    """
    if np.isinf(reach_r).any():
        bought, sold = np.zeros(0, dtype=int), np.zeros(0, dtype=int)
    else:
        bought, sold = np.arange(len(y_r)), np.flatnonzero(y_r > reach_r)
    n_cells, n_traded = len(cells.value_c), len(bought) + len(sold)
    if not n_cells + n_traded:
        return LinearAnswer(np.zeros(0), np.zeros(len(bound_r))) if (bound_r >= 0).all() else None
    trade = sparse.csc_array(
        (np.repeat([-1.0, 1.0], [len(bought), len(sold)]), (np.concatenate([bought, sold]), np.arange(n_traded))),
        shape=(len(bound_r), n_traded),
    )
    gain = np.concatenate([cells.value_c, -(y_r + reach_r)[bought], (y_r - reach_r)[sold]])
    scale = float(np.abs(gain).max()) or 1.0
    answer = linprog(
        -gain / scale,
        A_ub=sparse.hstack([_matrix(cells, len(weight_m)), _below(trade, len(weight_m))], format="csc"),
        b_ub=np.concatenate([weight_m, bound_r]),
        method="highs-ds",
        options={"dual_feasibility_tolerance": _DUAL_TOLERANCE, "primal_feasibility_tolerance": _FITS},
    )
    if answer.x is None or (answer.x[n_cells:] > _WHOLE).any():
        return None
    return LinearAnswer(answer.x[:n_cells], np.maximum(-answer.ineqlin.marginals[len(weight_m) :], 0.0) * scale)


def solve_integer(cells: Cells, weight_m: np.ndarray, bound_r: np.ndarray, max_nodes: int) -> WholeAnswer | None:
    """Solve the integer programme, as far as some number of nodes goes.

    Where a contact's uses depend on its offer alone, only the number of contacts of each offer has to be whole: with these given,
    the rest is a flow problem, whose vertices are whole. A few integers instead of thousands make an easy programme.

    Args:
        cells, weight_m, bound_r: as for `solve_linear`.
        max_nodes: after which the best answer so far is returned with its bound.

    Returns:
        ``None`` if no solution meets the limits or none was found.
    """
    if not len(cells.value_c):
        return WholeAnswer(np.zeros(0), 0.0) if (bound_r >= 0).all() else None
    scale = _largest(cells) / _OBJECTIVE
    use_r = np.maximum(np.abs(cells.row_rc).max(1), 1e-300)
    matrix, n_counts = _whole_matrix(cells._replace(row_rc=cells.row_rc / use_r[:, None]), len(weight_m))
    n_cells = len(cells.value_c)
    whole = np.concatenate([np.full(n_cells, n_counts == 0), np.ones(n_counts)])
    most = np.concatenate([weight_m[cells.customer_c], np.full(n_counts, weight_m.sum())])
    spare_r = np.zeros(len(bound_r))
    for _ in range(2):  # HiGHS lets a row overrun by its tolerance; the second time it is given that much less
        above = np.concatenate([weight_m, (bound_r - spare_r) / use_r, np.zeros(n_counts)])
        below = np.where(np.arange(len(above)) < len(above) - n_counts, -np.inf, 0.0)
        answer = milp(
            np.concatenate([-cells.value_c / scale, np.zeros(n_counts)]),
            constraints=LinearConstraint(matrix, below, above),
            integrality=whole,
            bounds=Bounds(0, most),
            options={"node_limit": max_nodes, "mip_rel_gap": 0.0},
        )
        if answer.x is None:
            return None
        taken_c = np.round(answer.x[:n_cells])
        bound = -answer.mip_dual_bound * scale
        if fits(cells, bound_r, taken_c) and _once(cells, weight_m, taken_c):
            return WholeAnswer(taken_c, bound)
        spare_r = 2 * np.maximum(cells.row_rc @ taken_c - bound_r, 0.0)
    return None


def fits(cells: Cells, bound_r: np.ndarray, taken_c: np.ndarray) -> bool:
    """Whether a solution meets the limits, up to the rounding of sums."""
    over_r = cells.row_rc @ taken_c - bound_r
    return bool((over_r <= _FITS * (1 + np.abs(bound_r))).all())


def round_down(cells: Cells, weight_m: np.ndarray, bound_r: np.ndarray, taken_c: np.ndarray) -> np.ndarray:
    """Round a solution (c,) down and give the customers left over the best that still fits."""
    whole_c = np.floor(taken_c + _WHOLE)
    left_r = bound_r - cells.row_rc @ whole_c
    left_m = weight_m - np.bincount(cells.customer_c, whole_c, minlength=len(weight_m))
    open_c = np.flatnonzero(taken_c > whole_c + _WHOLE)
    again_c = np.flatnonzero(np.isin(cells.customer_c, cells.customer_c[open_c]) & (cells.value_c > 0))
    for c in again_c[np.argsort(-cells.value_c[again_c], kind="stable")]:
        use_r = cells.row_rc[:, c]
        with np.errstate(divide="ignore"):
            room = np.min(left_r[use_r > 0] / use_r[use_r > 0], initial=np.inf)
        more = max(np.floor(min(left_m[cells.customer_c[c]], room + 1e-12)), 0.0)
        whole_c[c] += more
        left_m[cells.customer_c[c]] -= more
        left_r = left_r - more * use_r
    return whole_c


def _once(cells: Cells, weight_m: np.ndarray, taken_c: np.ndarray) -> bool:
    """Whether nobody gets more contacts than there are customers."""
    return bool((np.bincount(cells.customer_c, taken_c, minlength=len(weight_m)) <= weight_m).all())


def _below(matrix: sparse.csc_array, n_above: int) -> sparse.csc_array:
    return sparse.vstack([sparse.csc_array((n_above, matrix.shape[1])), matrix], format="csc")


def _largest(cells: Cells) -> float:
    return float(np.abs(cells.value_c).max()) or 1.0


def _matrix(cells: Cells, n_customers: int) -> sparse.csc_array:
    """Stack the customers' rows (one contact each) on the limits' rows."""
    return sparse.vstack([_sums(cells.customer_c, n_customers), sparse.csc_array(cells.row_rc)], format="csc")


def _whole_matrix(cells: Cells, n_customers: int) -> tuple[sparse.csc_array, int]:
    """Return the programme's rows, with a column per offer for its number of contacts where that determines the uses.

    Returns:
        The customers' rows, the limits' rows and, with such columns, a row per offer that makes them the numbers they are; and
        how many such columns there are.
    """
    _, first_j, offer_c = np.unique(cells.offer_c, return_index=True, return_inverse=True)
    row_rj = cells.row_rc[:, first_j]
    if not np.array_equal(row_rj[:, offer_c], cells.row_rc):
        return _matrix(cells, n_customers), 0
    n_offers = len(first_j)
    blocks = [
        [_sums(cells.customer_c, n_customers), None],
        [None, sparse.csc_array(row_rj)],
        [_sums(offer_c, n_offers), -sparse.eye_array(n_offers)],
    ]
    return sparse.block_array(blocks, format="csc"), n_offers


def _sums(row_c: np.ndarray, n_rows: int) -> sparse.csc_array:
    """Return the matrix that adds up, in each row, the cells that belong to it."""
    return sparse.csc_array((np.ones(len(row_c)), (row_c, np.arange(len(row_c)))), shape=(n_rows, len(row_c)))
