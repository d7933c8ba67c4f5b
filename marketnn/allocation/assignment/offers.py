"""Customers to offers: the public function, its checks and its result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from marketnn.allocation.assignment import checks
from marketnn.allocation.assignment.customers import Customers, HeldCustomers
from marketnn.allocation.assignment.engine import OPTIMAL, Assignment, entry_prices, solve
from marketnn.allocation.assignment.limits import Limits
from marketnn.allocation.assignment.shared import SharedCustomers
from marketnn.allocation.assignment.streamed import StreamedCustomers
from marketnn.allocation.launch_problem import OpenSetSolution
from marketnn.allocation.launch_set import choose_launch_set
from marketnn.device import resolve
from marketnn.errors import InputError
from marketnn.processes import Processes


@dataclass(frozen=True)
class AssignmentResult:
    """Who gets which offer, and how good that is proven to be.

    Attributes:
        offer: (n,) index of each customer's offer, -1 for "do not contact".
        shadow_price: (K,) what one more contact of each offer would add, at the margin; below 0 what the minimum volume costs.
        channel_price: what one more unit of each channel's budget would add, by channel.
        value: sum of the assigned values, less the fixed costs of the offers that are used.
        upper_bound: no assignment within the limits is worth more.
        gap: ``upper_bound`` less ``value``, relative to the sums that make them up.
        status: ``optimal`` where the gap is rounding, 1e-9 at most; otherwise ``gap``.
        n_without_offer: customers who have no eligible offer.
    """

    offer: np.ndarray
    shadow_price: np.ndarray
    channel_price: dict[Any, float]
    value: float
    upper_bound: float
    gap: float
    status: str
    n_without_offer: int


def assign_offers(
    value: Any,
    *,
    capacity: Any = None,
    channel: Sequence[Any] | None = None,
    channel_budget: Mapping[Any, float] | Sequence[float] | None = None,
    cost: Any = None,
    fixed_cost: Any = None,
    minimum: Any = None,
    eligible: Any = None,
    warm_start: AssignmentResult | None = None,
    seed: int = 0,
    max_rounds: int = 4,
    max_nodes: int = 1_000,
    device: str | torch.device = "auto",
    process_group: Any = None,
) -> AssignmentResult:
    """Give each customer one offer or none so that the sum of values is largest within capacities and budgets.

    Without limits each customer gets the offer of highest value (paper B, eq. 13), none where all are negative, and all prices
    are 0. Ties go to the first offer.

    Args:
        value: (n, K) array or tensor: what a contact of customer i with offer j is worth, such as probability x revenue; ``-inf``
            where it is not possible. float32 stays float32 while prices are sought; the proof is float64. For tables larger
            than memory, a source of blocks such as ``marketnn.data.ParquetNumbers``, a column per offer, which every pass
            reads anew.
        capacity: (K,) most contacts of each offer; ``None`` or infinite for no limit.
        channel: (K,) name or index of each offer's channel.
        channel_budget: what each channel may spend, by name, or in order where channels are indices.
        cost: (K,) or (n, K) cost of a contact, counted against its channel's budget; 1 by default.
        fixed_cost: (K,) paid for each offer that is used.
        minimum: (K,) fewest contacts of an offer that is used at all.
        eligible: (n, K) booleans: whether the offer may go to the customer.
        warm_start: an earlier result for similar customers, whose prices to start from.
        seed: of the sample on which prices are first sought.
        max_rounds: how often to begin again with wider margins while the gap is not rounding.
        max_nodes: of integer programmes, and sets of offers tried.
        device: where to compute; ``auto`` leaves tensors where they are.
        process_group: a ``torch.distributed`` group whose processes hold different customers: ``value``, ``cost`` and
            ``eligible`` are of this process's, capacities and budgets of all; the result is of all, but ``offer`` of its own.

    Returns:
        The assignment with its prices and proof.

    Raises:
        InputError: fixed costs or minimum volumes with a stream or a process group, eligibility or costs by customer with a
            stream, NaN or infinite values, shapes that disagree, negative or fractional capacities or minimum volumes, negative
            costs or budgets, a budget without channels.
        ConfigurationError: a budget for a channel that no offer has.
    """
    streamed = hasattr(value, "blocks")
    if streamed or process_group is not None:
        checks.refuse("a stream or a process group", fixed_cost=fixed_cost, minimum=minimum)
    if streamed:
        checks.refuse("a stream", eligible=eligible)
        own: HeldCustomers | StreamedCustomers = StreamedCustomers(value, resolve(device))
        channels = checks.channels(channel, channel_budget, cost, own.n, own.k, torch.empty(0))
        if channels is not None and channels.cost_nk is not None:
            raise InputError("cost differs by customer, but the values are a stream; give one cost per offer.")
    else:
        value_nk = checks.matrix("value", value, device)
        checks.check_values(value_nk)
        eligible_nk = checks.eligibility(eligible, value_nk)
        channels = checks.channels(channel, channel_budget, cost, len(value_nk), value_nk.shape[1], value_nk)
        own = HeldCustomers(value_nk, None if channels is None else channels.cost_nk, eligible_nk)
    n_without_offer = own.check()
    customers: Customers = own if process_group is None else SharedCustomers(own, Processes(process_group))
    n, k = customers.n, customers.k
    problem = _Problem(
        customers,
        checks.counts_by_offer("capacity", capacity, k, n),
        checks.counts_by_offer("minimum", minimum, k, 0),
        channels,
        int(customers.total(torch.as_tensor(n_without_offer).to(customers.device))),
    )
    options = {"seed": seed, "max_rounds": max_rounds, "max_nodes": max_nodes}
    if fixed_cost is None and minimum is None:
        found = problem.solve(np.ones(k, dtype=bool), warm_start, options)
        if found is None:
            raise InputError("no assignment within the limits was found; raise a limit.")
        gap = found.answer.gap
        return problem.result(found, gap, "optimal" if gap <= OPTIMAL else "gap")
    launch = choose_launch_set(
        value_nk if eligible_nk is None else value_nk.masked_fill(~eligible_nk, -torch.inf),
        np.zeros(k) if fixed_cost is None else checks.numbers_by_offer("fixed_cost", fixed_cost, k),
        minimum=problem.minimum_k,
        capacity=problem.capacity_k,
        solve=lambda is_open: problem.open_set(is_open, warm_start, options),
        max_sets=max_nodes,
    )
    found = problem.solve(launch.open, warm_start, options)
    if found is None:
        raise InputError("no assignment within the limits was found; raise a limit.")
    answer = replace(
        found.answer, offer_n=torch.as_tensor(launch.offer), value=launch.value, upper_bound=launch.upper_bound
    )
    return problem.result(_Found(found.limits, answer), launch.gap, launch.status)


@dataclass(frozen=True)
class _Found:
    """An answer and the limits that its prices belong to."""

    limits: Limits
    answer: Assignment


@dataclass(frozen=True)
class _Problem:
    """What was asked, checked; shapes as in `assign_offers`."""

    customers: Customers
    capacity_k: np.ndarray
    minimum_k: np.ndarray
    channels: checks.Channels | None
    n_without_offer: int

    def solve(self, is_open: np.ndarray, warm_start: AssignmentResult | None, options: dict[str, int]) -> _Found | None:
        """Assign the open offers alone."""
        channels = self.channels
        limits = Limits.of(
            self.customers.n,
            np.where(is_open, self.capacity_k, 0),
            np.where(is_open, self.minimum_k, 0),
            channel_k=None if channels is None else channels.channel_k,
            budget_c=None if channels is None else channels.budget_c,
            cost_k=None if channels is None else channels.cost_k,
        )
        answer = solve(self.customers, limits, y_r=self._start(limits, warm_start), **options)
        return None if answer is None else _Found(limits, answer)

    def open_set(
        self, is_open: np.ndarray, warm_start: AssignmentResult | None, options: dict[str, int]
    ) -> OpenSetSolution | None:
        """Assign the open offers alone and price what the launch problem asks for."""
        found = self.solve(is_open, warm_start, options)
        if found is None:
            return None
        count_k, price_c = found.limits.split(found.answer.y_r)
        device, channels = self.customers.device, self.channels
        charge: Tensor | float = 0.0
        allowance = 0.0
        if channels is not None:
            price_k = torch.as_tensor(price_c[channels.channel_k]).to(device)
            cost = torch.as_tensor(channels.cost_k).to(device) if channels.cost_nk is None else channels.cost_nk
            charge = price_k * cost
            allowance = float(price_c @ np.where(np.isfinite(channels.budget_c), channels.budget_c, 0.0))
        answer = found.answer
        count = torch.as_tensor(count_k).to(device)
        return OpenSetSolution(answer.offer_n, answer.value, answer.upper_bound, count, charge, allowance)

    def result(self, found: _Found, gap: float, status: str) -> AssignmentResult:
        count_k, price_c = found.limits.split(found.answer.y_r)
        if found.limits.closed_k.any():
            count_k = count_k + entry_prices(self.customers, found.limits, found.answer.y_r)
        return AssignmentResult(
            offer=found.answer.offer_n.to(torch.int32).cpu().numpy(),
            shadow_price=count_k,
            channel_price=dict(zip(self._names, price_c.tolist(), strict=True)),
            value=found.answer.value,
            upper_bound=found.answer.upper_bound,
            gap=gap,
            status=status,
            n_without_offer=self.n_without_offer,
        )

    @property
    def _names(self) -> tuple[Any, ...]:
        return () if self.channels is None else self.channels.names

    def _start(self, limits: Limits, warm_start: AssignmentResult | None) -> np.ndarray | None:
        if warm_start is None:
            return None
        if warm_start.shadow_price.shape != (limits.k,) or set(warm_start.channel_price) != set(self._names):
            raise InputError("warm_start belongs to other offers or channels; give a result for the same ones.")
        return limits.join(warm_start.shadow_price, np.array([warm_start.channel_price[name] for name in self._names]))
