"""The knapsack of units, exactly: those of the greatest gain whose costs stay within a capacity.

By falling gain per cost, the units bought until one does not fit (the break unit) and the fitting part of that one solve the
relaxation to parts of units: its price per cost is the break unit's gain per cost, and its gain is a bound. With equal costs
the whole units of it are the optimum.

Otherwise let ``reduced = gain - price * cost``. An answer that differs from the relaxation's in some units is worth at most
the bound less the sum of their ``|reduced|``, so that only units with a small one matter. They are decided one after the other,
smallest first, over the list of partial answers that none other beats in both cost and gain and whose bound exceeds the best
answer yet; when no unit is left whose ``|reduced|`` the best bound could bear, the best answer is proved (Balas and Zemel,
An algorithm for large zero-one knapsack problems, 1980; Pisinger, A minimal algorithm for the 0-1 knapsack problem, 1997).

Shapes: U units, S partial answers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_ROUNDING = 1e-13  # relative to the bound: less than that is no improvement
_MAX_STATES = 5_000_000  # partial answers kept, over all decisions, about 50 MB


@dataclass(frozen=True)
class Knapsack:
    """The units chosen.

    Attributes:
        chosen: (U,) mask.
        bound: no choice gains more.
        price: gain per cost of the relaxation's last unit; 0 where all units fit.
    """

    chosen: np.ndarray
    bound: float
    price: float


def solve_knapsack(gain_u: np.ndarray, cost_u: np.ndarray, capacity: float) -> Knapsack:
    """Choose units of gain > 0 and cost > 0; ``bound`` exceeds their gain only where the list of answers grew too long."""
    order = np.argsort(-gain_u / cost_u, kind="stable")
    spent = np.cumsum(cost_u[order])
    n_whole = int(np.searchsorted(spent, capacity, side="right"))
    chosen = np.zeros(len(order), dtype=bool)
    chosen[order[:n_whole]] = True
    if n_whole == len(order):
        return Knapsack(chosen, float(gain_u.sum()), 0.0)
    price = float(gain_u[order[n_whole]] / cost_u[order[n_whole]])
    if (cost_u == cost_u[0]).all():
        return Knapsack(chosen, float(gain_u[chosen].sum()), price)
    return _decide(gain_u, cost_u, capacity, chosen, price)


def _decide(gain_u: np.ndarray, cost_u: np.ndarray, capacity: float, whole: np.ndarray, price: float) -> Knapsack:
    """Improve the relaxation's whole units by the units that its price leaves open."""
    sign_u = np.where(whole, -1.0, 1.0)
    step_cost_u, step_gain_u = sign_u * cost_u, sign_u * gain_u
    penalty_u = np.abs(gain_u - price * cost_u)
    order = np.argsort(penalty_u, kind="stable")

    cost_s = np.array([cost_u[whole].sum()])
    gain_s = np.array([gain_u[whole].sum()])
    bound_s = gain_s + price * (capacity - cost_s)
    tolerance = _ROUNDING * float(bound_s[0])
    best, best_place = float(gain_s[0]), (0, 0)
    history: list[
        tuple[np.ndarray, np.ndarray]
    ] = []  # of every decision: whose child each answer is, and if it differs
    n_states = 0
    for unit in order:
        bears = bound_s - penalty_u[unit] > best + tolerance
        if not bears.any() or n_states > _MAX_STATES:
            break
        parent = np.concatenate([np.arange(len(cost_s)), np.flatnonzero(bears)])
        flipped = np.arange(len(parent)) >= len(cost_s)
        cost_s = np.concatenate([cost_s, cost_s[bears] + step_cost_u[unit]])
        gain_s = np.concatenate([gain_s, gain_s[bears] + step_gain_u[unit]])
        bound_s = np.concatenate([bound_s, bound_s[bears] - penalty_u[unit]])

        by_cost = np.lexsort((-gain_s, cost_s))
        gains = gain_s[by_cost]
        beaten = np.concatenate([[False], gains[1:] <= np.maximum.accumulate(gains)[:-1]])
        kept = by_cost[~beaten]
        cost_s, gain_s, bound_s = cost_s[kept], gain_s[kept], bound_s[kept]
        history.append((parent[kept], flipped[kept]))
        n_states += len(kept)

        n_affordable = int(np.searchsorted(cost_s, capacity, side="right"))
        if n_affordable and gain_s[n_affordable - 1] > best:  # gains rise with costs
            best, best_place = float(gain_s[n_affordable - 1]), (len(history), n_affordable - 1)

    chosen = whole.copy()
    depth, state = best_place
    for (parent, flipped), unit in zip(reversed(history[:depth]), reversed(order[:depth]), strict=True):
        chosen[unit] ^= flipped[state]
        state = parent[state]
    undecided = bound_s - (penalty_u[order[len(history)]] if len(history) < len(order) else np.inf)
    return Knapsack(chosen, max(float(gain_u[chosen].sum()), float(undecided.max())), price)
