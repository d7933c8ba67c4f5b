"""Customers to offers: the public function, its checks and its result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from marketnn.allocation.assignment.customers import HeldCustomers
from marketnn.allocation.assignment.engine import OPTIMAL, Assignment, count_without_offer, entry_prices, solve
from marketnn.allocation.assignment.limits import Limits
from marketnn.allocation.launch_problem import OpenSetSolution
from marketnn.allocation.launch_set import choose_launch_set
from marketnn.device import resolve
from marketnn.errors import InputError, rows_text, unknown_name


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
) -> AssignmentResult:
    """Give each customer one offer or none so that the sum of values is largest within capacities and budgets.

    Without limits each customer gets the offer of highest value (paper B, eq. 13), none where all are negative, and all prices
    are 0. Ties go to the first offer.

    Args:
        value: (n, K) array or tensor: what a contact of customer i with offer j is worth, such as probability x revenue; ``-inf``
            where it is not possible. float32 stays float32 while prices are sought; the proof is float64.
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

    Returns:
        The assignment with its prices and proof.

    Raises:
        InputError: NaN or infinite values, shapes that disagree, negative or fractional capacities or minimum volumes, negative
            costs or budgets, a budget without channels.
        ConfigurationError: a budget for a channel that no offer has.
    """
    value_nk = _matrix("value", value, device)
    n, k = value_nk.shape
    _check_values(value_nk)
    problem = _Problem(
        value_nk,
        _eligible(eligible, value_nk),
        _counts("capacity", capacity, k, n),
        _counts("minimum", minimum, k, 0),
        *_budgets(channel, channel_budget, cost, value_nk),
    )
    options = {"seed": seed, "max_rounds": max_rounds, "max_nodes": max_nodes}
    if fixed_cost is None and minimum is None:
        found = problem.solve(np.ones(k, dtype=bool), warm_start, options)
        if found is None:
            raise InputError("no assignment within the limits was found; raise a limit.")
        gap = found.answer.gap
        return problem.result(found, gap, "optimal" if gap <= OPTIMAL else "gap")
    fixed_k = np.zeros(k) if fixed_cost is None else _numbers("fixed_cost", fixed_cost, k)
    launch = choose_launch_set(
        problem.possible_values(),
        fixed_k,
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
    """What was asked, checked; shapes as in `assign_offers`, channels as indices."""

    value_nk: Tensor
    eligible_nk: Tensor | None
    capacity_k: np.ndarray
    minimum_k: np.ndarray
    channel_k: np.ndarray | None
    names: tuple[Any, ...]
    budget_c: np.ndarray | None
    cost_k: np.ndarray | None
    cost_nk: Tensor | None

    @property
    def customers(self) -> HeldCustomers:
        return HeldCustomers(self.value_nk, self.cost_nk, self.eligible_nk)

    def possible_values(self) -> Tensor:
        if self.eligible_nk is None:
            return self.value_nk
        return self.value_nk.masked_fill(~self.eligible_nk, -torch.inf)

    def solve(self, is_open: np.ndarray, warm_start: AssignmentResult | None, options: dict[str, int]) -> _Found | None:
        """Assign the open offers alone."""
        limits = Limits.of(
            len(self.value_nk),
            np.where(is_open, self.capacity_k, 0),
            np.where(is_open, self.minimum_k, 0),
            channel_k=self.channel_k,
            budget_c=self.budget_c,
            cost_k=self.cost_k,
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
        count_k, budget_c = found.limits.split(found.answer.y_r)
        device = self.value_nk.device
        charge: Tensor | float = 0.0
        allowance = 0.0
        if self.channel_k is not None and self.budget_c is not None:
            price_k = torch.as_tensor(budget_c[self.channel_k]).to(device)
            cost = torch.as_tensor(self.cost_k).to(device) if self.cost_nk is None else self.cost_nk
            charge = price_k * cost
            allowance = float(budget_c @ np.where(np.isfinite(self.budget_c), self.budget_c, 0.0))
        answer = found.answer
        count = torch.as_tensor(count_k).to(device)
        return OpenSetSolution(answer.offer_n, answer.value, answer.upper_bound, count, charge, allowance)

    def result(self, found: _Found, gap: float, status: str) -> AssignmentResult:
        count_k, budget_c = found.limits.split(found.answer.y_r)
        if found.limits.closed_k.any():
            count_k = count_k + entry_prices(self.customers, found.limits, found.answer.y_r)
        some_impossible = self.eligible_nk is not None or bool(self.value_nk.amin() == -torch.inf)
        return AssignmentResult(
            offer=found.answer.offer_n.to(torch.int32).cpu().numpy(),
            shadow_price=count_k,
            channel_price=dict(zip(self.names, budget_c.tolist(), strict=True)),
            value=found.answer.value,
            upper_bound=found.answer.upper_bound,
            gap=gap,
            status=status,
            n_without_offer=count_without_offer(self.customers) if some_impossible else 0,
        )

    def _start(self, limits: Limits, warm_start: AssignmentResult | None) -> np.ndarray | None:
        if warm_start is None:
            return None
        if warm_start.shadow_price.shape != (limits.k,) or set(warm_start.channel_price) != set(self.names):
            raise InputError("warm_start belongs to other offers or channels; give a result for the same ones.")
        return limits.join(warm_start.shadow_price, np.array([warm_start.channel_price[name] for name in self.names]))


def _matrix(name: str, given: Any, device: str | torch.device) -> Tensor:
    matrix = given if isinstance(given, Tensor) else torch.as_tensor(np.asarray(given))
    if not matrix.dtype.is_floating_point or matrix.dtype in (torch.float16, torch.bfloat16):
        matrix = matrix.double()
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise InputError(f"{name} has shape {tuple(matrix.shape)}; give (customers, offers), at least one of each.")
    return matrix if isinstance(given, Tensor) and device == "auto" else matrix.to(resolve(device))


def _check_values(value_nk: Tensor) -> None:
    largest = float(value_nk.amax())
    if not largest < np.inf:  # NaN included
        wrong = (value_nk.isnan() | (value_nk == torch.inf)).any(1).cpu().numpy()
        raise InputError(f"value is NaN or infinite in {rows_text(wrong)}; -inf alone is allowed (not possible).")


def _eligible(given: Any, value_nk: Tensor) -> Tensor | None:
    if given is None:
        return None
    eligible_nk = torch.as_tensor(given)
    if eligible_nk.shape != value_nk.shape or eligible_nk.dtype != torch.bool:
        raise InputError(
            f"eligible has shape {tuple(eligible_nk.shape)} and type {eligible_nk.dtype}; "
            f"give booleans of value's shape {tuple(value_nk.shape)}."
        )
    return eligible_nk.to(value_nk.device)


def _numbers(name: str, given: Any, k: int) -> np.ndarray:
    numbers = np.asarray(torch.as_tensor(given).cpu(), dtype=np.float64)
    if numbers.shape != (k,):
        raise InputError(f"{name} has shape {numbers.shape} for {k} offers; give one number per offer.")
    wrong = np.flatnonzero(~(numbers >= 0))
    if wrong.size:
        raise InputError(f"{name} is {numbers[wrong[0]]:g} at offer {wrong[0]}; it must be 0 or more.")
    return numbers


def _counts(name: str, given: Any, k: int, default: int) -> np.ndarray:
    if given is None:
        return np.full(k, default)
    numbers = _numbers(name, given, k)
    numbers = np.minimum(numbers, default) if name == "capacity" else numbers
    wrong = np.flatnonzero(numbers != np.floor(numbers))
    if wrong.size:
        raise InputError(f"{name} is {numbers[wrong[0]]:g} at offer {wrong[0]}; give a whole number of customers.")
    return numbers.astype(np.int64)


def _budgets(
    channel: Sequence[Any] | None, channel_budget: Any, cost: Any, value_nk: Tensor
) -> tuple[np.ndarray | None, tuple[Any, ...], np.ndarray | None, np.ndarray | None, Tensor | None]:
    """Return each offer's channel as an index, the channels' names and budgets, and costs (k,) or (n, k)."""
    if channel_budget is None:
        return None, (), None, None, None
    n, k = value_nk.shape
    if channel is None:
        raise InputError("channel_budget needs channel: the channel of each offer.")
    of_offer = list(channel)
    if len(of_offer) != k:
        raise InputError(f"channel names {len(of_offer)} channels for {k} offers; give one per offer.")
    given = dict(channel_budget) if isinstance(channel_budget, Mapping) else dict(enumerate(channel_budget))
    names = tuple(dict.fromkeys(of_offer))
    if isinstance(channel_budget, Mapping):
        unknown = [name for name in given if name not in names]
        if unknown:
            raise unknown_name("channel", unknown[0], map(str, names))
    elif any(name not in given for name in names):
        named = next(name for name in names if name not in given)
        raise InputError(
            f"channel_budget has {len(given)} numbers in order, but an offer's channel is '{named}'; give budgets by name."
        )
    budget_c = np.array([float(given.get(name, np.inf)) for name in names])
    if not (budget_c >= 0).all():
        wrong = int(np.flatnonzero(~(budget_c >= 0))[0])
        raise InputError(f"channel_budget is {budget_c[wrong]:g} for '{names[wrong]}'; it must be 0 or more.")
    channel_k = np.array([names.index(name) for name in of_offer])
    if cost is None:
        return channel_k, names, budget_c, np.ones(k), None
    cost_tensor = cost if isinstance(cost, Tensor) else torch.as_tensor(np.asarray(cost))
    if cost_tensor.ndim == 1:
        cost_k = _numbers("cost", cost, k)
        if not np.isfinite(cost_k).all():
            raise InputError("cost is infinite; use eligible or -inf in value for contacts that are not possible.")
        return channel_k, names, budget_c, cost_k, None
    if cost_tensor.shape != (n, k):
        raise InputError(f"cost has shape {tuple(cost_tensor.shape)}; give ({k},) or ({n}, {k}).")
    wrong_n = (~((cost_tensor >= 0) & (cost_tensor < torch.inf))).any(1).cpu().numpy()
    if wrong_n.any():
        raise InputError(f"cost is negative, NaN or infinite in {rows_text(wrong_n)}; it must be 0 or more.")
    return channel_k, names, budget_c, None, cost_tensor.to(value_nk.device, value_nk.dtype)
