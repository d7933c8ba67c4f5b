"""Customers read anew in every pass get what customers in memory get."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from marketnn.allocation.assignment.customers import HeldCustomers
from marketnn.allocation.assignment.engine import solve
from marketnn.allocation.assignment.limits import Limits
from marketnn.allocation.assignment.streamed import StreamedCustomers
from marketnn.errors import InputError


class Table:
    """A table in memory that is handed out in uneven blocks."""

    def __init__(self, value_nk: np.ndarray) -> None:
        self.columns = tuple(f"offer {j}" for j in range(value_nk.shape[1]))
        self.dtype, self.n_rows = value_nk.dtype, len(value_nk)
        self._value_nk = value_nk

    def blocks(self, *, finite: bool = False) -> Iterator[np.ndarray]:
        assert not finite
        for part in np.split(self._value_nk, [0, 1, 1_000, self.n_rows // 2]):
            yield np.array(part.T, order="C")


def _values(n: int, dtype: type) -> np.ndarray:
    return np.random.default_rng(3).normal(1, 2, (n, 5)).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [3_000, 50_000])
def test_streamed_customers_get_what_held_ones_get(n: int, dtype: type) -> None:
    value = _values(n, dtype)
    limits = Limits.of(n, np.array([n // 20, n // 4, n // 10, 0, n]), np.array([0, 0, 0, 0, n // 5]))
    held = solve(HeldCustomers(torch.as_tensor(value)), limits)
    streamed = solve(StreamedCustomers(Table(value), torch.device("cpu")), limits)
    assert held is not None
    assert streamed is not None
    assert streamed.gap <= 1e-9
    assert streamed.value == pytest.approx(held.value, rel=1e-12)
    assert (np.bincount(streamed.offer_n.numpy() + 1, minlength=6)[1:] <= [n // 20, n // 4, n // 10, 0, n]).all()


def test_asked_for_customers_come_in_the_order_asked_for() -> None:
    value = _values(3_000, np.float32)
    customers = StreamedCustomers(Table(value), torch.device("cpu"))
    index = torch.tensor([2_999, 0, 5, 1_500, 5, 1_000, 999])
    assert torch.equal(customers.take(index).value_kb, torch.as_tensor(value)[index].T)
    sample = customers.sample(100, seed=0)
    assert torch.equal(sample.value_kb, HeldCustomers(torch.as_tensor(value)).sample(100, seed=0).value_kb)


def test_the_check_counts_customers_without_offer_and_names_bad_values() -> None:
    value = _values(3_000, np.float64)
    value[[4, 2_000]] = -np.inf
    assert StreamedCustomers(Table(value), torch.device("cpu")).check() == 2
    value[1_234, 2] = np.nan
    with pytest.raises(InputError, match="offer 'offer 2' is NaN or infinite in row 1235"):
        StreamedCustomers(Table(value), torch.device("cpu")).check()
