"""Customers with the same numbers, counted instead of repeated: tiered scores leave thousands of customers a few rows.

Shapes: k offers, m customers, g groups.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from marketnn.allocation.assignment.customers import Block
from marketnn.seed import torch_generator

_ROUNDING = 1e-12  # of the largest value: differences this near are equal


class Groups(NamedTuple):
    """Groups of equal customers: the group (m,) of each, and one customer's position (g,) for each group."""

    group_m: Tensor
    first_g: Tensor


def group_equal(block: Block) -> Groups:
    """Return the groups of customers with equal numbers.

    Customers are told apart by one random combination of their numbers; where two different ones agree in it, all numbers are
    compared.
    """
    number_dm = block.value_kb if block.cost_kb is None else torch.cat([block.value_kb, block.cost_kb])
    number_dm = number_dm.double()
    everybody = torch.arange(number_dm.shape[1], device=number_dm.device)
    if not len(everybody):
        return Groups(everybody, everybody)
    impossible_dm = number_dm == -torch.inf
    number_dm = number_dm.masked_fill(impossible_dm, 0.0)
    number_dm = number_dm.masked_fill(impossible_dm, -1.0 - 2 * float(number_dm.abs().max()))
    weight_d = torch.rand(len(number_dm), generator=torch_generator(0), dtype=torch.float64).to(number_dm.device)
    key_m, order_m = (weight_d @ number_dm).sort()
    new_m = torch.ones_like(key_m, dtype=torch.bool)
    new_m[1:] = key_m[1:] != key_m[:-1]
    if bool(new_m.all()):
        return Groups(everybody, everybody)
    group_m = torch.empty_like(order_m)
    group_m[order_m] = new_m.cumsum(0) - 1
    first_g = order_m[new_m]
    if not bool((number_dm == number_dm[:, first_g[group_m]]).all()):
        rows, group_m = number_dm.unique(dim=1, return_inverse=True)
        first_g = everybody.new_zeros(rows.shape[1]).index_copy_(0, group_m, everybody)
    return Groups(group_m, first_g)


def group_alike(block: Block, taken_b: Tensor) -> Groups:
    """Return the groups of customers whose numbers are equal but for a sum that any of their offers brings.

    Args:
        block: customers with the contacts that are open to them.
        taken_b: who takes one of these contacts in any case, so that only the differences between them matter.
    """
    quantum = _ROUNDING * float(block.value_kb.masked_fill(block.value_kb == -torch.inf, 0.0).norm(torch.inf) or 1.0)
    base_b = torch.where(taken_b, block.value_kb.amax(0), 0.0)
    return group_equal(block._replace(value_kb=((block.value_kb - base_b) / quantum).round_()))


def one_of_each(block: Block, groups: Groups) -> Block:
    """Return one customer for each group, with the weight of all and their mean values."""
    if groups.first_g is groups.group_m:
        return block
    weight_b = torch.ones_like(block.value_kb[0]) if block.weight_b is None else block.weight_b
    weight_g = weight_b.new_zeros(len(groups.first_g)).index_add_(0, groups.group_m, weight_b)
    merged = block.at(groups.first_g)
    first_kb = merged.value_kb[:, groups.group_m]
    away_kb = torch.where(block.value_kb == first_kb, 0.0, block.value_kb - first_kb)  # exact where all are equal
    away_kg = torch.zeros_like(merged.value_kb).index_add_(1, groups.group_m, away_kb * weight_b)
    return merged._replace(value_kb=merged.value_kb + away_kg / weight_g, weight_b=weight_g)


def spread_over(group_m: np.ndarray, group_c: np.ndarray, count_c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Name the customers that each cell's count stands for.

    Args:
        group_m: the customers' groups.
        group_c: the cells' groups, in rising order.
        count_c: how many customers of the group; together no more than it has.

    Returns:
        Positions of customers, and for each the cell it belongs to.
    """
    member_m = group_m.argsort(kind="stable")
    start_g = np.concatenate([[0], np.bincount(group_m).cumsum()])
    before_c = count_c.cumsum() - count_c
    within_c = before_c - before_c[np.searchsorted(group_c, group_c)] if len(group_c) else before_c
    cell = np.repeat(np.arange(len(group_c)), count_c)
    place = start_g[group_c[cell]] + within_c[cell] + np.arange(len(cell)) - before_c[cell]
    return member_m[place], cell
