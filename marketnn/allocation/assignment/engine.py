"""The assignment of many customers: prices from a sample, one pass that settles most, the rest exactly, one pass that proves it.

Shapes: n customers, k offers, r rows, u uses (`limits`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from marketnn.allocation.assignment.customers import Block, Customers
from marketnn.allocation.assignment.limits import Limits
from marketnn.allocation.assignment.prices import corrected, lower_dual
from marketnn.allocation.assignment.reduced import (
    assigned,
    best_choice,
    dual_sum,
    reduced_values,
    uses,
    wanted_uses,
)
from marketnn.allocation.assignment.settle import Settled, settle

_SAMPLE = 32_000
_FIRST_SAMPLE = 4_000
_FIRST_TEMPERATURES = (0.3, 0.03)  # of typical values to begin with, of their spread to end with
_LEAST_SPREAD = 1e-4  # of typical values
_TEMPERATURES = (0.02, 0.006)  # of the spread
_STEPS = 6
_COUNTED = 1_000_000
_SURE = 1.5  # of the last correction of a price: the lead that settles a customer
_RESOLVED = 10  # roundings of typical values: a shorter lead is none
_SHRUNK = 0.5  # of the first correction: what the last may be
_TIED_LEAD = 0.2  # of the spread
_WIDER = 4.0
_FARTHEST = 1.0  # spreads of the values: no correction of a sample's prices is larger
_FEW = 200  # contacts: where no more are settled, a sample knows too little of the price
_SMALL = 300  # cells that go to the programme at once
OPTIMAL = 1e-9  # of the value: a smaller gap is rounding


@dataclass(frozen=True)
class Assignment:
    """Offers and the prices that prove how good they are.

    Attributes:
        offer_n: index of each customer's offer, -1 for none; int16, where the customers are.
        y_r: prices of the rows.
        value: sum of the assigned values.
        upper_bound: no assignment within the limits is worth more.
        size: sum of the assigned values without their signs, what the gap is measured by.
    """

    offer_n: Tensor
    y_r: np.ndarray
    value: float
    upper_bound: float
    size: float

    @property
    def gap(self) -> float:
        """The bound less the value, relative to the size of the sums."""
        difference = self.upper_bound - self.value
        return difference / max(self.size, abs(self.upper_bound)) if difference > 0 else 0.0


def solve(
    customers: Customers,
    limits: Limits,
    *,
    y_r: np.ndarray | None = None,
    seed: int = 0,
    max_rounds: int = 4,
    max_nodes: int = 10_000,
) -> Assignment | None:
    """Give each customer one offer or none so that the value within the limits is largest.

    Args:
        customers: held or streamed.
        limits: capacities, minimum volumes, budgets.
        y_r: row prices (r,) to start from.
        seed: of the sample.
        max_rounds: how often to begin again with wider margins while the gap is not rounding.
        max_nodes: of an integer programme.

    Returns:
        ``None`` if the limits cannot be met, or nothing was found that meets them.
    """
    sample = customers.sample(_SAMPLE, seed)
    m = sample.value_kb.shape[1]
    scale = _scale(sample)
    tolerance = 0.1 * OPTIMAL * scale.total * customers.n / m
    temperature = _TEMPERATURES[-1] * scale.spread
    lead = 0.0
    small = customers.n * customers.k <= _SMALL
    if small or limits.n_rows == 0:
        y_r = np.zeros(limits.n_rows)
    else:
        y_r = _sampled_prices(sample, limits.share(m / customers.n), y_r, scale)
        if customers.n > m:
            y_r, lead = _corrected_prices(customers, limits, sample, y_r, scale)
    best: Assignment | None = None
    for _ in range(max_rounds):
        if customers.n <= m:
            settled = settle(sample, limits, y_r, temperature, tolerance=tolerance, max_nodes=max_nodes)
            settled = None if settled is None else replace(settled, offer_m=settled.offer_m[customers.here])
            inside_n = None
        else:
            settled, inside_n = _settle_rest(customers, limits, y_r, lead, temperature, tolerance, max_nodes)
        if settled is not None:
            found = _prove(customers, limits, settled, inside_n)
            best = found if best is None else _better(best, found)
            if best.gap <= OPTIMAL or found.upper_bound - found.value <= settled.loss + tolerance:
                break
            y_r = settled.y_r
        if customers.n <= m:
            break
        lead = _WIDER * max(lead, settled.lead if settled is not None and np.isfinite(settled.lead) else 0.0)
    if best is None and not limits.minimum_k.any():
        nobody_n = torch.full((_n_here(customers),), -1, dtype=torch.int16, device=customers.device)
        best = _prove(customers, limits, Settled(nobody_n, y_r), None)
    return best


def _better(one: Assignment, other: Assignment) -> Assignment:
    higher, lower = (one, other) if one.value >= other.value else (other, one)
    bound = min(higher.upper_bound, lower.upper_bound)
    return Assignment(higher.offer_n, higher.y_r, higher.value, bound, higher.size)


class _Scale(NamedTuple):
    """The sizes of some values: typical ones, their spread about the offer's mean, and the sum of the customers' best."""

    typical: float
    spread: float
    total: float


def _scale(sample: Block) -> _Scale:
    value_kb = sample.value_kb[:, :_FIRST_SAMPLE].double()
    possible_kb = value_kb > -torch.inf
    value_kb = torch.where(possible_kb, value_kb, 0.0)
    count_k = possible_kb.sum(1)
    mean_k = value_kb.sum(1) / count_k.clamp(min=1)
    away_kb = torch.where(possible_kb, value_kb - mean_k[:, None], 0.0).abs()
    total = sample.value_kb.amax(0).clamp(min=0).sum(dtype=torch.float64)
    sums = torch.stack([value_kb.abs().sum(), away_kb.sum(), count_k.sum().double(), total]).tolist()
    typical = sums[0] / max(sums[2], 1.0) or 1.0
    return _Scale(typical, max(sums[1] / max(sums[2], 1.0), _LEAST_SPREAD * typical), sums[3])


def _sampled_prices(sample: Block, limits: Limits, y_r: np.ndarray | None, scale: _Scale) -> np.ndarray:
    """Return the row prices of a sample within its share of the limits."""
    if y_r is None:
        first = sample.each(lambda tensor: tensor[..., :_FIRST_SAMPLE].contiguous())
        share = limits.share(first.value_kb.shape[1] / sample.value_kb.shape[1])
        last = _FIRST_TEMPERATURES[1] * scale.spread
        n_falls = math.ceil(math.log(_FIRST_TEMPERATURES[0] * max(scale.typical, scale.spread) / last, 3))
        falling = [last * 3.0**fall for fall in range(n_falls, -1, -1)]
        y_r = lower_dual(first, share, np.zeros(limits.n_rows), falling, _STEPS)
    return lower_dual(sample, limits, y_r, [scale.spread * t for t in _TEMPERATURES], _STEPS)


def _corrected_prices(
    customers: Customers, limits: Limits, sample: Block, y_r: np.ndarray, scale: _Scale
) -> tuple[np.ndarray, float]:
    """Correct a sample's row prices by counts of all customers; also return the lead that settles a customer at them.

    Where prices lie on ties counts jump, and the corrections do not shrink: then the sample's prices stay.
    """
    m = sample.value_kb.shape[1]
    share = limits.share(m / customers.n)
    corrected_r, moves = y_r, []
    for every in (max(customers.n // _COUNTED, 1), 1):  # the first time some of very many customers do
        n_counted, use_u = _wanted(customers, limits, corrected_r, every)
        before_r = corrected_r
        corrected_r = corrected(sample, share, before_r, _TEMPERATURES[0] * scale.spread, use_u * m / n_counted)
        moves.append(float(np.abs(limits.row_ru.T @ (corrected_r - before_r)).max()))
    if moves[-1] > _SHRUNK * moves[0]:
        return y_r, _TIED_LEAD * scale.spread
    return corrected_r, max(_SURE * moves[-1], _RESOLVED * scale.typical * torch.finfo(customers.dtype).eps)


def _wanted(customers: Customers, limits: Limits, y_r: np.ndarray, every: int) -> tuple[int, np.ndarray]:
    """Return how many customers are in every so manieth block, and their uses (u,) at row prices."""
    price_u = torch.as_tensor(limits.price(y_r), dtype=customers.dtype).to(customers.device)
    n_counted, use_u = 0, torch.zeros(len(price_u), dtype=torch.float64, device=customers.device)
    for _, block in customers.blocks(every):
        n_counted += block.value_kb.shape[1]
        use_u += wanted_uses(block, price_u)
    counted = customers.total(torch.cat([use_u.new_full((1,), n_counted), use_u])).cpu().numpy()
    return int(counted[0]), counted[1:]


def _settle_rest(
    customers: Customers,
    limits: Limits,
    y_r: np.ndarray,
    lead: float,
    temperature: float,
    tolerance: float,
    max_nodes: int,
) -> tuple[Settled | None, Tensor]:
    """Settle those whose best offer leads, in one pass, and the rest in memory; also say who the rest is (n,)."""
    offer_n = torch.empty(_n_here(customers), dtype=torch.int16, device=customers.device)
    price_u = torch.as_tensor(limits.price(y_r), dtype=customers.dtype).to(customers.device)
    open_parts = []
    used_u = torch.zeros(limits.row_ru.shape[1], dtype=torch.float64, device=customers.device)
    for start, block in customers.blocks():
        choice = best_choice(block, price_u)
        open_b = choice.margin_b <= lead
        offer_b = choice.offer_b.masked_fill(open_b, -1)
        offer_n[start : start + len(offer_b)] = offer_b
        open_parts.append(open_b.nonzero()[:, 0] + start)
        used_u += uses(block, offer_b)
    open_index = torch.cat(open_parts) if open_parts else offer_n.new_zeros(0, dtype=torch.int64)
    used_u = customers.total(used_u)
    again_index = _doubtful(limits, offer_n, used_u.cpu().numpy())
    again, mine = customers.everybodys(again_index)
    if len(again):
        again_m = customers.total(_placed(offer_n[again_index], mine, len(again)))
        used_u = used_u - uses(customers.take(again), again_m)
        offer_n[again_index] = -1
        open_index = torch.cat([open_index, again_index])
    left = limits.less(used_u.cpu().numpy())
    inside_n = torch.zeros(len(offer_n), dtype=torch.bool, device=customers.device)
    inside_n[open_index] = True
    everybodys, mine = customers.everybodys(open_index)
    rest = customers.take(everybodys)
    temperature = min(temperature, 0.1 * lead)
    settled = settle(rest, left, y_r, temperature, tolerance=tolerance, max_nodes=max_nodes)
    if settled is None:
        return None, inside_n
    offer_n[open_index] = settled.offer_m[mine]
    return replace(settled, offer_m=offer_n), inside_n


def _placed(own_m: Tensor, mine: Tensor | slice, n: int) -> Tensor:
    """Return n zeros, but this process's numbers at their places, for a sum over the processes."""
    placed_m = own_m.new_zeros(n, dtype=torch.int64)
    placed_m[mine] = own_m.long()
    return placed_m


def _n_here(customers: Customers) -> int:
    return customers.here.stop - customers.here.start


def _doubtful(limits: Limits, offer_n: Tensor, used_u: np.ndarray) -> Tensor:
    """Return the customers settled with offers that a sample prices badly: already too many, or few at all."""
    count_k = used_u[: limits.k]
    over_r = limits.row_ru @ used_u > limits.bound_r
    doubtful_k = (limits.row_ru[over_r, : limits.k] > 0).any(0) | ((count_k > 0) & (count_k <= _FEW))
    if not doubtful_k.any():
        return offer_n.new_zeros(0, dtype=torch.int64)
    with_none = torch.as_tensor(np.append(doubtful_k, False)).to(offer_n.device)
    return with_none[offer_n.long()].nonzero()[:, 0]


def _prove(customers: Customers, limits: Limits, settled: Settled, inside_n: Tensor | None) -> Assignment:
    """Sum up the value and its bound in float64 over all customers."""
    price_u = torch.as_tensor(limits.price(settled.y_r)).to(customers.device)
    sums = torch.zeros(3, dtype=torch.float64, device=customers.device)
    least_lead = torch.full((), torch.inf, dtype=torch.float64, device=customers.device)
    for start, block in customers.blocks():
        exact = block.double()
        rows = slice(start, start + block.value_kb.shape[1])
        value_b = assigned(exact.value_kb, settled.offer_m[rows])
        sums += torch.stack([dual_sum(exact, price_u), value_b.sum(), value_b.abs().sum()])
        if inside_n is not None and np.isfinite(settled.excess):
            margin_b = best_choice(exact, price_u).margin_b.masked_fill_(inside_n[rows], torch.inf)
            least_lead = torch.minimum(least_lead, margin_b.amin())
    dual, value, size = customers.total(sums).tolist()
    least_lead = -customers.largest(-least_lead)
    bound = dual + float(limits.bound_r @ settled.y_r)
    if np.isfinite(settled.excess) and float(least_lead) >= settled.lead:
        bound = min(bound, value + settled.excess)
    return Assignment(settled.offer_m, settled.y_r, value, max(bound, value), size)


def entry_prices(customers: Customers, limits: Limits, y_r: np.ndarray) -> np.ndarray:
    """Return for each closed offer (k,) what its first contact would add at these row prices; 0 for the others."""
    price_u = torch.as_tensor(limits.price(y_r)).to(customers.device)
    own_u = torch.as_tensor(limits.row_ru.T @ y_r).to(customers.device)
    gain_k = own_u.new_zeros(limits.k)
    for _, block in customers.blocks():
        exact = block.double()
        top_b = reduced_values(exact, price_u).amax(0).clamp_(min=0)
        gain_k = torch.maximum(gain_k, (reduced_values(exact, own_u) - top_b).amax(1))
    return np.where(limits.closed_k, customers.largest(gain_k).cpu().numpy(), 0.0)
