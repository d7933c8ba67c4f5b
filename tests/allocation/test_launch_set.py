"""Launch sets against brute force over all sets, and against mixed-integer programming with every kind of constraint."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import coo_array, csr_array, eye_array, hstack, kron, vstack

from marketnn.allocation import choose_launch_set
from marketnn.allocation.launch_problem import OpenSetSolution
from marketnn.allocation.launch_subsets import best_open_sums, set_sums
from marketnn.errors import InputError

METHODS = ["enumerate", "branch"]


class Instance:
    """A launch problem as a mixed-integer program: contacts x (n, k), then openings z (k,)."""

    def __init__(self, rng: np.random.Generator, case: int) -> None:
        n, k = int(rng.integers(1, 9)), 1 if case % 10 == 9 else int(rng.integers(1, 7))
        self.n, self.k = n, k
        ties = case % 2
        self.value = rng.integers(-3, 8, (n, k)).astype(float) if ties else rng.normal(1, 2, (n, k))
        if case % 4 == 0:
            self.value[rng.random((n, k)) < 0.2] = -np.inf
        self.fixed_cost = rng.integers(0, 6, k).astype(float)
        self.minimum = rng.integers(0, 4, k) if case % 5 else np.zeros(k, dtype=int)
        self.capacity = self.minimum + rng.integers(0, 4, k)
        if case % 7 == 0:
            self.capacity[rng.integers(k)] = self.minimum[rng.integers(k)] = 0
            self.capacity = np.maximum(self.capacity, self.minimum)
        channels = 2 if case % 3 == 0 else 0
        self.use = np.zeros((channels, k))
        if channels:
            self.use[rng.integers(0, channels, k), np.arange(k)] = rng.integers(1, 4, k)
        self.budget = rng.integers(0, 12, channels).astype(float)

    def optimum(self, is_open: np.ndarray | None = None) -> tuple[float, np.ndarray] | None:
        """Solve the program; with given openings fixed costs are left out."""
        n, k = self.n, self.k
        cost = self.fixed_cost if is_open is None else np.zeros(k)
        once, count = kron(eye_array(n), np.ones((1, k))), kron(np.ones((1, n)), eye_array(k))
        rows = [
            hstack([once, csr_array((n, k))]),
            hstack([count, -np.diag(self.capacity)]),
            hstack([-count, np.diag(self.minimum)]),
            hstack([coo_array(self.use @ count.toarray()), csr_array((len(self.use), k))]),
        ]
        limits = np.concatenate([np.ones(n), np.zeros(2 * k), self.budget])
        possible = np.isfinite(self.value)
        objective = np.concatenate([-np.where(possible, self.value, 0).ravel(), cost])
        lower, upper = np.zeros(n * k + k), np.concatenate([possible.ravel().astype(float), np.ones(k)])
        if is_open is not None:
            lower[n * k :] = upper[n * k :] = is_open
        found = milp(
            objective,
            constraints=LinearConstraint(vstack(rows).tocsc(), -np.inf, limits),
            integrality=np.ones(n * k + k),
            bounds=Bounds(lower, upper),
        )
        if found.x is None:
            return None
        contacts = found.x[: n * k].reshape(n, k).round()
        return -found.fun, np.where(contacts.sum(1) > 0, contacts.argmax(1), -1)

    def solve(self, is_open: np.ndarray) -> OpenSetSolution | None:
        """Solve for one open set, with the prices of its linear relaxation."""
        n, k = self.n, self.k
        count = np.kron(np.ones((1, n)), np.eye(k))
        rows = np.vstack([np.kron(np.eye(n), np.ones((1, k))), count, -count, self.use @ count])
        room = [np.ones(n), self.capacity * is_open, -self.minimum * is_open, self.budget]
        possible = np.isfinite(self.value)
        relaxed = linprog(
            -np.where(possible, self.value, 0).ravel(),
            A_ub=rows,
            b_ub=np.concatenate(room),
            bounds=np.stack([np.zeros(n * k), possible.ravel()], 1),
            method="highs-ds",
        )
        if relaxed.x is None:
            return None
        contacts = relaxed.x.reshape(n, k)
        answer: tuple[float, np.ndarray] | None
        if np.abs(contacts - contacts.round()).max() < 1e-9:
            answer = -relaxed.fun, np.where(contacts.sum(1) > 0.5, contacts.argmax(1), -1)
        else:
            answer = self.optimum(is_open)
        if answer is None:
            return None
        price = -relaxed.ineqlin.marginals[n:]
        channel_price = price[2 * k :]
        return OpenSetSolution(
            torch.as_tensor(answer[1]),
            answer[0],
            answer[0],
            torch.as_tensor(price[:k] - price[k : 2 * k]),
            torch.as_tensor(channel_price @ self.use),
            float(channel_price @ self.budget),
        )

    def check(self, offer: np.ndarray, is_open: np.ndarray, net_value: float) -> None:
        """Hold an answer to every constraint and to its claimed value."""
        counts = np.bincount(offer + 1, minlength=self.k + 1)[1:]
        assert (counts[~is_open] == 0).all()
        assert (counts <= self.capacity).all()
        assert (counts >= self.minimum * is_open).all()
        assert (self.use @ counts <= self.budget + 1e-9).all()
        chosen = offer >= 0
        total = self.value[np.flatnonzero(chosen), offer[chosen]].sum() - self.fixed_cost[is_open].sum()
        assert total == pytest.approx(net_value, abs=1e-9)


def brute_force(value: np.ndarray, cost: np.ndarray, required: tuple[int, ...] = ()) -> float:
    best = -np.inf
    for size in range(len(cost) + 1):
        for members in map(list, itertools.combinations(range(len(cost)), size)):
            if set(required) <= set(members):
                served = np.maximum(value[:, members].max(1), 0).sum() if members else 0.0
                best = max(best, served - cost[members].sum())
    return best


def greedy(value: np.ndarray, cost: np.ndarray) -> float:
    """Open the offer that adds most while it adds anything."""
    best, total = np.zeros(len(value)), 0.0
    while (added := np.maximum(value - best[:, None], 0).sum(0) - cost).max() > 1e-12:
        pick = int(added.argmax())
        best, total = np.maximum(best, value[:, pick]), total + added[pick]
    return total


@pytest.mark.parametrize("method", METHODS)
def test_without_constraints_brute_force_is_met(method: str) -> None:
    rng = np.random.default_rng(0)
    for case in range(300):
        n, k = int(rng.integers(1, 9)), int(rng.integers(1, 7))
        value = rng.integers(-3, 8, (n, k)).astype(float) if case % 2 else rng.normal(1, 2, (n, k))
        cost = rng.integers(0, 8, k).astype(float)
        required = (0,) if case % 3 == 0 else ()
        found = choose_launch_set(value, cost, required=required, method=method)
        assert found.value == pytest.approx(brute_force(value, cost, required), abs=1e-9)
        assert found.status == "optimal"
        assert found.value <= found.upper_bound
        served = np.where(found.offer >= 0, value[np.arange(n), found.offer], 0).sum()
        assert served - cost[found.open].sum() == pytest.approx(found.value, abs=1e-9)


@pytest.mark.parametrize(("method", "cases"), [("enumerate", 450), ("branch", 60)])
def test_with_constraints_the_mixed_integer_optimum_is_met(method: str, cases: int) -> None:
    rng = np.random.default_rng(1)
    for case in range(cases):
        instance = Instance(rng, case)
        best = instance.optimum()
        assert best is not None
        found = choose_launch_set(
            instance.value,
            instance.fixed_cost,
            minimum=instance.minimum,
            capacity=instance.capacity,
            solve=instance.solve,
            method=method,
        )
        assert found.value == pytest.approx(best[0], abs=1e-7)
        assert found.status == "optimal"
        assert found.upper_bound >= best[0] - 1e-7
        instance.check(found.offer, found.open, found.value)


def test_a_search_cut_short_says_so_and_its_bound_holds() -> None:
    rng = np.random.default_rng(2)
    stopped = 0
    for case in range(40):
        instance = Instance(rng, case)
        best = instance.optimum()
        assert best is not None
        limits: dict[str, Any] = {"minimum": instance.minimum, "capacity": instance.capacity, "solve": instance.solve}
        for method in METHODS:
            found = choose_launch_set(instance.value, instance.fixed_cost, max_sets=1, method=method, **limits)
            assert found.value <= best[0] + 1e-7
            assert found.upper_bound >= best[0] - 1e-7
            assert (found.status == "gap") == (found.gap > 1e-9)
            stopped += found.status == "gap"
    assert stopped > 10


def test_twenty_offers_by_branch_and_bound_equal_mixed_integer_programming() -> None:
    rng = np.random.default_rng(3)
    for _ in range(3):
        n, k = 60, 20
        value = rng.normal(0, 1, (n, k)) + rng.normal(0, 0.5, k) + rng.normal(0, 1, (n, 1))
        cost = rng.uniform(0.02, 0.1, k) * n
        found = choose_launch_set(value, cost, method="branch")
        once = hstack([kron(eye_array(n), np.ones((1, k))), csr_array((n, k))])
        linked = hstack([eye_array(n * k), -kron(np.ones((n, 1)), eye_array(k))])
        program = milp(
            np.concatenate([-value.ravel(), cost]),
            constraints=LinearConstraint(
                vstack([once, linked]).tocsc(), -np.inf, np.concatenate([np.ones(n), np.zeros(n * k)])
            ),
            integrality=np.ones(n * k + k),
            bounds=Bounds(0, 1),
        )
        assert found.value == pytest.approx(-program.fun, rel=1e-8)
        assert found.status == "optimal"
        assert choose_launch_set(value, cost, method="enumerate").value == pytest.approx(found.value, rel=1e-8)


def test_opening_offers_one_by_one_is_not_optimal() -> None:
    rng = np.random.default_rng(4)
    lost = 0
    for _ in range(200):
        value, cost = rng.random((8, 5)), rng.uniform(0.2, 1.2, 5)
        best = choose_launch_set(value, cost).value
        assert greedy(value, cost) <= best + 1e-9
        lost += greedy(value, cost) < best - 1e-6
    assert lost >= 3
    # the offer that pleases everybody a little is opened first, and stays when the two that please half of them a lot follow
    value = np.array([[6.0, 0.0, 5.0], [6.0, 0.0, 5.0], [0.0, 6.0, 5.0], [0.0, 6.0, 5.0]])
    assert greedy(value, np.full(3, 1.9)) == pytest.approx(18.3)
    assert choose_launch_set(value, np.full(3, 1.9)).value == pytest.approx(20.2)


def test_every_set_at_once_is_the_direct_sum(device: torch.device) -> None:
    rng = np.random.default_rng(5)
    for value in (rng.normal(0, 1, (50, 6)), rng.integers(-2, 3, (50, 6)).astype(float)):
        sums = best_open_sums(torch.tensor(value).to(device)).cpu().numpy()
        for number in range(64):
            members = [j for j in range(6) if number >> j & 1]
            direct = np.maximum(value[:, members].max(1), 0).sum() if members else 0.0
            assert sums[number] == pytest.approx(direct, abs=1e-12)
    assert set_sums(torch.tensor([1.0, 10.0, 100.0])).tolist() == [0, 1, 10, 11, 100, 101, 110, 111]


@pytest.mark.parametrize("method", METHODS)
def test_the_answer_is_the_same_on_every_device(device: torch.device, method: str) -> None:
    rng = np.random.default_rng(6)
    value, cost = rng.normal(0, 1, (100, 7)), rng.uniform(2, 12, 7)
    here = choose_launch_set(value, cost, method=method)
    there = choose_launch_set(torch.tensor(value).to(device), cost, method=method)
    assert there.open.tolist() == here.open.tolist()
    assert there.offer.tolist() == here.offer.tolist()
    assert there.value == here.value


def test_ties_open_the_fewest_offers_and_then_the_first() -> None:
    assert choose_launch_set(np.ones((4, 3)), np.ones(3)).open.tolist() == [True, False, False]
    assert not choose_launch_set(np.ones((4, 3)), np.full(3, 4.0)).open.any()
    assert not choose_launch_set(np.full((4, 3), -1.0), np.zeros(3)).open.any()


def test_sixteen_offers_and_many_customers_are_exact() -> None:
    rng = np.random.default_rng(7)
    value, cost = rng.normal(0, 1, (20_000, 16)), rng.uniform(200, 900, 16)
    found = choose_launch_set(value, cost)
    assert found.status == "optimal"
    net = np.maximum(value[:, found.open].max(1), 0).sum() - cost[found.open].sum()
    for j in range(16):  # no neighbour is better
        other = found.open.copy()
        other[j] = not other[j]
        assert np.maximum(value[:, other].max(1), 0).sum() - cost[other].sum() <= net
    assert found.value == pytest.approx(net, rel=1e-12)


def bad(**changes: Any) -> Callable[[], object]:
    return lambda: choose_launch_set(**{"value": np.ones((3, 2)), "fixed_cost": np.ones(2)} | changes)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (bad(value=np.ones(3)), r"value has shape \(3,\)"),
        (bad(value=np.array([[1.0, np.nan], [1.0, 1.0]])), "NaN or infinite in row 1"),
        (bad(fixed_cost=[1.0, -2.0]), "fixed_cost is -2 at offer 1"),
        (bad(fixed_cost=[1.0]), r"shape \(1,\) for 2 offers"),
        (bad(fixed_cost=[1.0, np.inf]), "not finite at offer 1"),
        (bad(minimum=[1, 1]), "need solve"),
        (bad(capacity=[1.5, 1], solve=lambda is_open: None), "capacity is 1.5 at offer 0"),
        (bad(minimum=[-1, 1], solve=lambda is_open: None), "minimum is -1 at offer 0"),
        (bad(minimum=[9, 0], required=[0], solve=lambda is_open: None), "required offers cannot be met"),
        (bad(method="greedy"), "unknown method 'greedy'"),
        (bad(required=[2]), "required names offer 2"),
    ],
)
def test_bad_input_is_named(call: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()
