"""Branch and bound over open and closed offers, for more of them than all sets could be weighed of.

With a price u_i on each customer's one contact the offers part, and the best set is bounded by (Lagrangian duality)

    sum_i u_i + sum_j z_j (s_j(u) - fixed_cost_j),    z_j = 1 where open, 0 where closed, the better of both where undecided,

where s_j(u) is the best sum of v_ij - u_i over between minimum_j and capacity_j customers. Each node lowers this bound by
subgradient steps, fixes the offers whose other decision would take it below the best answer, and splits on the offer that
wavered most. Further constraints, such as budgets, enter where a set is solved and not in this bound.

Shapes: n customers, k offers.
"""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass
from operator import attrgetter

import numpy as np
import torch
from torch import Tensor

from marketnn.allocation.launch_problem import LaunchProblem, LaunchSet

_OPEN, _CLOSED, _UNDECIDED = 1, 0, -1
_ROOT_STEPS, _NODE_STEPS = 300, 60
_PATIENCE = 8  # steps without a noticeably lower bound, after which they are halved
_NOTICED = 1e-4  # of the distance to the best answer
_SHORTEST = 1e-3  # of Polyak's step


@dataclass(frozen=True)
class _Bound:
    """A node's bound: at which prices (n,), and by how much each offer (k,) earns its fixed cost at them."""

    value: float
    price_n: Tensor
    margin_k: np.ndarray


def branch(problem: LaunchProblem, *, max_nodes: int) -> LaunchSet:
    """Search for the best set, the node with the highest bound first.

    Args:
        problem: any number of offers.
        max_nodes: nodes at most; then the result has status ``gap`` and the bound of the nodes left.

    Raises:
        InputError: the required offers' minimum volumes cannot be met.
    """
    search = _Search(problem)
    root_k = np.full(len(problem.fixed_cost), _CLOSED)
    root_k[problem.always_open], root_k[problem.undecided] = _OPEN, _UNDECIDED
    order = itertools.count()
    price_n = problem.value_nk.amax(1).clamp(min=0)
    heap = [(-np.inf, next(order), root_k, price_n, _ROOT_STEPS)]
    settled, n_nodes = -np.inf, 0
    while heap and -heap[0][0] > search.best.value + problem.tolerance and n_nodes < max_nodes:
        negative, _, state_k, price_n, steps = heapq.heappop(heap)
        n_nodes += 1
        bound, openness_k = search.bound(state_k, price_n, steps)
        highest = min(-negative, bound.value)
        if highest <= search.best.value + problem.tolerance:
            settled = max(settled, highest)
            continue
        state_k = _fix(state_k, bound, search.best.value)
        undecided = np.flatnonzero(state_k == _UNDECIDED)
        if not undecided.size:
            settled = max(settled, min(highest, search.exact(state_k == _OPEN)))
            continue
        split = undecided[np.abs(openness_k[undecided] - 0.5).argmin()]
        for decision in (_OPEN, _CLOSED):
            child_k = state_k.copy()
            child_k[split] = decision
            heapq.heappush(heap, (-highest, next(order), child_k, bound.price_n, _NODE_STEPS))
    left = max((-entry[0] for entry in heap), default=-np.inf)
    return problem.result(search.best, max(settled, left), n_nodes)


class _Search:
    """The best answer so far, and what was solved on the way."""

    def __init__(self, problem: LaunchProblem) -> None:
        self.problem = problem
        solution, self.best = problem.first_incumbent()
        device = problem.value_nk.device
        self._minimum_k = torch.as_tensor(problem.minimum, device=device)
        self._capacity_k = torch.as_tensor(problem.capacity, device=device)
        self._limited = bool((problem.minimum > 0).any() or (problem.capacity < len(problem.value_nk)).any())
        self._cost_k = torch.as_tensor(problem.fixed_cost, device=device)
        cost = float(problem.fixed_cost[problem.always_open].sum())
        self._solved = {problem.always_open.tobytes(): solution.upper_bound - cost}

    def exact(self, is_open: np.ndarray) -> float:
        """Solve with exactly these open, keep the answer if it is the best, and return its bound."""
        key = is_open.tobytes()
        if key not in self._solved:
            solution = self.problem.best_with(is_open)
            self._solved[key] = -np.inf
            if solution is not None:
                trial = self.problem.incumbent(solution)
                self.best = max(self.best, trial, key=attrgetter("value"))
                self._solved[key] = solution.upper_bound - float(self.problem.fixed_cost[is_open].sum())
        return self._solved[key]

    def bound(self, state_k: np.ndarray, price_n: Tensor, steps: int) -> tuple[_Bound, np.ndarray]:
        """Lower the node's bound by Polyak's subgradient steps; also say in what share of them each offer (k,) was open."""
        state = torch.as_tensor(state_k, device=price_n.device)
        lowest = _Bound(np.inf, price_n, np.zeros(len(state_k)))
        opened_k, is_open = np.zeros(len(state_k)), state_k == _OPEN
        step, stale, done = 1.0, 0, 0
        while done < steps and step > _SHORTEST and lowest.value > self.best.value + self.problem.tolerance:
            done += 1
            value, margin_k, open_k, slope_n, length = self._dual(price_n, state)
            is_open = open_k.cpu().numpy()
            opened_k += is_open
            stale += 1
            if value < lowest.value:
                if lowest.value - value > _NOTICED * (lowest.value - self.best.value):
                    stale = 0
                lowest = _Bound(value, price_n, margin_k.cpu().numpy())
            if length == 0:
                break
            if stale == _PATIENCE:
                step, stale, price_n = step / 2, 0, lowest.price_n
                self.exact(is_open)
            else:
                price_n = (price_n - step * (value - self.best.value) / length * slope_n).clamp(min=0)
        self.exact(is_open)
        return lowest, opened_k / max(done, 1)

    def _dual(self, price_n: Tensor, state_k: Tensor) -> tuple[float, Tensor, Tensor, Tensor, float]:
        """Return the bound at these prices, the margins (k,), what it opens (k,), its slope (n,) and the slope's square."""
        surplus_nk = self.problem.value_nk - price_n[:, None]
        taken_nk = _taken(surplus_nk, self._minimum_k, self._capacity_k) if self._limited else surplus_nk > 0
        margin_k = surplus_nk.masked_fill(~taken_nk, 0.0).sum(0) - self._cost_k
        open_k = (state_k == _OPEN) | ((state_k == _UNDECIDED) & (margin_k > 0))
        slope_n = 1.0 - (taken_nk & open_k).sum(1)
        value = price_n.sum() + margin_k.masked_fill(~open_k, 0.0).sum()
        both = torch.stack([value, slope_n.square().sum()]).tolist()
        return both[0], margin_k, open_k, slope_n, both[1]


def _taken(surplus_nk: Tensor, minimum_k: Tensor, capacity_k: Tensor) -> Tensor:
    """Mark each offer's best customers: those who gain, up to its capacity, and at least its minimum volume."""
    order_nk = surplus_nk.argsort(dim=0, descending=True)
    rank_nk = torch.empty_like(order_nk).scatter_(
        0, order_nk, torch.arange(len(order_nk), device=order_nk.device)[:, None].expand_as(order_nk)
    )
    return (rank_nk < minimum_k) | ((rank_nk < capacity_k) & (surplus_nk > 0))


def _fix(state_k: np.ndarray, bound: _Bound, best: float) -> np.ndarray:
    """Decide every offer whose other decision bounds the node at or below the best answer."""
    decided = (state_k == _UNDECIDED) & (bound.value - np.abs(bound.margin_k) <= best)
    return np.where(decided, np.where(bound.margin_k > 0, _OPEN, _CLOSED), state_k)
