"""Where a budget raises a score most: successive linear programmes under a trust region.

    maximise f(x)   subject to   sum_i c_i |x_i - x0_i| <= budget,   lower <= x <= upper

At every step f is replaced by its tangent, and the linear programme within a box about x says where to go; a step that f does
not follow is taken back and the box halved (Fletcher and Sainz de la Maza 1989). Several starts, since f need not be concave.

Shapes: d indices.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog

MAX_STEPS = 200
FIRST_RADIUS, LAST_RADIUS = 0.25, 1e-7  # of the box, as a share of the indices' ranges
FOLLOWED = 0.1  # share of the tangent's gain that f must give for a step to be taken
ENOUGH = 1e-9  # gains below this share of f's unit are rounding
N_SPENT_ON_ONE = 3

Value = Callable[[np.ndarray], float]
Gradient = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Improvement:
    """The best use of a budget that was found.

    Attributes:
        x: (d,) the improved indices.
        history: f at the start and after every step that was taken; it only rises.
        cost: of the change.
        gap: what the tangent at ``x`` promises of any other change within budget and bounds: 0 at a stationary point. Where f is
            concave between, no change is better by more than this.
        price: what a further unit of budget is worth in f, by the tangent.
    """

    x: np.ndarray
    history: np.ndarray
    cost: float
    gap: float
    price: float


@dataclass(frozen=True)
class _Problem:
    """Changes of indices as shares of their ranges, ups and downs apart."""

    cost_d: np.ndarray
    budget: float
    down_d: np.ndarray  # greatest change downwards, from 0 on
    up_d: np.ndarray  # and upwards

    def tangent_step(self, slope_d: np.ndarray, at_d: np.ndarray, radius: float) -> tuple[np.ndarray, float]:
        """Return the change (d,) that the tangent favours within ``radius`` of ``at_d``, and the budget's price."""
        low_d, high_d = np.maximum(-self.down_d, at_d - radius), np.minimum(self.up_d, at_d + radius)
        ups = np.column_stack([np.clip(low_d, 0, None), np.clip(high_d, 0, None)])
        downs = np.column_stack([np.clip(-high_d, 0, None), np.clip(-low_d, 0, None)])
        found = linprog(
            np.concatenate([-slope_d, slope_d]),
            A_ub=np.concatenate([self.cost_d, self.cost_d])[None],
            b_ub=[self.budget],
            bounds=np.vstack([ups, downs]),
            method="highs",
        )
        if found.x is None:  # rounding has left the present point a hair outside the budget
            return at_d, 0.0
        up_d, down_d = np.split(found.x, 2)
        return up_d - down_d, float(-found.ineqlin.marginals[0])


def improve(
    value: Value,
    gradient: Gradient,
    start: np.ndarray,
    *,
    unit_cost: np.ndarray,
    budget: float,
    lower: np.ndarray,
    upper: np.ndarray,
) -> Improvement:
    """Raise f by a change within a budget.

    Args:
        value, gradient: f and its gradient (d,) at a point (d,).
        start: (d,), within the bounds.
        unit_cost: (d,) of a unit's change up or down, from 0 on.
        budget: from 0 on.
        lower, upper: (d,); equal where an index must stay.
    """
    range_d = np.where(upper > lower, upper - lower, 1.0)
    problem = _Problem(unit_cost * range_d, budget, (start - lower) / range_d, (upper - start) / range_d)

    def scaled_value(change_d: np.ndarray) -> float:
        return value(start + range_d * change_d)

    def scaled_gradient(change_d: np.ndarray) -> np.ndarray:
        return range_d * gradient(start + range_d * change_d)

    first = scaled_value(np.zeros_like(start))
    starts = [np.zeros_like(start), *_spent_on_one(problem, scaled_value)]
    change_d, values = max(
        (_climb(problem, scaled_value, scaled_gradient, at) for at in starts), key=lambda run: run[1][-1]
    )
    slope_d = scaled_gradient(change_d)
    furthest_d, price = problem.tangent_step(slope_d, change_d, np.inf)
    return Improvement(
        x=start + range_d * change_d,
        history=np.array([first, *(found for found in values if found > first)]),
        cost=float(problem.cost_d @ np.abs(change_d)),
        gap=max(float(slope_d @ (furthest_d - change_d)), 0.0),
        price=price,
    )


def _spent_on_one(problem: _Problem, value: Value) -> list[np.ndarray]:
    """Return the best changes (d,) that spend the whole budget on a single index."""
    changes = []
    for place, cost in enumerate(problem.cost_d):
        most = problem.budget / cost if cost > 0 else np.inf
        for furthest in (problem.up_d[place], -problem.down_d[place]):
            change_d = np.zeros_like(problem.cost_d)
            change_d[place] = np.clip(furthest, -most, most)
            if change_d[place] != 0:
                changes.append(change_d)
    return sorted(changes, key=lambda change_d: -value(change_d))[:N_SPENT_ON_ONE]


def _climb(problem: _Problem, value: Value, gradient: Gradient, change_d: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """Follow tangents from a change (d,) until none promises more; return where, and f after every step taken."""
    values, radius = [value(change_d)], FIRST_RADIUS
    slope_d = gradient(change_d)
    for _ in range(MAX_STEPS):
        trial_d, _ = problem.tangent_step(slope_d, change_d, radius)
        promised = float(slope_d @ (trial_d - change_d))
        if promised <= ENOUGH * max(abs(values[-1]), 1e-3) or radius < LAST_RADIUS:
            break
        found = value(trial_d)
        if found - values[-1] >= FOLLOWED * promised:
            change_d, radius = trial_d, 2 * radius
            values.append(found)
            slope_d = gradient(change_d)
        else:
            radius /= 2
    return change_d, values
