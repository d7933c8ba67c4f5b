"""How often each engine makes the host wait for the device, and copies to it: a GPU's price per step, counted without one.

``pytest -s tests/test_host_waits.py`` prints the table.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from pretend_device import PretendDevice

from marketnn.allocation.assignment import prices
from marketnn.allocation.assignment.customers import Block
from marketnn.allocation.assignment.limits import Limits
from marketnn.cluster.lloyd import lloyd
from marketnn.cluster.rows import HeldRows
from marketnn.network import BPNetwork
from marketnn.optim import LevenbergMarquardt
from marketnn.seed import torch_generator


@dataclass(frozen=True)
class Price:
    """What some steps cost: steps (trials, rounds, evaluations of prices), waits of the host, copies to the device."""

    steps: int
    waits: int
    uploads: int


def price(work: Callable[[], int]) -> Price:
    """Count over work that returns its steps."""
    with PretendDevice() as there:
        steps = work()
    return Price(steps, there.waits.total(), there.uploads)


def show(engine: str, found: Price) -> None:
    sys.stdout.write(f"{engine}: {found.steps} steps, {found.waits} waits, {found.uploads} copies to the device\n")


@pytest.mark.parametrize("solver", ["packed", "jacobian", "gram", "autodiff"])
@pytest.mark.parametrize("members", [None, 3])
def test_a_step_of_lm_waits_once_per_trial(solver: str, members: int | None) -> None:
    x = torch.rand(200, 4, dtype=torch.float64, generator=torch_generator(0))
    y = (3 * x[:, :1] * x[:, 1:2]).sin()
    with PretendDevice():
        network = BPNetwork([4, 8, 1], hidden="tanh", output="identity", seed=1, members=members, device="pretend")
        optimizer, x, y = LevenbergMarquardt(network, solver=solver), x.to("pretend"), y.to("pretend")
        optimizer.step(x, y)  # checks the data, finds the first damping

    def ten_steps() -> int:
        # A round of trials is one of all members that still try.
        return sum(int(optimizer.step(x, y).tries.max()) for _ in range(10))

    found = price(ten_steps)
    show(f"LM {solver}{'' if members is None else f', {members} members'}", found)
    assert found.waits == found.steps
    assert found.uploads <= (1 if members is None else 3) * found.steps


@pytest.mark.parametrize("n_starts", [1, 4])
def test_lloyd_waits_once_in_four_rounds(n_starts: int) -> None:
    X = torch.rand(3_000, 3, dtype=torch.float64, generator=torch_generator(0))
    with PretendDevice():
        rows = HeldRows(X.to("pretend"))
        start = X[: 6 * n_starts].reshape(n_starts, 6, 3).to("pretend")
    found = price(lambda: max(lloyd(rows, start, max_rounds=20, tolerance=0.0).n_rounds))
    show(f"Lloyd, {n_starts} starts", found)
    assert (found.steps, found.waits) == (20, 5)
    assert found.uploads < n_starts  # once whenever starts that rest leave the batch


def test_prices_of_offers_wait_once_per_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    with PretendDevice():
        value = torch.rand(5, 2_000, dtype=torch.float64, generator=torch_generator(0)).to("pretend")
    limits = Limits.of(2_000, np.array([150.0, 200.0, 250.0, 300.0, 350.0]), np.zeros(5))
    evaluated = []

    def counted(*arguments: object) -> object:
        evaluated.append(arguments)
        return smoothed_dual(*arguments)

    smoothed_dual = prices.smoothed_dual
    monkeypatch.setattr(prices, "smoothed_dual", counted)

    def find() -> int:
        prices.lower_dual(Block(value), limits, np.zeros(5), [0.1, 0.01], max_steps=8)
        return len(evaluated)

    found = price(find)
    show("Prices of offers", found)
    assert found.steps > 4
    assert found == Price(found.steps, found.steps, found.steps)
