"""Prices by projected Newton steps on the smoothed dual function, the temperature lowered from step to step.

The dual function b.y + sum_i max(0, max_j (value_ij - price_ij(y))), y >= 0, bounds every assignment and is piecewise linear;
smoothed (`reduced.smoothed_dual`) it has a Hessian, and with it a handful of steps reach prices at which the expected uses meet
their limits. The system has one row per limit, so its few numbers are handled on the host.

Shapes: r rows, u uses (`limits`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import nnls

from marketnn.allocation.assignment.customers import Block
from marketnn.allocation.assignment.limits import Limits
from marketnn.allocation.assignment.reduced import smoothed_dual

_LONGEST_STEP = 20.0  # temperatures that a price may move in one step: further, the quadratic model says nothing
_SETTLED = 0.05  # temperatures: prices that move less are those of this temperature
_SUFFICIENT = 1e-4  # of the promised decrease
_SHORTER = 0.3
_TRIES = 12
_RIDGE = 1e-5  # of the curvature, which is rounded to float32


class _Point(NamedTuple):
    """The smoothed dual function at row prices: its value, uses (u,) and curvature (u, u)."""

    y_r: np.ndarray
    value: float
    use_u: np.ndarray
    curvature_uu: np.ndarray


def lower_dual(block: Block, limits: Limits, y_r: np.ndarray, temperatures: list[float], max_steps: int) -> np.ndarray:
    """Return the row prices (r,) that minimise the smoothed dual function at the last temperature, from a start.

    Args:
        block: customers.
        limits: of these customers alone.
        y_r: prices to start from.
        temperatures: falling.
        max_steps: per temperature.
    """
    if limits.n_rows == 0:
        return y_r
    for temperature in temperatures:
        here = _evaluate(block, limits, y_r, temperature)
        for _ in range(max_steps):
            there = _step(block, limits, here, temperature)
            moved = np.abs(limits.row_ru.T @ (there.y_r - here.y_r)).max()
            here = there
            if moved < _SETTLED * temperature:
                break
        y_r = here.y_r
    return y_r


def corrected(sample: Block, limits: Limits, y_r: np.ndarray, temperature: float, use_u: np.ndarray) -> np.ndarray:
    """Return row prices (r,) after one Newton step with the uses of all customers and the curvature of a sample.

    Args:
        sample: customers drawn from all.
        limits: the sample's share of the limits.
        y_r: row prices found on the sample at this temperature.
        temperature: see ``y_r``.
        use_u: the sample's share of what all customers use at these prices.
    """
    if limits.n_rows == 0:
        return y_r
    point = _evaluate(sample, limits, y_r, temperature)
    gradient_r = limits.bound_r - limits.row_ru @ use_u
    curvature_rr = limits.row_ru @ point.curvature_uu @ limits.row_ru.T
    return _newton(curvature_rr, gradient_r, y_r, _LONGEST_STEP * temperature)


def _evaluate(block: Block, limits: Limits, y_r: np.ndarray, temperature: float) -> _Point:
    price_u = torch.as_tensor(limits.price(y_r), dtype=block.value_kb.dtype).to(block.value_kb.device)
    dual = smoothed_dual(block, price_u, temperature)
    flat = torch.cat([dual.value.view(1), dual.use_u, dual.curvature_uu.flatten()]).cpu().numpy()
    u = len(dual.use_u)
    return _Point(y_r, float(flat[0]) + float(limits.bound_r @ y_r), flat[1 : u + 1], flat[u + 1 :].reshape(u, u))


def _step(block: Block, limits: Limits, here: _Point, temperature: float) -> _Point:
    gradient_r = limits.bound_r - limits.row_ru @ here.use_u
    longest = _LONGEST_STEP * temperature
    direction_r = _newton(limits.row_ru @ here.curvature_uu @ limits.row_ru.T, gradient_r, here.y_r, longest) - here.y_r
    move = np.abs(limits.row_ru.T @ direction_r).max()
    length = min(1.0, longest / move) if move > 0 else 0.0
    for _ in range(_TRIES):
        y_r = np.maximum(here.y_r + length * direction_r, 0.0)
        there = _evaluate(block, limits, y_r, temperature)
        if there.value <= here.value + _SUFFICIENT * gradient_r @ (y_r - here.y_r) + _rounding(block, here.value):
            return there
        length *= _SHORTER
    return here


def _rounding(block: Block, value: float) -> float:
    return 10 * torch.finfo(block.value_kb.dtype).eps * abs(value)


def _newton(curvature_rr: np.ndarray, gradient_r: np.ndarray, y_r: np.ndarray, longest: float) -> np.ndarray:
    """Minimise the quadratic model over z >= 0: a least-squares problem in a square root of the curvature."""
    diagonal_r = curvature_rr.diagonal()
    # Where hardly anybody is near a change the model is flat; the gradient alone then says which way, as far as is sensible.
    floor_r = np.maximum(np.abs(gradient_r) / longest, max(1e-9 * diagonal_r.max(), 1e-300))
    ridge_r = np.maximum(floor_r - diagonal_r, 0.0)
    scale_r = 1 / np.sqrt(diagonal_r + ridge_r)
    scaled_rr = (curvature_rr + np.diag(ridge_r)) * np.outer(scale_r, scale_r)
    # Rounding can leave an axis of next to no curvature with a negative one, so the square root is not Cholesky's.
    curvature_r, axis_rr = np.linalg.eigh(scaled_rr)
    root_r = np.sqrt(np.maximum(curvature_r, _RIDGE))
    target_r = root_r * (axis_rr.T @ (y_r / scale_r)) - axis_rr.T @ (scale_r * gradient_r) / root_r
    return nnls(root_r[:, None] * axis_rr.T, target_r)[0] * scale_r
