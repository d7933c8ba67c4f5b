"""Customers in memory settled exactly: prices narrow them down to the few that a linear or integer programme decides.

The programme's prices are exact for everybody if the bound they prove meets the value; if not, fewer customers are settled
early and it is done again. Where budgets make whole solutions worse than fractional ones, a solution better than the one in hand
can differ from a customer's best offer only if that leads by less than the gap: an integer programme over those is exact as well.

Shapes: k offers, m customers, g groups of equal ones, c cells (a customer or group and an offer), r rows (`limits`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from marketnn.allocation.assignment.customers import Block
from marketnn.allocation.assignment.limits import Limits
from marketnn.allocation.assignment.marginal import (
    Cells,
    cells_within,
    fits,
    round_down,
    solve_integer,
    solve_linear,
)
from marketnn.allocation.assignment.narrowing import Narrowed, all_open, narrow, settle_leads
from marketnn.allocation.assignment.reduced import dual_sum, value_sum
from marketnn.allocation.assignment.ties import group_equal, spread_over

_OPEN = 600  # customers that are left to the programme
_WIDTH = 10.0  # temperatures of lead that settle a customer
_WIDER = 4
_ATTEMPTS = 4
_INTEGER_CELLS = 20_000


@dataclass(frozen=True)
class Settled:
    """Offers, prices and proof for customers in memory.

    Attributes:
        offer_m: index of each customer's offer, -1 for none.
        y_r: row prices.
        excess: no whole solution is worth more than this one by more than that, provided that nobody outside the block would have
            to take another than the best offer, since it leads by more than ``lead``. Infinite: the prices alone bound it.
        lead: see ``excess``.
    """

    offer_m: Tensor
    y_r: np.ndarray
    excess: float = np.inf
    lead: float = 0.0


@dataclass(frozen=True)
class _Answer:
    """The settled and what a programme took (c,) for the open ones, worth ``value`` in all."""

    narrowed: Narrowed
    cells: Cells
    taken_c: np.ndarray
    y_r: np.ndarray
    value: float
    excess: float = np.inf
    lead: float = 0.0


def settle(
    block: Block, limits: Limits, y_r: np.ndarray, temperature: float, *, tolerance: float, max_nodes: int
) -> Settled | None:
    """Settle customers within limits.

    Args:
        block: the customers, each once.
        limits: of these customers alone.
        y_r: row prices (r,) to start from, found at this temperature.
        temperature: see ``y_r``.
        tolerance: a difference in value that is rounding.
        max_nodes: of an integer programme.

    Returns:
        ``None`` if the limits cannot be met, or nothing was found that meets them.
    """
    groups = group_equal(block)
    distinct = block
    if groups is not None:
        size_g = torch.bincount(groups.group_m, minlength=len(groups.first_g)).to(block.value_kb.dtype)
        distinct = block.at(groups.first_g)._replace(weight_b=size_g)
    answer = _linear(distinct, limits, y_r, temperature, tolerance)
    if answer is not None and not limits.only_counts:
        answer = _whole(distinct.double(), limits, answer, tolerance, max_nodes)
    if answer is None:
        return None
    group_c = answer.narrowed.open_index.cpu().numpy()[answer.cells.customer_c]
    count_c = np.round(answer.taken_c).astype(np.int64)
    offer_m = answer.narrowed.offer_m
    if groups is None:
        customer, cell = group_c[count_c > 0], count_c > 0
    else:
        offer_m = offer_m[groups.group_m]
        customer, cell = spread_over(groups, group_c, count_c)
    offer = torch.as_tensor(answer.cells.offer_c[cell]).to(offer_m.device, offer_m.dtype)
    offer_m = offer_m.index_copy(0, torch.as_tensor(customer).to(offer_m.device), offer)
    return Settled(offer_m, answer.y_r, answer.excess, answer.lead)


def _linear(
    block: Block, limits: Limits, y_r: np.ndarray, temperature: float, tolerance: float
) -> _Answer | None:
    """Solve the linear programme over fewer and fewer settled customers until its prices are exact for all."""
    exact = block.double()
    everybody = all_open(block, limits, y_r)
    most_open, width = _OPEN, _WIDTH
    for attempt in range(_ATTEMPTS):
        narrowed = everybody
        if attempt < _ATTEMPTS - 1:
            narrowed = narrow(block, everybody, temperature, most_open, width)
        complete = len(narrowed.open_index) == len(everybody.open_index)
        cells, weight = _cells(exact, narrowed, np.inf if complete else 2 * narrowed.lead)
        programme = solve_linear(cells, weight, narrowed.limits.bound_r)
        if programme is not None:
            value = float(value_sum(exact, narrowed.offer_m)) + float(cells.value_c @ programme.taken_c)
            answer = _Answer(narrowed, cells, programme.taken_c, programme.y_r, value)
            if complete or _bound(exact, limits, programme.y_r) - value <= tolerance:
                return answer
        elif complete:
            return None
        most_open, width = most_open * _WIDER, width * _WIDER
    return answer


def _whole(
    exact: Block, limits: Limits, linear: _Answer, tolerance: float, max_nodes: int
) -> _Answer | None:
    """Make a linear programme's answer whole, then as good as whole answers get."""
    narrowed, cells = linear.narrowed, linear.cells
    weight = _weight(exact, narrowed)
    taken_c = round_down(cells, weight, narrowed.limits.bound_r, linear.taken_c)
    fallback, lead = None, np.inf
    if fits(cells, narrowed.limits.bound_r, taken_c):
        value = linear.value + float(cells.value_c @ (taken_c - linear.taken_c))
        fallback = _Answer(narrowed, cells, taken_c, linear.y_r, value)
        lead = _bound(exact, limits, linear.y_r) - value
        if lead <= tolerance:
            return fallback
    everybody = all_open(exact, limits, linear.y_r)
    narrowed = settle_leads(exact, everybody, linear.y_r, lead) if np.isfinite(lead) else everybody
    cells, weight = _cells(exact, narrowed, lead)
    if len(cells.value_c) > _INTEGER_CELLS:
        return fallback
    integer = solve_integer(cells, weight, narrowed.limits.bound_r, max_nodes)
    if integer is None:
        return fallback
    taken_value = float(cells.value_c @ integer.taken_c)
    value = float(value_sum(exact, narrowed.offer_m)) + taken_value
    if fallback is not None and value < fallback.value:
        return fallback
    return _Answer(narrowed, cells, integer.taken_c, linear.y_r, value, max(integer.bound - taken_value, 0.0), lead)


def _cells(exact: Block, narrowed: Narrowed, slack: float) -> tuple[Cells, np.ndarray]:
    part = exact.at(narrowed.open_index)
    on_host = Block(*(None if tensor is None else tensor.cpu() for tensor in part))
    cells = cells_within(on_host, narrowed.limits, narrowed.limits.price(narrowed.y_r), slack)
    return cells, _weight(exact, narrowed)


def _weight(exact: Block, narrowed: Narrowed) -> np.ndarray:
    if exact.weight_b is None:
        return np.ones(len(narrowed.open_index))
    return exact.weight_b[narrowed.open_index].cpu().numpy()


def _bound(exact: Block, limits: Limits, y_r: np.ndarray) -> float:
    price_u = torch.as_tensor(limits.price(y_r)).to(exact.value_kb.device)
    return float(dual_sum(exact, price_u)) + float(limits.bound_r @ y_r)
