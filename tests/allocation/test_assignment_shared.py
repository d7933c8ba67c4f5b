"""Customers in several processes, or in a file, get what the same customers in one array get."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torchrun import torchrun

from marketnn.allocation import assign_offers
from marketnn.data import ParquetNumbers
from marketnn.errors import InputError

WORKER = Path(__file__).with_name("assignment_worker.py")
CASES = ("free", "small", "large", "tiers", "budget")


@pytest.fixture(scope="module")
def worker() -> ModuleType:
    specification = importlib.util.spec_from_file_location("assignment_worker", WORKER)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("assigned")
    done = torchrun(WORKER, str(folder), *CASES)
    assert done.returncode == 0, done.stderr[-3_000:]
    return folder


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch without torch.distributed")
@pytest.mark.parametrize("case", CASES)
def test_two_processes_assign_what_one_does(case: str, together: Path, worker: ModuleType) -> None:
    first, second = (np.load(together / f"{case}-{rank}.npz") for rank in (0, 1))
    alone = worker.assign(case, slice(None))
    for name in ("prices", "sums"):
        np.testing.assert_array_equal(first[name], second[name])
    value, bound, gap, n_without_offer = first["sums"]
    assert value == pytest.approx(alone.value, rel=1e-10)
    assert bound == pytest.approx(alone.upper_bound, rel=1e-10)
    assert gap == pytest.approx(alone.gap, abs=1e-10)
    assert n_without_offer == alone.n_without_offer > 0
    n, limits = worker.CASES[case]
    offer = np.concatenate([first["offer"], second["offer"]])
    assert offer.shape == (n,)
    values = worker.values(n, tiers=case == "tiers")
    chosen = offer >= 0
    assert values[chosen, offer[chosen]].sum(dtype=float) == pytest.approx(value, rel=1e-10)
    if case in ("free", "small"):
        np.testing.assert_array_equal(offer, alone.offer)
    if "capacity" in limits:
        assert (np.bincount(offer[chosen], minlength=worker.OFFERS) <= limits["capacity"]).all()
    if case == "budget":
        spent = worker.costs(n)[chosen, offer[chosen]]
        for channel, offers in (("a", (0, 1)), ("c", (4, 5))):
            assert spent[np.isin(offer[chosen], offers)].sum(dtype=float) <= limits["channel_budget"][channel] + 1e-6


def test_processes_with_other_offers_are_all_told(together: Path) -> None:
    for rank in (0, 1):
        assert "values of 2, 3 offers" in (together / f"message-{rank}.txt").read_text()


@pytest.mark.parametrize(
    "limits", [{}, {"capacity": [2_000, 900, 0]}, {"channel": "xyx", "channel_budget": {"x": 2_500.0}}]
)
def test_a_file_is_assigned_as_its_array_is(limits: dict[str, Any], tmp_path: Path) -> None:
    values = np.random.default_rng(2).normal(1, 2, (70_000, 3)).astype(np.float32)
    values[5] = -np.inf
    path = tmp_path / "values.parquet"
    pd.DataFrame(values, columns=["mail", "call", "visit"]).assign(customer=1.0).to_parquet(path)
    streamed = assign_offers(ParquetNumbers(path, ["mail", "call", "visit"]), **limits)
    held = assign_offers(values, **limits)
    np.testing.assert_array_equal(streamed.shadow_price, held.shadow_price)
    assert streamed.value == pytest.approx(held.value, rel=1e-12)
    assert streamed.upper_bound == pytest.approx(held.upper_bound, rel=1e-12)
    assert streamed.status == held.status == "optimal"
    assert streamed.n_without_offer == held.n_without_offer == 1
    assert streamed.offer.shape == (70_000,)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"fixed_cost": [1.0, 2.0]}, "fixed_cost cannot be used with a stream"),
        ({"minimum": [1, 2]}, "minimum cannot be used with a stream"),
        ({"eligible": [[True, False]]}, "eligible cannot be used with a stream"),
        ({"cost": np.ones((9, 2)), "channel": "ab", "channel_budget": {"a": 2.0}}, "cost differs by customer"),
        ({"capacity": [1.5, 2]}, "capacity is 1.5 at offer 0"),
    ],
)
def test_a_stream_refuses_what_needs_an_array(given: dict[str, Any], message: str, tmp_path: Path) -> None:
    pd.DataFrame(np.ones((9, 2)), columns=["a", "b"]).to_parquet(tmp_path / "v.parquet")
    with pytest.raises(InputError, match=message):
        assign_offers(ParquetNumbers(tmp_path / "v.parquet"), **given)
