"""The launch problem and its answer: offers that cost to open, and the best assignment for a given open set.

Shapes: n customers, k offers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from marketnn.errors import InputError

TOLERANCE = 1e-9  # a smaller gap is rounding


@dataclass(frozen=True)
class OpenSetSolution:
    """An assignment with a fixed set of open offers, and the prices that prove its bound.

    Attributes:
        offer: (n,) integer index of each customer's offer, -1 for none.
        value: sum of the assigned values, fixed costs not subtracted.
        upper_bound: on that sum for the same open set.
        count_price: (K,) price of a customer: multiplier of the capacity less that of the minimum volume; unused where closed.
        charge: (K,) or (n, K) what a contact costs at the prices of further constraints such as budgets.
        allowance: what those constraints' limits are worth at their prices.
    """

    offer: Tensor
    value: float
    upper_bound: float
    count_price: Tensor
    charge: Tensor | float = 0.0
    allowance: float = 0.0


Solve = Callable[[np.ndarray], OpenSetSolution | None]


@dataclass(frozen=True)
class LaunchSet:
    """Which offers are open, who gets which, and how good that is proven to be.

    Attributes:
        open: (K,) booleans.
        offer: (n,) integer index of each customer's offer, -1 for none.
        value: sum of the assigned values less the fixed costs of the open offers.
        upper_bound: no set of offers and no assignment is worth more.
        gap: ``upper_bound`` less ``value``, as a share of what the customers are worth with all offers open and unlimited, or of
            all fixed costs if those are more.
        status: ``optimal`` where the gap is rounding, 1e-9 at most; otherwise ``gap``.
        n_sets: sets solved, or nodes searched.
    """

    open: np.ndarray
    offer: np.ndarray
    value: float
    upper_bound: float
    gap: float
    status: str
    n_sets: int


@dataclass(frozen=True)
class LaunchProblem:
    """What is to be decided; `choose_launch_set` explains the attributes."""

    value_nk: Tensor
    fixed_cost: np.ndarray
    minimum: np.ndarray
    capacity: np.ndarray
    required: np.ndarray
    solve: Solve | None

    @cached_property
    def always_open(self) -> np.ndarray:
        """(K,) offers that are required, or cost and demand nothing."""
        return self.required | ((self.fixed_cost == 0) & (self.minimum == 0))

    @cached_property
    def undecided(self) -> np.ndarray:
        """Offers to decide on: not always open, and with enough capacity and possible customers for their minimum volume."""
        possible = (self.value_nk > -torch.inf).sum(0).cpu().numpy()
        return np.flatnonzero(~self.always_open & (self.minimum <= np.minimum(self.capacity, possible)))

    @cached_property
    def gross(self) -> float:
        """What the customers are worth when all offers are open and unlimited."""
        return float(self.value_nk.amax(1).clamp(min=0).sum())

    @property
    def scale(self) -> float:
        """The size of the sums that are compared."""
        return max(self.gross, float(self.fixed_cost.sum()))

    @property
    def tolerance(self) -> float:
        """A difference below this is rounding."""
        return TOLERANCE * self.scale

    def best_with(self, is_open: np.ndarray) -> OpenSetSolution | None:
        """Return the best assignment with these offers open, ``None`` if it is impossible."""
        if self.solve is not None and is_open.any():
            return self.solve(is_open)
        no_price = self.value_nk.new_zeros(len(is_open))
        if not is_open.any():
            nobody = torch.full((len(self.value_nk),), -1, device=self.value_nk.device)
            return OpenSetSolution(nobody, 0.0, 0.0, no_price)
        index = torch.as_tensor(np.flatnonzero(is_open), device=self.value_nk.device)
        best_n, place_n = self.value_nk.index_select(1, index).max(1)
        offer_n = torch.where(best_n > 0, index[place_n], -1)
        value = float(best_n.clamp(min=0).sum())
        return OpenSetSolution(offer_n, value, value, no_price)

    def first_incumbent(self) -> tuple[OpenSetSolution, Incumbent]:
        """Solve with nothing open that need not be.

        Raises:
            InputError: the required offers' minimum volumes cannot be met.
        """
        solution = self.best_with(self.always_open)
        if solution is None:
            raise InputError("the minimum volumes of the required offers cannot be met; lower them or require fewer.")
        return solution, self.incumbent(solution)

    def incumbent(self, solution: OpenSetSolution) -> Incumbent:
        """Return what a solution is worth net; an offer that nobody gets is not opened unless required."""
        offer = solution.offer.cpu().numpy().astype(np.int64)
        used = np.bincount(offer + 1, minlength=len(self.fixed_cost) + 1)[1:] > 0
        is_open = used | self.required
        return Incumbent(is_open, offer, solution.value - float(self.fixed_cost[is_open].sum()))

    def result(self, best: Incumbent, upper_bound: float, n_sets: int) -> LaunchSet:
        """Put an answer together with its certificate."""
        upper_bound = max(upper_bound, best.value)
        difference = upper_bound - best.value
        return LaunchSet(
            open=best.is_open,
            offer=best.offer,
            value=best.value,
            upper_bound=upper_bound,
            gap=difference / self.scale if difference else 0.0,
            status="optimal" if difference <= self.tolerance else "gap",
            n_sets=n_sets,
        )


@dataclass(frozen=True)
class Incumbent:
    """The best answer so far: open offers (K,), offers (n,), net value."""

    is_open: np.ndarray
    offer: np.ndarray
    value: float
