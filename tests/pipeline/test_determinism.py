"""The same seed gives the same bytes, for every pipeline, and the deterministic algorithms give them too on a CPU."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from marketnn import cli, registry

ENGINES = {
    "allocate": [
        *["pipeline.value=[bundle,upgrade]", "+pipeline.revenue={bundle: 60, upgrade: 90}"],
        *["+pipeline.cost={bundle: 2, upgrade: 4}", "+pipeline.capacity={upgrade: 40}"],
    ],
    "enterprise": [
        *["data.target=churn", "data.drop=[offer,accepted]", "classifier=logistic", "offers=offers.csv"],
        *[
            "pipeline.recommend.compare=[logistic]",
            "pipeline.recommend.n_resamples=20",
            "pipeline.scorecard_restarts=1",
        ],
    ],
    "inspect": ["data.target=churn"],
    "recommend": [
        *["data.target=accepted", "data.drop=[churn]", "pipeline.offer=offer", "pipeline.n_resamples=50"],
        *["pipeline.compare=[xgboost,lmbp,random_forest,cart,logistic]", "classifier=lmbp"],
    ],
    "scorecard": [
        "data.target=basket",
        "data.drop=[offer,accepted,churn]",
        "pipeline.members=2",
        "pipeline.max_epochs=40",
    ],
    "segment": ["pipeline.n_clusters=3", "cluster=ck", "data.drop=[offer,accepted,churn]"],
}


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 400 customers and what they were offered."""
    folder = tmp_path_factory.mktemp("tables")
    rng = np.random.default_rng(1)
    n = 400
    frame = pd.DataFrame(
        {
            "customer_id": [f"C{place:03}" for place in range(n)],
            "age": rng.integers(20, 70, n),
            "pieces": rng.integers(1, 9, n),
            "basket": rng.gamma(3.0, 20.0, n).round(2),
            "plan": rng.choice(["month", "year"], n),
            "bundle": rng.beta(2, 4, n),
            "upgrade": rng.beta(3, 4, n),
            "offer": rng.choice(["bundle", "upgrade"], n),
        }
    )
    odds = -1.0 + 1.5 * (frame["plan"] == "month") + 0.02 * (frame["age"] - 45)
    frame["churn"] = (rng.random(n) < 1 / (1 + np.exp(-odds))).astype(int)
    frame["accepted"] = (rng.random(n) < 0.2 + 0.4 * (frame["plan"] == "year")).astype(int)
    frame.to_csv(folder / "customers.csv", index=False)
    history = frame[["customer_id", "offer", "accepted"]].assign(
        revenue=frame["offer"].map({"bundle": 60, "upgrade": 90})
    )
    history.to_csv(folder / "offers.csv", index=False)
    return folder


def results(folder: Path) -> dict[str, bytes]:
    files = [folder / "metrics.json", *sorted((folder / "tables").glob("*.csv"))]
    return {file.name: file.read_bytes() for file in files}


@pytest.mark.parametrize("pipeline", ENGINES)
def test_the_same_seed_gives_the_same_bytes(pipeline: str, tables: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tables)
    words = [f"pipeline={pipeline}", "data=csv", "data.path=customers.csv", "device=cpu", "device.threads=1", "seed=3"]
    for name, switch in (("first", "false"), ("second", "true")):
        folder = f"{pipeline}_{name}"
        assert cli.main([*words, *ENGINES[pipeline], f"deterministic={switch}", f"hydra.run.dir={folder}"]) == 0
    found = results(tables / f"{pipeline}_first")
    assert len(found) > 1
    assert results(tables / f"{pipeline}_second") == found
    versions = json.loads((tables / f"{pipeline}_first" / "versions.json").read_text())
    assert versions["threads"] == "1"
    assert "deterministic: true" in (tables / f"{pipeline}_second" / "config.yaml").read_text()
    assert not torch.are_deterministic_algorithms_enabled()


def test_scores_and_differences_too(tables: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tables)
    segment = ["pipeline=segment", "data=csv", "data.path=customers.csv", *ENGINES["segment"], "device=cpu"]
    assert cli.main([*segment, "hydra.run.dir=model"]) == 0
    predict = ["pipeline=predict", "model=model", "data=csv", "data.path=customers.csv"]
    for words, name in ((predict, "predict"), (["pipeline=diff", "runs=[model,model]"], "diff")):
        for folder in (f"{name}_first", f"{name}_second"):
            assert cli.main([*words, f"hydra.run.dir={folder}"]) == 0
        assert results(tables / f"{name}_first") == results(tables / f"{name}_second")
    # the own tests of churn and omnichannel compare the bytes of two of their runs
    assert {*ENGINES, "predict", "diff", "churn", "omnichannel"} == set(registry.names("pipeline"))
