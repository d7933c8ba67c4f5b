"""Offers to customers against mixed-integer programming: 2,000 small instances with every kind of limit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import block_diag, coo_array, csr_array, eye_array, kron, vstack

from marketnn.allocation import assign_offers

BATCH = 50  # instances that one mixed-integer programme solves side by side


@dataclass
class Instance:
    """Values (n, k), -inf where not possible; capacities (k,) or none; channels (k,), budgets, costs (k,) or (n, k), or none."""

    value: np.ndarray
    capacity: np.ndarray | None
    channel: np.ndarray | None
    budget: np.ndarray | None
    cost: np.ndarray | None

    @property
    def limits(self) -> tuple[csr_array, np.ndarray]:
        """All limits as rows over the contacts (n * k) with their bounds."""
        n, k = self.value.shape
        rows, bounds = [kron(eye_array(n), np.ones((1, k)))], [np.ones(n)]
        if self.capacity is not None:
            rows.append(kron(np.ones((1, n)), eye_array(k)))
            bounds.append(self.capacity)
        if self.budget is not None:
            cost = np.broadcast_to(self.cost, (n, k))
            member = self.channel == np.arange(len(self.budget))[:, None]
            rows.append(coo_array((member[:, None, :] * cost).reshape(len(self.budget), n * k)))
            bounds.append(self.budget)
        return csr_array(vstack(rows)), np.concatenate(bounds)

    @property
    def arguments(self) -> dict[str, np.ndarray | None]:
        """What `assign_offers` is given."""
        return {
            "capacity": self.capacity,
            "channel": self.channel,
            "channel_budget": self.budget,
            "cost": self.cost,
        }


def draw(rng: np.random.Generator, case: int) -> Instance:
    """Draw ties or none, one offer or several, more offers than customers, closed offers, slack limits, budgets."""
    k = 1 if case % 10 == 9 else int(rng.integers(2, 7))
    n = int(rng.integers(1, max(k, 2))) if case % 10 == 8 else int(rng.integers(1, 30))
    value = rng.integers(-2, 5, (n, k)).astype(float) if case % 2 else rng.normal(1, 2, (n, k))
    if case % 4 == 1:
        value[rng.random((n, k)) < 0.3] = -np.inf
    capacity = rng.integers(0, max(2, n // 2), k) if case % 8 else None
    if case % 8 == 7:
        capacity = np.full(k, n)
    if case % 5:
        return Instance(value, capacity, None, None, None)
    channel = rng.integers(0, 2, k)
    shape = (n, k) if case % 15 == 0 else k
    cost = rng.integers(1, 4, shape).astype(float) if case % 2 else rng.uniform(0.5, 3, shape)
    return Instance(value, capacity, channel, rng.uniform(0, n, 2), cost)


def optima(instances: list[Instance]) -> list[float]:
    """Solve instances side by side in one programme."""
    blocks, bounds = zip(*(instance.limits for instance in instances), strict=True)
    value = np.concatenate([instance.value.ravel() for instance in instances])
    possible = np.isfinite(value)
    answer = milp(
        -np.where(possible, value, 0.0),
        constraints=LinearConstraint(block_diag(blocks, format="csc"), ub=np.concatenate(bounds)),
        integrality=np.ones(len(value)),
        bounds=Bounds(0, possible.astype(float)),
        options={"mip_rel_gap": 0.0},
    )
    ends = np.cumsum([instance.value.size for instance in instances])[:-1]
    return [float(part.sum()) for part in np.split(np.where(possible, value, 0.0) * np.round(answer.x), ends)]


def used(instance: Instance, offer: np.ndarray) -> np.ndarray:
    """Return what an assignment uses of each limit."""
    taken = offer[:, None] == np.arange(instance.value.shape[1])
    return instance.limits[0] @ taken.ravel().astype(float)


def assigned_value(instance: Instance, offer: np.ndarray) -> float:
    """Return what an assignment is worth."""
    contacted = np.flatnonzero(offer >= 0)
    return float(instance.value[contacted, offer[contacted]].sum())


@pytest.mark.parametrize("batch", range(2_000 // BATCH))
def test_as_mixed_integer_programming_has_it(batch: int) -> None:
    rng = np.random.default_rng(batch)
    instances = [draw(rng, case) for case in range(BATCH)]
    for instance, optimum in zip(instances, optima(instances), strict=True):
        result = assign_offers(instance.value, **instance.arguments)
        assert (used(instance, result.offer) <= instance.limits[1] + 1e-9).all()
        assert assigned_value(instance, result.offer) == pytest.approx(result.value, abs=1e-9)
        assert result.value <= optimum + 1e-6 <= result.upper_bound + 2e-6
        assert result.status == ("optimal" if result.gap <= 1e-9 else "gap")
        if instance.budget is None:
            assert result.status == "optimal"
        if result.status == "optimal":
            assert result.value == pytest.approx(optimum, abs=1e-6)
