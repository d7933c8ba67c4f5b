"""Which offers to open when opening costs: fixed costs, minimum volumes, capacities and budgets, with a certificate.

Paper B's eq. 13 gives each customer the best of the open offers; which offers are worth their fixed cost (eq. 7) is a facility
location problem. Opening one after the other while it pays is not optimal. Up to 20 offers that cost something every set is
weighed (`launch_enumeration`), beyond that sets are searched by branch and bound (`launch_branching`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from marketnn.allocation.launch_branching import branch
from marketnn.allocation.launch_enumeration import enumerate_sets
from marketnn.allocation.launch_problem import LaunchProblem, LaunchSet, Solve
from marketnn.errors import InputError, rows_text, unknown_name

__all__ = ["LaunchSet", "choose_launch_set"]

_ENUMERATED = 20
_METHODS = ("auto", "enumerate", "branch")


def choose_launch_set(
    value: Any,
    fixed_cost: Any,
    *,
    minimum: Any = None,
    capacity: Any = None,
    required: Sequence[int] = (),
    solve: Solve | None = None,
    method: str = "auto",
    max_sets: int = 10_000,
) -> LaunchSet:
    """Choose the open offers and give each customer one of them or none, so that value less fixed costs is largest.

    An offer is closed, or it is open, costs its fixed cost and serves from ``minimum`` to ``capacity`` customers. Without
    ``solve`` there are no capacities and minimum volumes, and each customer takes the best open offer. With it, any further
    constraint is possible whose prices the function returns.

    Args:
        value: (n, K) what customer i is worth with offer j; ``-inf`` where that is not possible.
        fixed_cost: (K,) paid for each open offer, 0 or more.
        minimum: (K,) fewest customers of an open offer.
        capacity: (K,) most customers of an offer.
        required: offers that stay open whatever they earn.
        solve: from a mask of open offers (K,) to the best assignment with exactly these open, ``None`` if their minimum volumes
            cannot be met.
        method: ``enumerate`` weighs all sets, ``branch`` searches; ``auto`` enumerates up to 20 offers that cost or demand
            something.
        max_sets: sets solved, or nodes searched, before the search ends with status ``gap``.

    Returns:
        The set, the assignment, its net value and an upper bound on every other.

    Raises:
        InputError: shapes that disagree, NaN or infinite values, negative costs, counts that are not whole, a minimum volume or
            capacity without ``solve``, unknown required offers or such offers whose minimum volumes cannot be met.
    """
    if method not in _METHODS:
        raise unknown_name("method", method, _METHODS)
    problem = _problem(value, fixed_cost, minimum, capacity, required, solve)
    if method == "branch" or (method == "auto" and len(problem.undecided) > _ENUMERATED):
        return branch(problem, max_nodes=max_sets)
    return enumerate_sets(problem, max_sets=max_sets)


def _problem(
    value: Any, fixed_cost: Any, minimum: Any, capacity: Any, required: Sequence[int], solve: Solve | None
) -> LaunchProblem:
    value_nk = torch.as_tensor(value, dtype=torch.float64)
    if value_nk.ndim != 2 or 0 in value_nk.shape:
        raise InputError(f"value has shape {tuple(value_nk.shape)}; give (customers, offers), at least one of each.")
    n, k = value_nk.shape
    unusable = (value_nk.isnan() | (value_nk == torch.inf)).any(1).cpu().numpy()
    if unusable.any():
        raise InputError(f"value is NaN or infinite in {rows_text(unusable)}; -inf alone is allowed (not possible).")
    cost_k = _numbers("fixed_cost", fixed_cost, k, 0.0)
    if (cost_k < 0).any():
        raise InputError(
            f"fixed_cost is {cost_k.min():g} at offer {cost_k.argmin()}; it must be 0 or more.\n"
            "A subsidy for being open is received whatever is decided: add it to the result."
        )
    if solve is None and (minimum is not None or capacity is not None):
        raise InputError("minimum and capacity need solve, which assigns within them; or call assign_offers.")
    minimum_k, capacity_k = _counts("minimum", minimum, k, 0), np.minimum(_counts("capacity", capacity, k, n), n)
    unknown = [offer for offer in required if not 0 <= offer < k]
    if unknown:
        raise InputError(f"required names offer {unknown[0]}; there are {k}, numbered from 0.")
    members = np.zeros(k, dtype=bool)
    members[list(required)] = True
    return LaunchProblem(value_nk, cost_k, minimum_k, capacity_k, members, solve)


def _numbers(name: str, given: Any, k: int, default: float) -> np.ndarray:
    numbers = np.full(k, default) if given is None else np.asarray(torch.as_tensor(given).cpu(), dtype=np.float64)
    if numbers.shape != (k,):
        raise InputError(f"{name} has shape {numbers.shape} for {k} offers; give one number per offer.")
    if not np.isfinite(numbers).all():
        raise InputError(
            f"{name} is not finite at offer {int(np.flatnonzero(~np.isfinite(numbers))[0])}; give numbers."
        )
    return numbers


def _counts(name: str, given: Any, k: int, default: int) -> np.ndarray:
    numbers = _numbers(name, given, k, default)
    wrong = np.flatnonzero((numbers < 0) | (numbers != np.floor(numbers)))
    if wrong.size:
        raise InputError(
            f"{name} is {numbers[wrong[0]]:g} at offer {wrong[0]}; give a number of customers, whole and 0 or more."
        )
    return numbers.astype(np.int64)
