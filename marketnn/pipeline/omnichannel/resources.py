"""How much of a resource to provide for each segment (paper B, eq. 14-20): a piece in stock, or a contact's follow-up.

Shapes: k segments, X demands 0 .. X-1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from marketnn.allocation import ResourceAllocation, ResourceBudgetResult, allocate_resource, allocate_resources, demand
from marketnn.data import Table
from marketnn.data.schema import is_number
from marketnn.errors import InputError, rows_text, unknown_name
from marketnn.pipeline.omnichannel.config import Config


@dataclass(frozen=True)
class Resources:
    """Quantities of every segment.

    Attributes:
        unit: what is counted, in words.
        times: (k,) how often a quantity is provided: once to a segment, or to each of its customers.
        pmf: (k, X) probabilities of each segment's demands.
        allocation: of ``allocate_resource`` for all of them.
        limited: quantities within the limit for all segments together, losses likewise together; ``None`` without one.
        table: a row per segment: its demand's mean and entropy, both rules' quantities, expected losses, units left over and
            missing, and the limited quantity; losses and units of a quantity provided once.
    """

    unit: str
    times: np.ndarray
    pmf: Tensor
    allocation: ResourceAllocation
    limited: ResourceBudgetResult | None
    table: pd.DataFrame


def provide(table: Table, labels: np.ndarray, names: list[str], probability: np.ndarray, config: Config) -> Resources:
    """Find the quantities.

    Args:
        table: of the customers, for the demand column.
        labels: (n,) segments.
        names: of the segments.
        probability: (n,) of an order by each customer with the project assigned, 0 without one.
        config: demand and costs.

    Raises:
        InputError: a demand column that is not there, is text, missing or negative, or as ``allocate_resource``.
    """
    groups = [labels == place for place in range(len(names))]
    size = np.array([mine.sum() for mine in groups])
    if config.demand is None:
        times = np.ones_like(size)
        unit = "orders of the segment in a quarter"
        pmfs = [order_pmf(torch.from_numpy(probability[mine])) for mine in groups]
    else:
        times = size
        unit = f"{config.demand} of a customer, in units of {config.demand_unit:g}"
        values = _demanded(table, config.demand)
        pmfs = [
            demand.empirical(values[mine] if mine.any() else np.zeros(1), unit=config.demand_unit).pmf
            for mine in groups
        ]
    pmf_kx = torch.nn.utils.rnn.pad_sequence(pmfs, batch_first=True)
    found = allocate_resource(pmf_kx, surplus_cost=list(config.surplus_cost), shortage_cost=list(config.shortage_cost))
    mean = pmf_kx @ torch.arange(pmf_kx.shape[1], dtype=pmf_kx.dtype)
    columns = {"mean_demand": mean, "entropy_bits": found.demand_entropy}
    for rule in ("entropy", "newsvendor"):
        columns[f"{rule}_quantity"] = getattr(found, rule)
        columns[f"{rule}_loss"] = getattr(found.expected_loss, rule)
        columns[f"{rule}_left_over"] = getattr(found.surplus, rule)
        columns[f"{rule}_missing"] = getattr(found.shortage, rule)
    rows = {name: np.asarray(column) for name, column in columns.items()}
    frame = pd.DataFrame({"segment": names, "customers": size, "times": times, **rows})
    limited = None
    if config.resource_limit is not None:
        limited = allocate_resources(
            pmf_kx,
            surplus_cost=times * sum(config.surplus_cost),
            shortage_cost=times * sum(config.shortage_cost),
            unit_cost=np.maximum(times, 1).astype(float),
            budget=config.resource_limit,
        )
        frame = frame.assign(limited_quantity=limited.quantity)
    return Resources(unit, times, pmf_kx, found, limited, frame)


def order_pmf(probability: Tensor) -> Tensor:
    """Return the probabilities (n + 1,) of 0 .. n orders by customers who decide independently with probabilities (n,).

    The generating functions ``1 - p + p z`` are multiplied in pairs, in the frequency domain: n (log n)^2 steps.
    """
    pmf_rx = torch.stack([1 - probability, probability], dim=1)
    if not len(pmf_rx):
        return probability.new_ones(1)
    while len(pmf_rx) > 1:
        if len(pmf_rx) % 2:
            certain = torch.zeros_like(pmf_rx[:1])
            certain[:, 0] = 1
            pmf_rx = torch.cat([pmf_rx, certain])
        size = 2 * pmf_rx.shape[1] - 1
        spectrum = torch.fft.rfft(pmf_rx, n=size)
        pmf_rx = torch.fft.irfft(spectrum[0::2] * spectrum[1::2], n=size)
    pmf = pmf_rx[0, : len(probability) + 1].clamp(min=0)
    return pmf / pmf.sum()


def _demanded(table: Table, column: str) -> np.ndarray:
    if column not in table.frame.columns:
        raise InputError(f"{table.source}: {unknown_name('column in pipeline.demand', column, table.frame.columns)}")
    values = table.frame[column]
    if not is_number(values):
        raise InputError(f"{table.source}: pipeline.demand={column} is text; name a number.")
    table.refuse_missing([column])
    negative = (values < 0).to_numpy()
    if negative.any():
        rows = rows_text(table.row_numbers[negative] - 1)
        raise InputError(
            f"{table.source}: pipeline.demand={column} is {values[negative].iloc[0]:g} in {rows}; a demand is 0 or more."
        )
    return values.to_numpy()
