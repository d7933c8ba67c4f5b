"""The action of highest expected profit, customer by customer: what tiers approximate.

Shapes: n customers, K actions (an offer through a channel).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from marketnn.errors import InputError, rows_text


@dataclass(frozen=True)
class ExpectedProfit:
    """The best action for every customer.

    Attributes:
        action: (n,) its index; -1 for none, where every action is expected to cost at least what it brings.
        expected_profit: (n,) of the best action; 0 for none.
        total: the sum.
    """

    action: np.ndarray
    expected_profit: np.ndarray
    total: float


def expected_profit_action(probability: object, revenue: object, cost: object) -> ExpectedProfit:
    """Choose for each customer the action with the highest ``probability x revenue - cost``, or none.

    Equal profits go to the cheaper action, then to the first.

    Args:
        probability: (n,) for all actions alike, or (n, K), of success.
        revenue: of a success: a number, (n,), (K,) or (n, K).
        cost: of the action whether it succeeds or not, from 0 on: a number, (n,), (K,) or (n, K).

    Raises:
        InputError: probabilities outside [0, 1], negative costs, numbers that are not finite, or shapes that do not fit.
    """
    p = np.asarray(probability, dtype=float)
    if p.ndim not in (1, 2) or not p.size:
        raise InputError(f"probability has shape {p.shape}; give (customers,) or (customers, actions).")
    wrong = ~((p >= 0) & (p <= 1))
    if wrong.any():
        rows = np.flatnonzero(wrong.reshape(len(p), -1).any(axis=1))
        raise InputError(f"probabilities lie in [0, 1], but {rows_text(rows)} hold {p[wrong][0]:g}.")
    given = {"revenue": np.asarray(revenue, dtype=float), "cost": np.asarray(cost, dtype=float)}
    for name, values in given.items():
        if not np.isfinite(values).all():
            raise InputError(f"{name} holds {values[~np.isfinite(values)].flat[0]}; give finite numbers.")
    if (given["cost"] < 0).any():
        raise InputError(f"cost holds {given['cost'].min():g}; give numbers from 0 on.")
    n, k = len(p), _actions(p, *given.values())
    revenue_nk, cost_nk = (_spread(name, values, n, k) for name, values in given.items())
    profit_nk = (p[:, None] if p.ndim == 1 else p) * revenue_nk - cost_nk
    best_n = profit_nk.max(axis=1)
    candidate_nk = np.where(profit_nk == best_n[:, None], cost_nk, np.inf)
    action_n = np.where(best_n > 0, candidate_nk.argmin(axis=1), -1)
    earned_n = np.maximum(best_n, 0.0)
    return ExpectedProfit(action_n, earned_n, float(earned_n.sum()))


def _actions(p: np.ndarray, *others: np.ndarray) -> int:
    """Return K: of a table of numbers, or of a list that is no customer's."""
    if p.ndim == 2:
        return p.shape[1]
    for values in others:
        if values.ndim == 2:
            return values.shape[1]
        if values.ndim == 1 and len(values) != len(p):
            return len(values)
    return 1


def _spread(name: str, values: np.ndarray, n: int, k: int) -> np.ndarray:
    """Lay numbers out as (n, K); a list of K is by action, also where n is K, and one of n by customer."""
    if values.ndim == 0 or values.shape == (k,):
        return np.broadcast_to(values, (n, k))
    if values.shape == (n,):
        return np.broadcast_to(values[:, None], (n, k))
    if values.shape == (n, k):
        return values
    raise InputError(
        f"{name} has shape {values.shape}; for {n:,} customers and {k} actions give ({n},), ({k},) or ({n}, {k})."
    )
