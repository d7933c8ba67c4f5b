"""Customers settled level by level: at prices found at a temperature, whoever's best offer leads by many temperatures keeps it.

Shapes: k offers, m customers or groups of equal ones, r rows, u uses (`limits`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from marketnn.allocation.assignment.customers import Block
from marketnn.allocation.assignment.limits import Limits
from marketnn.allocation.assignment.prices import lower_dual
from marketnn.allocation.assignment.reduced import best_choice, uses

_STEPS = 4


@dataclass(frozen=True)
class Narrowed:
    """Who is settled and who is open.

    Attributes:
        offer_m: the settled ones' offers; -1 for none, and for the open ones.
        open_index: positions of the open ones.
        limits: what the settled ones leave of the limits.
        y_r: row prices at which they were settled.
        lead: by which a settled one's best offer leads at least.
    """

    offer_m: Tensor
    open_index: Tensor
    limits: Limits
    y_r: np.ndarray
    lead: float


def all_open(block: Block, limits: Limits, y_r: np.ndarray) -> Narrowed:
    """Return the start: nobody is settled."""
    m = block.value_kb.shape[1]
    nobody_m = torch.full((m,), -1, dtype=torch.int16, device=block.value_kb.device)
    return Narrowed(nobody_m, torch.arange(m, device=nobody_m.device), limits, y_r, np.inf)


def settle_leads(block: Block, narrowed: Narrowed, y_r: np.ndarray, lead: float) -> Narrowed:
    """Settle those open customers whose best offer leads by more than this at these row prices."""
    part = block.at(narrowed.open_index)
    price_u = torch.as_tensor(narrowed.limits.price(y_r), dtype=part.value_kb.dtype).to(part.value_kb.device)
    choice = best_choice(part, price_u)
    open_b = choice.margin_b <= lead
    offer_b = choice.offer_b.masked_fill(open_b, -1)
    offer_m = narrowed.offer_m.index_copy(0, narrowed.open_index, offer_b)
    limits = narrowed.limits.less(uses(part, offer_b).cpu().numpy())
    return Narrowed(offer_m, narrowed.open_index[open_b], limits, y_r, lead)


def narrow(block: Block, narrowed: Narrowed, temperature: float, width: float) -> Narrowed:
    """Price the open customers at a temperature and settle those whose best offer leads by so many temperatures."""
    part = block.at(narrowed.open_index)
    y_r = lower_dual(part, narrowed.limits, narrowed.y_r, [temperature], _STEPS)
    return settle_leads(block, narrowed, y_r, width * temperature)
