"""Reduced values, what a contact is worth less its price, and the passes over the customers that read them.

Everything is laid out offers by customers: then each step is one operation along a long row. All are functions of tensors on
any device, without waiting for it.

Shapes: k offers, b customers, u uses (`limits`).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from marketnn.allocation.assignment.customers import Block

_NEGLIGIBLE = -40.0  # as a power of 2; below the smallest normal number a processor is a hundred times slower


class SmoothedDual(NamedTuple):
    """The smoothed dual function over some customers: value (), uses (u,), curvature (u, u), all float64."""

    value: Tensor
    use_u: Tensor
    curvature_uu: Tensor


class Choice(NamedTuple):
    """What each customer takes at given prices: offer (b,), -1 for none, and the margin (b,) to the runner-up."""

    offer_b: Tensor
    margin_b: Tensor


def reduced_values(block: Block, price_u: Tensor) -> Tensor:
    """Return what each contact is worth less its price (k, b), in the prices' dtype."""
    k = len(block.value_kb)
    if block.cost_kb is None:
        return block.value_kb - price_u[:k, None]
    return torch.addcmul(block.value_kb - price_u[:k, None], block.cost_kb.to(price_u), price_u[k:, None], value=-1)


def smoothed_dual(block: Block, price_u: Tensor, temperature: float) -> SmoothedDual:
    """Return temperature * sum_i log(1 + sum_j exp(reduced_ij / temperature)) with its gradient and Hessian in -price.

    Args:
        block: customers, with weights where one stands for several.
        price_u: prices of the uses.
        temperature: above 0; at 0 this would be the dual function itself.
    """
    binary_temperature = temperature * math.log(2)
    share_kb = reduced_values(block, price_u).mul_(1 / binary_temperature)
    top_b = share_kb.amax(0).clamp_(min=0)
    share_kb.sub_(top_b).clamp_(min=_NEGLIGIBLE).exp2_()
    total_b = share_kb.sum(0).add_((-top_b).clamp_(min=_NEGLIGIBLE).exp2_())
    share_kb.div_(total_b)
    value_b = top_b + total_b.log2_()
    weighted_kb = share_kb
    if block.weight_b is not None:
        value_b, weighted_kb = value_b * block.weight_b, share_kb * block.weight_b
    use_ub, weighted_ub = share_kb, weighted_kb
    if block.cost_kb is None:
        own_uu = torch.diag(weighted_kb.sum(1).double())
    else:
        use_ub, weighted_ub = (torch.cat([kb, kb * block.cost_kb]) for kb in (share_kb, weighted_kb))
        count, cost = weighted_ub.sum(1).double().chunk(2)
        square = (weighted_kb * block.cost_kb.square()).sum(1).double()
        own_uu = torch.cat([torch.cat([count.diag(), cost.diag()]), torch.cat([cost.diag(), square.diag()])], dim=1)
    curvature_uu = (own_uu - (weighted_ub @ use_ub.T).double()) / temperature
    return SmoothedDual(
        value_b.sum(dtype=torch.float64) * binary_temperature, weighted_ub.sum(1).double(), curvature_uu
    )


def best_choice(block: Block, price_u: Tensor) -> Choice:
    """Return each customer's best offer at these prices and by how much it beats the next best, none being worth 0."""
    reduced_kb = reduced_values(block, price_u)
    best_b = torch.zeros_like(reduced_kb[0])
    second_b = torch.full_like(best_b, -torch.inf)
    for reduced_b in reduced_kb:
        torch.maximum(second_b, torch.minimum(best_b, reduced_b), out=second_b)
        torch.maximum(best_b, reduced_b, out=best_b)
    offer_b = torch.full_like(best_b, -1, dtype=torch.int16)
    for j, reduced_b in enumerate(reduced_kb):
        offer_b.masked_fill_(reduced_b == best_b, j)
    return Choice(offer_b, best_b - second_b)


def near_best(block: Block, price_u: Tensor, slack: float) -> Block:
    """Rule out all contacts that fall short of the customer's best by more than some slack at these prices."""
    reduced_kb = reduced_values(block, price_u)
    far_kb = (reduced_kb < reduced_kb.amax(0).clamp_(min=0) - slack) | (reduced_kb == -torch.inf)
    cost_kb = None if block.cost_kb is None else block.cost_kb.masked_fill(far_kb, 0.0)
    return Block(block.value_kb.masked_fill(far_kb, -torch.inf), cost_kb, block.weight_b)


def dual_sum(block: Block, price_u: Tensor) -> Tensor:
    """Return the sum over customers of what each can gain at most at these prices, () float64."""
    top_b = reduced_values(block, price_u).amax(0).clamp_(min=0)
    return (top_b if block.weight_b is None else top_b * block.weight_b).sum(dtype=torch.float64)


def assigned(number_kb: Tensor, offer_b: Tensor) -> Tensor:
    """Return the number of each customer's offer (b,), 0 for none."""
    return number_kb.gather(0, offer_b.clamp(min=0).long()[None])[0].masked_fill_(offer_b < 0, 0.0)


def value_sum(block: Block, offer_b: Tensor) -> Tensor:
    """Return what an assignment is worth, () float64."""
    value_b = assigned(block.value_kb, offer_b)
    return (value_b if block.weight_b is None else value_b * block.weight_b).sum(dtype=torch.float64)


def uses(block: Block, offer_b: Tensor) -> Tensor:
    """Return the uses (u,) of an assignment, float64."""
    k = len(block.value_kb)
    place_b = offer_b.long() + 1
    weight_b = block.weight_b
    one_b = torch.ones_like(place_b, dtype=torch.float64) if weight_b is None else weight_b.double()
    count_k = one_b.new_zeros(k + 1).scatter_add_(0, place_b, one_b)[1:]
    if block.cost_kb is None:
        return count_k
    cost_b = assigned(block.cost_kb, offer_b).double() * one_b
    return torch.cat([count_k, one_b.new_zeros(k + 1).scatter_add_(0, place_b, cost_b)[1:]])


def wanted_uses(block: Block, price_u: Tensor) -> Tensor:
    """Return the uses (u,) when everybody takes the best offer at these prices, all of them where several are best; float64."""
    reduced_kb = reduced_values(block, price_u)
    wanted_kb = reduced_kb >= reduced_kb.amax(0).clamp_(min=torch.finfo(reduced_kb.dtype).tiny)
    count_k = wanted_kb.sum(1).double()
    if block.cost_kb is None:
        return count_k
    return torch.cat([count_k, torch.where(wanted_kb, block.cost_kb, 0.0).sum(1).double()])
