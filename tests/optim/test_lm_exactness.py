"""Losses are compared exactly, in whatever precision: no accepted step raises the loss, not even by rounding."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from marketnn.network import BPNetwork
from marketnn.optim import LevenbergMarquardt
from marketnn.optim.paths.dense_paths import PackedPath
from marketnn.optim.problem import flat_parameters, load_parameters

PATHS = ("packed", "jacobian", "gram", "autodiff", "autodiff_gram")


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def noisy(n: int = 60, seed: int = 0) -> tuple[Tensor, Tensor]:
    x = draw(n, 2, seed=seed)
    return x, 0.5 + 0.3 * torch.sin(5 * x[:, :1]) * x[:, 1:] + 0.2 * (draw(n, 1, seed=seed + 1) - 0.5)


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("members", [None, 4])
def test_the_loss_never_rises_in_single_precision(name, members):
    """Where float32 runs out of digits, the comparison of two roundings of one sum must not pass for a decrease."""
    for seed in range(4):
        x, y = (part.float() for part in noisy(60, seed))
        network = BPNetwork([2, 6, 1], members=members, seed=seed, dtype=torch.float32)
        optimizer = LevenbergMarquardt(network, solver=name)
        last = math.inf
        for _ in range(25):
            before = flat_parameters(network)
            report = optimizer.step(x, y)
            moved = (flat_parameters(network) != before).any(-1)
            assert (report.loss <= last).all()
            assert (moved <= report.accepted).all()
            assert torch.equal(report.new_loss < report.loss, report.accepted)
            last = report.new_loss


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_first_loss_is_computed_as_trials_compute_theirs(dtype, monkeypatch):
    """Were the linearisation's sum of squares larger, a step to a higher loss could pass for a success."""
    kept = PackedPath.linearise

    def generous(self: Any, problem: Any, w: Tensor) -> Any:
        found = kept(self, problem, w)
        found.sse.mul_(1 + 4 * torch.finfo(dtype).eps)
        return found

    monkeypatch.setattr(PackedPath, "linearise", generous)
    x, y = (part.to(dtype) for part in noisy())
    network = BPNetwork([2, 6, 1], seed=1, dtype=dtype)
    optimizer = LevenbergMarquardt(network, solver="packed")
    last = (y - network(x).detach()).square().sum() / len(y)
    for _ in range(60):
        report = optimizer.step(x, y)
        assert float(report.loss) == pytest.approx(float(last), rel=2e-6 if dtype == torch.float32 else 1e-14)
        assert torch.equal(report.new_loss < report.loss, report.accepted)
        last = report.new_loss
        assert report.loss >= last


def test_parameters_or_data_that_change_between_steps_are_seen():
    x, y = noisy()
    network = BPNetwork([2, 6, 1], seed=1)
    optimizer = LevenbergMarquardt(network)

    def mse() -> float:
        return float((y - network(x).detach()).square().mean())

    for change in (
        lambda: load_parameters(network, flat_parameters(network) + 0.1),
        lambda: network.layers[0].weight.data.mul_(1.5),  # autograd does not count this one
        lambda: y.mul_(0.9),
    ):
        optimizer.step(x, y)
        change()
        expected = mse()
        assert float(optimizer.step(x, y).loss) == pytest.approx(expected, rel=1e-12)
