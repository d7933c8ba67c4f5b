"""Geometric adstock: the recursion itself, carry-over from before, batches, and rates that are none."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pretend_device import PretendDevice

from marketnn.allocation import GeometricAdstock
from marketnn.errors import InputError
from marketnn.seed import torch_generator


def recursion(spend: list[float], rate: float, before: float) -> list[float]:
    adstock, last = [], before
    for amount in spend:
        last = amount + rate * last
        adstock.append(last)
    return adstock


@settings(deadline=None, max_examples=100)
@given(
    spend=st.lists(st.floats(0, 1e6), min_size=1, max_size=70),
    rate=st.floats(0, 0.999),
    before=st.floats(0, 1e6),
)
def test_equals_the_recursion(spend: list[float], rate: float, before: float) -> None:
    found = GeometricAdstock(rate)(torch.tensor(spend, dtype=torch.float64), torch.tensor(before, dtype=torch.float64))
    assert found.tolist() == pytest.approx(recursion(spend, rate, before), rel=1e-12, abs=1e-300)


def test_series_side_by_side_each_with_its_rate(device: torch.device) -> None:
    spend = torch.rand(4, 3, 53, generator=torch_generator(0), dtype=torch.float64)
    before = torch.tensor([1.0, 0.0, 2.0], dtype=torch.float64)
    rates = [0.0, 0.5, 0.9]
    with PretendDevice(host_sync="error"):
        found = GeometricAdstock(rates).to(device)(spend.to(device), before.to(device))
    expected = [[recursion(spend[b, k].tolist(), rates[k], before[k].item()) for k in range(3)] for b in range(4)]
    torch.testing.assert_close(found.cpu(), torch.tensor(expected, dtype=torch.float64), rtol=1e-13, atol=0)


def test_one_series_at_many_rates() -> None:
    spend = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    assert GeometricAdstock([0.5, 0.1])(spend).tolist() == [[1, 0.5, 0.25], [1, 0.1, pytest.approx(0.01)]]
    before = torch.tensor(1.0, dtype=torch.float64)
    assert GeometricAdstock([0.5, 0.1])(spend, before)[:, 0].tolist() == [1.5, 1.1]


def test_a_steady_spend_settles_and_gradients_are_the_effects() -> None:
    spend = torch.ones(200, dtype=torch.float64, requires_grad=True)
    adstock = GeometricAdstock(0.8)(spend)
    assert adstock[-1].item() == pytest.approx(5, rel=1e-15)
    adstock[10].backward()
    assert spend.grad is not None
    assert spend.grad[:12].tolist() == pytest.approx([0.8 ** (10 - t) for t in range(11)] + [0])


@pytest.mark.parametrize("rate", [1.0, -0.1, float("nan"), [0.5, 1.5]])
def test_a_rate_outside_is_refused(rate: object) -> None:
    with pytest.raises(InputError, match=r"adstock rate=.* is not possible.*\[0, 1\)"):
        GeometricAdstock(rate)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="adstock rate='slow' is not a number"):
        GeometricAdstock("slow")  # type: ignore[arg-type]


def test_the_rate_is_shown() -> None:
    assert repr(GeometricAdstock(0.25)) == "GeometricAdstock(rate=0.25)"
