"""Customers in memory settled exactly: prices narrow them down to the few that a linear or integer programme decides.

The programme's prices are exact for everybody if the bound they prove meets the value; if not, fewer customers are settled
early and it is done again. Where budgets make whole solutions worse than fractional ones, a solution better than the one in hand
can differ from a customer's best offer only if that leads by less than the gap: an integer programme over those is exact as well.

Shapes: k offers, m customers, g groups of equal ones, c cells (a group and an offer), r rows (`limits`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from marketnn.allocation.assignment.customers import Block
from marketnn.allocation.assignment.limits import Limits
from marketnn.allocation.assignment.marginal import Cells, fits, open_cells, round_down, solve_integer, solve_linear
from marketnn.allocation.assignment.narrowing import Narrowed, all_open, narrow, settle_leads
from marketnn.allocation.assignment.reduced import dual_sum, near_best, reduced_values, value_sum
from marketnn.allocation.assignment.ties import group_alike, group_equal, one_of_each, spread_over

_OPEN = 600  # groups of customers that are left to the programme
_GROUPED = 50_000  # customers among whom groups are looked for
_WIDTH = 10.0  # temperatures of lead that settle a customer
_WIDER = 4
_ATTEMPTS = 4
_COOLING = 0.15
_RESOLVED = 200  # roundings of the largest value: a shorter lead is none
_INTEGER_CELLS = 3_000
_FIRST_NODES = 100


@dataclass(frozen=True)
class Settled:
    """Offers, prices and proof for customers in memory.

    Attributes:
        offer_m: index of each customer's offer, -1 for none.
        y_r: row prices.
        loss: by how much the linear programme, which may split a contact, is worth more.
        excess: no whole solution is worth more than this one by more than that, provided that nobody outside has a best
            offer that leads by less than ``lead``. Infinite: the prices alone bound it.
        lead: see ``excess``.
    """

    offer_m: Tensor
    y_r: np.ndarray
    loss: float = 0.0
    excess: float = np.inf
    lead: float = 0.0


@dataclass(frozen=True)
class _Open:
    """What is left to a programme: the groups (open customers' numbers in ``group_o``) with their weights and limits."""

    narrowed: Narrowed
    group_o: Tensor
    cells: Cells
    weight_g: np.ndarray
    settled_value: float

    @property
    def bound_r(self) -> np.ndarray:
        return self.narrowed.limits.bound_r


@dataclass(frozen=True)
class _Answer:
    """What a programme took (c,) for the open ones, worth ``value`` with the settled ones."""

    open: _Open
    taken_c: np.ndarray
    value: float
    y_r: np.ndarray
    loss: float = 0.0
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
    if block.value_kb.shape[1] == 0:
        spent_r = limits.bound_r <= tolerance
        return Settled(block.value_kb.new_zeros(0, dtype=torch.int16), np.where(spent_r, y_r, 0.0))
    groups = group_equal(block)
    distinct = one_of_each(block, groups)
    answer = _linear(distinct, limits, y_r, temperature, tolerance)
    if answer is not None and not limits.only_counts:
        answer = _whole(distinct.double(), limits, answer, tolerance, max_nodes)
    if answer is None:
        return None
    place_g = torch.full_like(groups.first_g, -1)
    place_g[answer.open.narrowed.open_index] = answer.open.group_o
    place_m = place_g[groups.group_m]
    open_m = (place_m >= 0).nonzero()[:, 0]
    cells = answer.open.cells
    count_c = np.round(answer.taken_c).astype(np.int64)
    member, cell = spread_over(place_m[open_m].cpu().numpy(), cells.customer_c, count_c)
    offer_m = answer.open.narrowed.offer_m[groups.group_m]
    offer_m[open_m[torch.as_tensor(member).to(open_m.device)]] = torch.as_tensor(cells.offer_c[cell]).to(offer_m)
    return Settled(offer_m, answer.y_r, answer.loss, answer.excess, answer.lead)


def _linear(block: Block, limits: Limits, y_r: np.ndarray, temperature: float, tolerance: float) -> _Answer | None:
    """Solve the linear programme over fewer and fewer settled customers until its prices are exact for all."""
    exact = block.double()
    answer = None
    for attempt in range(_ATTEMPTS):
        left = _narrowed(block, exact, all_open(block, limits, y_r), temperature, _WIDER**attempt)
        reach_r = left.narrowed.lead / np.maximum(np.abs(limits.row_ru).max(1, initial=0.0), 1e-300)
        linear = solve_linear(left.cells, left.weight_g, left.bound_r, left.narrowed.y_r, reach_r)
        if linear is not None:
            value = left.settled_value + float(left.cells.value_c @ linear.taken_c)
            answer = _Answer(left, linear.taken_c, value, linear.y_r)
            if _bound(exact, limits, linear.y_r) - value <= tolerance:
                break
        if np.isinf(left.narrowed.lead):
            break
    return answer


def _narrowed(block: Block, exact: Block, narrowed: Narrowed, temperature: float, wider: float) -> _Open:
    """Settle customers until few groups are left open; nobody where they are few from the start."""
    largest = float(torch.where(block.value_kb.isfinite(), block.value_kb, 0.0).norm(torch.inf))
    resolved = _RESOLVED * largest * torch.finfo(block.value_kb.dtype).eps
    if resolved > temperature:
        block, resolved = exact, _RESOLVED * largest * torch.finfo(exact.value_kb.dtype).eps
    least_lead = wider * resolved
    while True:
        closest = narrowed.lead <= least_lead
        if closest or len(narrowed.open_index) <= max(_GROUPED, wider * _OPEN):
            left = _left_open(exact, narrowed, 2 * narrowed.lead)
            if closest or len(left.weight_g) <= wider * _OPEN:
                return left
        narrowed = narrow(block, narrowed, temperature, _WIDTH * wider)
        temperature *= _COOLING


def _whole(exact: Block, limits: Limits, linear: _Answer, tolerance: float, max_nodes: int) -> _Answer | None:
    """Make a linear programme's answer whole, then as good as whole answers get."""
    bound = _bound(exact, limits, linear.y_r)
    best = _rounded(linear)
    if best is None or bound - best.value > tolerance:
        best = _better(best, _integer(linear, linear.open, _FIRST_NODES, np.inf))
    lead = np.inf if best is None else bound - best.value
    if lead > tolerance:
        everybody = all_open(exact, limits, linear.y_r)
        narrowed = everybody if best is None else settle_leads(exact, everybody, linear.y_r, lead)
        left = _left_open(exact, narrowed, lead)
        if len(left.cells.value_c) <= _INTEGER_CELLS:
            best = _better(best, _integer(linear, left, max_nodes, lead))
    return best


def _rounded(linear: _Answer) -> _Answer | None:
    left = linear.open
    taken_c = round_down(left.cells, left.weight_g, left.bound_r, linear.taken_c)
    if not fits(left.cells, left.bound_r, taken_c):
        return None
    loss = float(left.cells.value_c @ (linear.taken_c - taken_c))
    return _Answer(left, taken_c, linear.value - loss, linear.y_r, loss)


def _integer(linear: _Answer, left: _Open, max_nodes: int, lead: float) -> _Answer | None:
    """Solve the integer programme over what is left; it bounds all others where everything within a finite lead is."""
    integer = solve_integer(left.cells, left.weight_g, left.bound_r, max_nodes)
    if integer is None:
        return None
    taken_value = float(left.cells.value_c @ integer.taken_c)
    value = left.settled_value + taken_value
    complete = np.isfinite(lead) or np.isinf(left.narrowed.lead)
    excess = max(integer.bound - taken_value, 0.0) if complete else np.inf
    return _Answer(left, integer.taken_c, value, linear.y_r, linear.value - value, excess, lead)


def _better(one: _Answer | None, other: _Answer | None) -> _Answer | None:
    """Return the one of higher value, with the lower of both bounds."""
    if one is None or other is None:
        return one or other
    best = other if other.value >= one.value else one
    tighter = min(one, other, key=lambda answer: answer.value + answer.excess)
    excess = max(tighter.value + tighter.excess - best.value, 0.0)
    return replace(best, excess=excess, lead=tighter.lead)


def _left_open(exact: Block, narrowed: Narrowed, slack: float) -> _Open:
    """Collect the contacts within some slack of the best; customers who are equal in these are one group."""
    part = exact.at(narrowed.open_index)
    price_u = torch.as_tensor(narrowed.limits.price(narrowed.y_r)).to(part.value_kb.device)
    taken_b = reduced_values(part, price_u).amax(0) > slack
    part = near_best(part, price_u, slack)
    groups = group_alike(part, taken_b) if np.isfinite(slack) else group_equal(part)
    merged = one_of_each(part, groups).each(Tensor.cpu)
    weight_g = np.ones(merged.value_kb.shape[1]) if merged.weight_b is None else merged.weight_b.numpy()
    cells = open_cells(merged, narrowed.limits)
    return _Open(narrowed, groups.group_m, cells, weight_g, float(value_sum(exact, narrowed.offer_m)))


def _bound(exact: Block, limits: Limits, y_r: np.ndarray) -> float:
    price_u = torch.as_tensor(limits.price(y_r)).to(exact.value_kb.device)
    return float(dual_sum(exact, price_u)) + float(limits.bound_r @ y_r)
