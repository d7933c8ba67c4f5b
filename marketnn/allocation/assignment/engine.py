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
from marketnn.allocation.assignment.ties import group_equal

_SAMPLE = 32_000
_FIRST_SAMPLE = 4_000
_FIRST_TEMPERATURES = (0.3, 0.03)  # of typical values to begin with, of their spread to end with
_LEAST_SPREAD = 1e-4  # of typical values
_TEMPERATURES = (0.02, 0.006)  # of the spread
_STEPS = 6
_CORRECTIONS = 2
_SURE = 2.0  # of the last correction of a price: the lead that settles a customer
_TIED = 0.8  # of the customers, if no more are different: then prices lie on ties, and counts do not correct them
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
    small = customers.n * customers.k <= _SMALL
    if small or limits.n_rows == 0:
        y_r, lead = np.zeros(limits.n_rows), 0.0
    else:
        share = limits.share(m / customers.n)
        y_r, lead = _sampled_prices(sample, share, y_r, scale), _TIED_LEAD * scale.spread
        for _ in range(_CORRECTIONS if customers.n > m and not _tied(sample) else 0):
            use_u = _wanted(customers, limits, y_r) * (m / customers.n)
            better_r = corrected(sample, share, y_r, _TEMPERATURES[0] * scale.spread, use_u)
            moved = float(np.abs(limits.row_ru.T @ (better_r - y_r)).max())
            y_r, lead = better_r, _SURE * moved
    best: Assignment | None = None
    for _ in range(max_rounds):
        if customers.n <= m:
            settled = settle(sample, limits, y_r, temperature, tolerance=tolerance, max_nodes=max_nodes)
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
        nobody_n = torch.full((customers.n,), -1, dtype=torch.int16, device=customers.device)
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


def _tied(sample: Block) -> bool:
    first = sample.at(torch.arange(min(_FIRST_SAMPLE, sample.value_kb.shape[1]), device=sample.value_kb.device))
    return len(group_equal(first).first_g) < _TIED * first.value_kb.shape[1]


def _sampled_prices(sample: Block, limits: Limits, y_r: np.ndarray | None, scale: _Scale) -> np.ndarray:
    """Return the row prices of a sample within its share of the limits."""
    if y_r is None:
        first = Block(*(None if tensor is None else tensor[:, :_FIRST_SAMPLE].contiguous() for tensor in sample[:2]))
        share = limits.share(first.value_kb.shape[1] / sample.value_kb.shape[1])
        last = _FIRST_TEMPERATURES[1] * scale.spread
        n_falls = math.ceil(math.log(_FIRST_TEMPERATURES[0] * max(scale.typical, scale.spread) / last, 3))
        falling = [last * 3.0**fall for fall in range(n_falls, -1, -1)]
        y_r = lower_dual(first, share, np.zeros(limits.n_rows), falling, _STEPS)
    return lower_dual(sample, limits, y_r, [scale.spread * t for t in _TEMPERATURES], _STEPS)


def _wanted(customers: Customers, limits: Limits, y_r: np.ndarray) -> np.ndarray:
    """Return the uses (u,) of all customers at row prices."""
    price_u = torch.as_tensor(limits.price(y_r), dtype=customers.dtype).to(customers.device)
    return torch.stack([wanted_uses(block, price_u) for _, block in customers.blocks()]).sum(0).cpu().numpy()


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
    offer_n = torch.empty(customers.n, dtype=torch.int16, device=customers.device)
    price_u = torch.as_tensor(limits.price(y_r), dtype=customers.dtype).to(customers.device)
    open_parts, used_u = [], None
    for start, block in customers.blocks():
        choice = best_choice(block, price_u)
        open_b = choice.margin_b <= lead
        offer_b = choice.offer_b.masked_fill(open_b, -1)
        offer_n[start : start + len(offer_b)] = offer_b
        open_parts.append(open_b.nonzero()[:, 0] + start)
        block_u = uses(block, offer_b)
        used_u = block_u if used_u is None else used_u + block_u
    open_index = torch.cat(open_parts)
    again_index = _doubtful(limits, offer_n, used_u.cpu().numpy())
    if len(again_index):
        used_u = used_u - uses(customers.take(again_index), offer_n[again_index])
        offer_n[again_index] = -1
        open_index = torch.cat([open_index, again_index])
    left = limits.less(used_u.cpu().numpy())
    inside_n = torch.zeros(customers.n, dtype=torch.bool, device=customers.device)
    inside_n[open_index] = True
    rest = customers.take(open_index)
    temperature = min(temperature, 0.1 * lead)
    settled = settle(rest, left, y_r, temperature, tolerance=tolerance, max_nodes=max_nodes)
    if settled is None:
        return None, inside_n
    offer_n[open_index] = settled.offer_m
    return replace(settled, offer_m=offer_n), inside_n


def _doubtful(limits: Limits, offer_n: Tensor, used_u: np.ndarray) -> Tensor:
    """Return the customers settled with offers that a sample prices badly: already too many, or few at all."""
    count_k = used_u[: limits.k]
    over_r = limits.row_ru @ used_u > limits.bound_r
    doubtful_k = (limits.row_ru[over_r, : limits.k] > 0).any(0) | ((count_k > 0) & (count_k <= _FEW))
    if not doubtful_k.any():
        return offer_n.new_zeros(0, dtype=torch.int64)
    doubtful_k = torch.as_tensor(np.append(doubtful_k, False)).to(offer_n.device)
    return doubtful_k[offer_n.long()].nonzero()[:, 0]


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
    dual, value, size = sums.tolist()
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
    return np.where(limits.closed_k, gain_k.cpu().numpy(), 0.0)


def count_without_offer(customers: Customers) -> int:
    """Return how many customers have no possible offer."""
    counts = [(block.value_kb.amax(0) == -torch.inf).sum() for _, block in customers.blocks()]
    return int(torch.stack(counts).sum())
