"""(max,+) convolution: against brute force and a loop in NumPy, on every device."""

from __future__ import annotations

import itertools
import math
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from marketnn.allocation.max_plus import allocate_levels, convolve


def brute_force(reward_kl: np.ndarray, spend_all: bool) -> float:
    n_channels, n_levels = reward_kl.shape
    return max(
        sum(reward_kl[k, units] for k, units in enumerate(division))
        for division in itertools.product(range(n_levels), repeat=n_channels)
        if sum(division) == n_levels - 1 or (not spend_all and sum(division) < n_levels)
    )


def loop(reward_kl: np.ndarray) -> np.ndarray:
    value_l = reward_kl[0]
    for channel_l in reward_kl[1:]:
        value_l = np.array([(channel_l[: t + 1] + value_l[t::-1]).max() for t in range(len(value_l))])
    return value_l


@pytest.mark.parametrize("spend_all", [True, False])
def test_equals_brute_force_on_a_hundred_tables(spend_all: bool) -> None:
    generator = np.random.default_rng(7)
    for _ in range(100):
        reward_kl = generator.normal(size=(generator.integers(1, 5), generator.integers(2, 7)))
        best = brute_force(reward_kl, spend_all)
        value_b, units_bk = allocate_levels(torch.tensor(reward_kl)[None], spend_all=spend_all)
        units_k = units_bk[0].numpy()
        assert float(value_b) == pytest.approx(best, abs=1e-12)
        assert reward_kl[np.arange(len(units_k)), units_k].sum() == pytest.approx(best, abs=1e-12)
        assert units_k.sum() == reward_kl.shape[1] - 1 or (not spend_all and units_k.sum() < reward_kl.shape[1])


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 9), st.integers(1, 40), st.integers(1, 4))
def test_side_by_side_equals_a_loop(seed: int, n_channels: int, n_levels: int, n_problems: int) -> None:
    reward_bkl = np.random.default_rng(seed).normal(size=(n_problems, n_channels, n_levels))
    value_b, units_bk = allocate_levels(torch.tensor(reward_bkl))
    assert value_b.numpy() == pytest.approx([loop(reward_kl).max() for reward_kl in reward_bkl], abs=1e-12)
    reached_bk = np.take_along_axis(reward_bkl, units_bk.numpy()[:, :, None], axis=2)
    assert reached_bk.sum((1, 2)) == pytest.approx(value_b.numpy(), abs=1e-12)


def test_convolution_of_two_tables() -> None:
    first, second = torch.tensor([[0.0], [2.0], [3.0]]), torch.tensor([[0.0], [1.0], [5.0]])
    assert convolve(first, second)[:, 0].tolist() == [0, 2, 5]


def test_forbidden_levels_are_not_chosen() -> None:
    reward_kl = torch.tensor([[0.0, 9.0, -math.inf], [-math.inf, 1.0, 2.0]])
    value_b, units_bk = allocate_levels(reward_kl[None])
    assert (float(value_b), units_bk.tolist()) == (10.0, [[1, 1]])
    nothing_b, _ = allocate_levels(torch.full((1, 2, 3), -math.inf))
    assert float(nothing_b) == -math.inf


def test_devices_agree(device: torch.device) -> None:
    reward_bkl = torch.tensor(np.random.default_rng(3).normal(size=(3, 5, 20)))
    value_b, units_bk = allocate_levels(reward_bkl)
    found_b, found_bk = allocate_levels(reward_bkl.to(device))
    assert torch.equal(found_b.cpu(), value_b)
    assert torch.equal(found_bk.cpu(), units_bk)


def test_256_scenarios_are_many_times_faster_than_a_loop() -> None:
    reward_bkl = np.random.default_rng(1).uniform(size=(256, 10, 201)).cumsum(2).astype(np.float32)
    ratios = []
    for _ in range(3):
        begin = time.perf_counter()
        looped = [loop(reward_kl)[-1] for reward_kl in reward_bkl[:32]]
        middle = time.perf_counter()
        value_b, _ = allocate_levels(torch.tensor(reward_bkl))
        ratios.append((middle - begin) * 8 / (time.perf_counter() - middle))
        assert value_b[:32].numpy() == pytest.approx(looped, rel=1e-6)
    assert max(ratios) > 8  # 25 to 30 on a quiet machine
