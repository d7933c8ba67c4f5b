"""More customers than the sample: every family of values ends at a proven optimum, on every device."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from pretend_device import PretendDevice

from marketnn.allocation import assign_offers
from marketnn.allocation.assignment.customers import Block, HeldCustomers
from marketnn.allocation.assignment.reduced import best_choice, dual_sum, smoothed_dual, uses, wanted_uses

N, K = 50_000, 5
CAPACITY = np.array([N // 20, N // 4, N // 10, 0, N])
Draw = Callable[[np.random.Generator], np.ndarray]
FAMILIES: dict[str, Draw] = {
    "normal": lambda rng: rng.normal(1, 2, (N, K)),
    "float32": lambda rng: rng.normal(1, 2, (N, K)).astype(np.float32),
    "heavy tail": lambda rng: rng.pareto(1.2, (N, K)),
    "far from zero": lambda rng: rng.normal(1_000, 0.5, (N, K)),
    "beyond float32": lambda rng: rng.normal(1e6, 0.5, (N, K)).astype(np.float32),
    "all equal": lambda rng: np.full((N, K), 5.0),
    "tiers": lambda rng: rng.integers(0, 4, (N, K)).astype(float),
    "cents": lambda rng: np.round(rng.lognormal(0, 1, (N, K)), 2),
    "one sum for all offers": lambda rng: rng.normal(0, 1, (N, 1)) + np.arange(K) / 10,
    "one factor for all offers": lambda rng: rng.lognormal(0, 1, (N, 1)) * (1 + np.arange(K) / 10),
    "all negative": lambda rng: -rng.exponential(1, (N, K)),
    "mostly impossible": lambda rng: np.where(rng.random((N, K)) < 0.7, -np.inf, rng.normal(1, 2, (N, K))),
}


def certified(value: np.ndarray, offer: np.ndarray, price: np.ndarray, capacity: np.ndarray) -> tuple[float, float]:
    """Return an assignment's value and the dual bound at its prices, computed anew; closed offers left out."""
    contacted = np.flatnonzero(offer >= 0)
    open_k = capacity > 0
    reduced = value.astype(float)[:, open_k] - price[open_k]
    bound = reduced.max(1).clip(0).sum() + capacity[open_k] @ price[open_k]
    return float(value[contacted, offer[contacted]].astype(float).sum()), float(bound)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_ends_at_a_proven_optimum(family: str) -> None:
    value = FAMILIES[family](np.random.default_rng(0))
    result = assign_offers(value, capacity=CAPACITY)
    counts = np.bincount(result.offer + 1, minlength=K + 1)[1:]
    ours, bound = certified(value, result.offer, result.shadow_price, CAPACITY)
    assert (counts <= CAPACITY).all()
    assert result.value == pytest.approx(ours, rel=1e-12)
    assert result.status == "optimal"
    assert bound - ours <= 1e-9 * abs(bound)


@pytest.mark.parametrize("total", [0.5, 1.0, 1.5])
def test_capacities_that_sum_to_a_share_of_all_customers(total: float) -> None:
    value = np.random.default_rng(1).normal(10, 1, (N, K))
    capacity = np.full(K, int(total * N / K))
    result = assign_offers(value, capacity=capacity)
    assert result.status == "optimal"
    assert (result.offer >= 0).sum() == min(N, K * capacity[0])


def test_budgets_are_kept_and_the_gap_is_small() -> None:
    rng = np.random.default_rng(2)
    value, cost = rng.normal(1, 2, (N, K)), rng.uniform(0.5, 3, (N, K))
    result = assign_offers(value, channel=[0, 1, 0, 1, 0], channel_budget=[N / 20, N / 10], cost=cost, max_nodes=10)
    contacted = np.flatnonzero(result.offer >= 0)
    spent = np.bincount(result.offer[contacted] % 2, cost[contacted, result.offer[contacted]])
    assert (spent <= [N / 20 + 1e-6, N / 10 + 1e-6]).all()
    assert 0 <= result.gap < 1e-5


def test_every_device_gives_the_processors_answer(device: torch.device) -> None:
    rng = np.random.default_rng(3)
    value = torch.as_tensor(rng.normal(1, 2, (40_000, K)).astype(np.float32))
    capacity = [2_000, 10_000, 4_000, 0, 40_000]
    on_host, on_device = (assign_offers(values, capacity=capacity) for values in (value, value.to(device)))
    assert on_device.status == "optimal"
    assert on_device.value == pytest.approx(on_host.value, rel=1e-12)
    if device.type == "pretend":
        assert np.array_equal(on_device.offer, on_host.offer)


def test_the_passes_never_wait_for_the_device(device: torch.device) -> None:
    rng = np.random.default_rng(4)
    block_host = Block(*(torch.as_tensor(rng.normal(1, 2, (K, 300))) for _ in range(2)))
    price_host = torch.as_tensor(rng.uniform(0, 1, 2 * K))
    block, price_u = block_host.each(lambda tensor: tensor.to(device)), price_host.to(device)
    with PretendDevice(host_sync="error") if device.type == "pretend" else nullcontext():
        choice = best_choice(block, price_u)
        numbers = [dual_sum(block, price_u), uses(block, choice.offer_b), wanted_uses(block, price_u)]
        smoothed = smoothed_dual(block, price_u, 1e-4)
    reduced = block_host.value_kb - price_host[:K, None] - price_host[K:, None] * block_host.cost_kb
    assert float(numbers[0].cpu()) == pytest.approx(float(reduced.amax(0).clamp(min=0).sum()))
    assert torch.allclose(numbers[1].cpu(), numbers[2].cpu(), rtol=1e-13)
    assert float(smoothed.value.cpu()) == pytest.approx(float(numbers[0].cpu()), rel=1e-4)


def test_the_smoothed_dual_has_the_gradient_and_hessian_it_says() -> None:
    rng = np.random.default_rng(5)
    block = Block(
        *(torch.as_tensor(rng.normal(1, 2, (K, 40))) for _ in range(2)), torch.as_tensor(rng.uniform(1, 3, 40))
    )
    price_u = torch.as_tensor(rng.uniform(0, 1, 2 * K))
    value, use_u, curvature_uu = smoothed_dual(block, price_u, 0.5)

    def dual(price: torch.Tensor) -> torch.Tensor:
        reduced = block.value_kb - price[:K, None] - price[K:, None] * block.cost_kb
        total = torch.logsumexp(torch.cat([reduced, torch.zeros(1, 40, dtype=torch.float64)]) / 0.5, 0)
        return 0.5 * (total * block.weight_b).sum()

    assert float(value) == pytest.approx(float(dual(price_u)), rel=1e-9)
    assert torch.allclose(-use_u, torch.autograd.functional.jacobian(dual, price_u), atol=1e-8)
    assert torch.allclose(curvature_uu, torch.autograd.functional.hessian(dual, price_u), atol=1e-7)


def test_blocks_cover_all_customers_once() -> None:
    value = torch.randn(40_000, 3, generator=torch.Generator().manual_seed(0))
    customers = HeldCustomers(value)
    blocks = list(customers.blocks())
    assert torch.equal(torch.cat([block.value_kb for _, block in blocks], dim=1), value.T)
    assert [start for start, _ in blocks] == np.cumsum(
        [0, *(block.value_kb.shape[1] for _, block in blocks[:-1])]
    ).tolist()
