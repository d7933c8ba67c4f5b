"""Whole pipelines on the pretend accelerator: every number is the CPU's, and nothing meets a tensor of the other device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pretend_device import PretendDevice

from marketnn import registry
from marketnn.data import Raw, Table, TableOptions, assemble
from marketnn.data.offer_history import draw_offers
from marketnn.pipeline import Parts, allocate, churn, enterprise, omnichannel, recommend, scorecard, segment

Analysis = Callable[[str], Any]
CLOCK = "seconds"
TELCO = {"name": "packaged", "missing": "drop"}


def numbers(n: int = 160) -> pd.DataFrame:
    """Three kinds of customers, a value and a score that the columns make."""
    rng = np.random.default_rng(0)
    kind = rng.integers(3, size=n)
    visits, basket = (centre[kind] + rng.normal(size=n) for centre in np.array([[2.0, 20.0, 50.0], [9.0, 90.0, 40.0]]))
    luck = rng.uniform(size=n)
    frame = pd.DataFrame({"visits": visits, "basket": basket, "luck": luck})
    return frame.assign(score=frame["visits"] + np.sqrt(frame["basket"].abs()) * luck).round(4)


def table(frame: pd.DataFrame, **options: Any) -> Table:
    return assemble(Raw(frame, TableOptions(**options), "customers.csv"))


def telco(n: int) -> Table:
    found = registry.build("data", TELCO).ready()
    return replace(found, frame=found.frame.iloc[:n])


def run_scorecard(device: str) -> Any:
    config = scorecard.Config(members=2, max_epochs=8, max_fail=8)
    parts = Parts(data=TELCO, network={"name": "bp", "hidden_sizes": [4]}, device=device)
    return scorecard.analyse(table(numbers(), target="score"), config, parts)


def run_segment(device: str) -> Any:
    config = segment.Config(value="score", candidates=(2, 3), compare=("ck", "clara", "kmedoids", "hierarchical"))
    return segment.analyse(table(numbers()), config, Parts(data=TELCO, device=device))


def run_churn(device: str) -> Any:
    parts = Parts(data=TELCO, cluster={"name": "kmeans", "n_init": 4}, device=device)
    return churn.analyse(telco(400), churn.Config(candidates=(2, 3)), parts)


def run_recommend(device: str) -> Any:
    config = recommend.Config(compare=("logistic",), n_resamples=20, offer="offer", randomised=True)
    parts = Parts(data=TELCO, classifier={"name": "lmbp", "networks": 2, "max_epochs": 8}, device=device)
    return recommend.analyse(draw_offers(telco(500), seed=1).table, config, parts)


def run_allocate(device: str) -> Any:
    frame = pd.DataFrame(np.random.default_rng(0).beta(2, 4, (300, 3)), columns=["bundle", "upgrade", "device"])
    config = allocate.Config(value=tuple(frame), capacity={"device": 40.0, "bundle": 60.0})
    return allocate.analyse(table(frame), config, Parts(data=TELCO, device=device))


def run_omnichannel(device: str) -> Any:
    data = {"name": "omnichannel", "n": 400, "target": "orders_again"}
    parts = Parts(data=data, scaler={"name": "standard"}, cluster={"name": "kmeans", "n_init": 2}, device=device)
    return omnichannel.analyse(parts.table(), omnichannel.Config(candidates=(2, 3), case=False), parts)


def run_enterprise(device: str) -> Any:
    quick = {"name": "recommend", "compare": ["logistic"], "n_resamples": 20}
    classifier = {"name": "lmbp", "networks": 2, "max_epochs": 8}
    parts = Parts(data=TELCO, classifier=classifier, device=device)
    return enterprise.analyse(telco(500), enterprise.Config(recommend=quick, scorecard_restarts=1), parts)


PIPELINES: list[Analysis] = [
    run_scorecard,
    run_segment,
    run_churn,
    run_recommend,
    run_allocate,
    run_omnichannel,
    run_enterprise,
]


def assert_same(here: Any, there: Any, where: str = "") -> None:
    """Compare what two analyses hold, down to their numbers."""
    if is_dataclass(here) and not isinstance(here, type):
        for field in fields(here):
            if field.name != CLOCK:
                assert_same(getattr(here, field.name), getattr(there, field.name), f"{where}.{field.name}")
    elif isinstance(here, pd.DataFrame | pd.Series):
        compare = pd.testing.assert_frame_equal if isinstance(here, pd.DataFrame) else pd.testing.assert_series_equal
        compare(here, there, rtol=1e-9, atol=1e-12)
    elif isinstance(here, torch.Tensor):
        torch.testing.assert_close(there.cpu(), here.cpu(), rtol=1e-9, atol=1e-12, equal_nan=True)
    elif isinstance(here, np.ndarray) and here.dtype.kind in "fiu":
        np.testing.assert_allclose(there, here, rtol=1e-9, atol=1e-10, err_msg=where)
    elif isinstance(here, float | int):
        assert there == pytest.approx(here, rel=1e-9, abs=1e-12, nan_ok=True), where
    elif isinstance(here, dict):
        assert here.keys() == there.keys()
        for key in here.keys() - {CLOCK}:
            assert_same(here[key], there[key], f"{where}[{key}]")
    elif isinstance(here, list | tuple):
        for place, (one, other) in enumerate(zip(here, there, strict=True)):
            assert_same(one, other, f"{where}[{place}]")


@pytest.mark.parametrize("analyse", PIPELINES, ids=lambda analyse: analyse.__name__.removeprefix("run_"))
def test_a_whole_pipeline_runs_on_another_device_with_the_cpus_numbers(analyse: Analysis) -> None:
    with PretendDevice() as there:
        found = analyse("pretend")
    assert there.uploads > 0
    assert_same(analyse("cpu"), found)
