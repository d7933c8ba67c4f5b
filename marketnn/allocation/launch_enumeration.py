"""All sets of offers weighed at once: every solved set prices its constraints, and those prices bound every other set.

At prices p of a contact the assignment of any open set L is worth at most (Lagrangian duality)

    sum_i max(0, max_{j in L} (v_ij - p_j)) + sum_{j in L} (capacity_j p_j^+ - minimum_j p_j^- - fixed_cost_j) + allowance,

which `launch_subsets` evaluates for all L in one pass. Solve the set with the highest bound, lower all bounds by its prices,
and repeat until none exceeds the best answer: the bounds that remain are the certificate. Without constraints the first prices,
all zero, are exact, and it ends at once.

Shapes: n customers, k offers, u undecided ones, s = 2^u sets of those.
"""

from __future__ import annotations

import itertools
from operator import attrgetter

import numpy as np
import torch
from torch import Tensor

from marketnn.allocation.launch_problem import LaunchProblem, LaunchSet, OpenSetSolution
from marketnn.allocation.launch_subsets import best_open_sums, set_sums

_TIE = 1e-12  # of the gross value: bounds this near are rounded differently, no more


def enumerate_sets(problem: LaunchProblem, *, max_sets: int) -> LaunchSet:
    """Find the best set by bounds on all of them; ties go to the fewest offers, then to those named first.

    Args:
        problem: at most some 24 undecided offers.
        max_sets: sets solved at most; then the result has status ``gap``.

    Raises:
        InputError: the required offers' minimum volumes cannot be met.
    """
    device, undecided = problem.value_nk.device, problem.undecided
    cost_s = set_sums(torch.as_tensor(problem.fixed_cost[undecided], device=device))
    cost_s += float(problem.fixed_cost[problem.always_open].sum())
    number_s = torch.arange(len(cost_s), device=device)
    rank_s = set_sums(torch.ones(len(undecided), dtype=torch.int64, device=device)) * len(cost_s) + number_s

    no_price_k = problem.value_nk.new_zeros(problem.value_nk.shape[1])
    bound_s = _gross_bounds(problem, problem.value_nk, no_price_k) - cost_s
    solution: OpenSetSolution | None
    solution, best = problem.first_incumbent()
    is_open = problem.always_open
    number, settled = 0, -np.inf
    for n_sets in itertools.count(1):
        if solution is None:  # nor can any larger set meet its minimum volumes
            bound_s[(number_s & number) == number] = -torch.inf
        else:
            if problem.solve is not None:
                bound_s = torch.minimum(bound_s, _priced_bounds(problem, solution, is_open) - cost_s)
            best = max(best, problem.incumbent(solution), key=attrgetter("value"))
            settled = max(settled, min(float(bound_s[number]), solution.upper_bound - float(cost_s[number])))
            bound_s[number] = -torch.inf
        highest = float(bound_s.amax())
        if highest <= best.value + problem.tolerance or n_sets == max_sets:
            break
        tied_s = bound_s >= highest - _TIE * problem.gross
        number = int(rank_s.masked_fill(~tied_s, torch.iinfo(torch.int64).max).argmin())
        is_open = problem.always_open.copy()
        is_open[undecided[(number >> np.arange(len(undecided))) & 1 == 1]] = True
        solution = problem.best_with(is_open)
    return problem.result(best, max(settled, highest), n_sets)


def _gross_bounds(problem: LaunchProblem, reduced_nk: Tensor, room_k: Tensor) -> Tensor:
    """Bound every set (s,) at given prices, fixed costs apart: customers at reduced values, offers' room (k,) at its price."""
    always_nk = reduced_nk[:, problem.always_open]
    base_n = always_nk.amax(1).clamp(min=0) if always_nk.shape[1] else reduced_nk.new_zeros(len(reduced_nk))
    extra_s = best_open_sums(reduced_nk[:, problem.undecided] - base_n[:, None])
    return extra_s + base_n.sum() + room_k[problem.always_open].sum() + set_sums(room_k[problem.undecided])


def _priced_bounds(problem: LaunchProblem, solution: OpenSetSolution, is_open: np.ndarray) -> Tensor:
    """Bound every set (s,) at a solution's prices, fixed costs apart; closed offers enter at the price that suits them best."""
    device = problem.value_nk.device
    charged_nk = problem.value_nk - solution.charge
    closed_k = torch.as_tensor(~is_open, device=device)
    kept_n = (charged_nk - solution.count_price).masked_fill(closed_k, 0.0).amax(1).clamp(min=0)
    price_k = solution.count_price.clone()
    for j in np.flatnonzero(~is_open):
        price_k[j] = _entry_price(charged_nk[:, j] - kept_n, int(problem.minimum[j]), int(problem.capacity[j]))
    minimum_k = torch.as_tensor(problem.minimum, device=device)
    capacity_k = torch.as_tensor(problem.capacity, device=device)
    room_k = capacity_k * price_k.clamp(min=0) + minimum_k * price_k.clamp(max=0)
    return _gross_bounds(problem, charged_nk - price_k, room_k) + solution.allowance


def _entry_price(surplus_n: Tensor, minimum: int, capacity: int) -> Tensor:
    """Price an offer so that those who gain by it fill it exactly: down to its capacity, or up to its minimum volume."""
    n, price = len(surplus_n), surplus_n.new_zeros(())
    if capacity < n:
        price = price + surplus_n.kthvalue(n - capacity).values.clamp(min=0)
    if 0 < minimum <= n:
        last_in = surplus_n.kthvalue(n - minimum + 1).values
        price = price + torch.where(last_in.isfinite(), last_in, 0.0).clamp(max=0)
    return price
