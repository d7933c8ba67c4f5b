"""Tables larger than memory are scored in pieces, and nothing but the memory differs."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from marketnn import registry
from marketnn.errors import InputError
from marketnn.pipeline import Parts, churn, predict
from marketnn.tracking import Run

TELCO = {"name": "packaged", "missing": "drop"}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = Run(tmp_path_factory.mktemp("churn") / "run", title="churn", n_stages=churn.N_STAGES)
    parts = Parts(data=TELCO, cluster={"name": "kmeans", "n_init": 3}, device="cpu")
    churn.run(churn.Config(candidates=(3,)), parts, run)
    run.finish()
    return run.folder


@pytest.fixture(scope="module")
def customers() -> pd.DataFrame:
    frame = registry.build("data", TELCO).frame.dropna().reset_index(drop=True)
    return frame.assign(account=[f"=C{row}" for row in range(len(frame))])


def score(model: Path, path: Path, memory_mb: float | None, **data: object) -> Run:
    folder = path.parent / f"{path.stem}_{memory_mb}"
    run = Run(folder, title="predict", n_stages=predict.N_STAGES)
    settings = {"name": "parquet", "path": str(path), "id": ["account"], "missing": "drop", **data}
    predict.run(predict.Config(memory_mb=memory_mb), Parts(data=settings, model=str(model)), run)
    run.finish()
    return run


def predictions(run: Run) -> pd.DataFrame:
    return pd.read_csv(run.folder / "tables" / "predictions.csv")


def metrics(run: Run) -> dict[str, float]:
    return json.loads((run.folder / "metrics.json").read_text())


def test_pieces_say_what_the_whole_says(model: Path, customers: pd.DataFrame, tmp_path: Path) -> None:
    customers = customers.copy()
    customers.loc[customers.index[[3, 5_000]], "tenure"] = np.nan
    customers.loc[customers.index[4_000:4_010], "contract"] = "by the day"
    path = tmp_path / "new.parquet"
    customers.to_parquet(path)
    whole, pieces = score(model, path, None), score(model, path, 20)
    one, other = predictions(whole), predictions(pieces)
    assert len(other) == len(customers) - 2
    assert other["row"].tolist() == [row for row in range(1, len(customers) + 1) if row not in (4, 5_001)]
    assert other["account"].tolist() == [f"'=C{row - 1}" for row in other["row"]]
    pd.testing.assert_frame_equal(one, other, rtol=1e-12)
    assert whole.headlines == pieces.headlines
    assert any("10 rows with a value of 'contract' that no training row has" in line for line in pieces.headlines)
    assert any("2 rows with a missing value left out" in line for line in pieces.headlines)
    assert metrics(whole) == pytest.approx(metrics(pieces), rel=1e-12)
    for table in ("portraits",):
        files = [run.folder / "tables" / f"{table}.csv" for run in (whole, pieces)]
        pd.testing.assert_frame_equal(*(pd.read_csv(file) for file in files), rtol=1e-12)


def test_the_memory_is_kept(model: Path, customers: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "large.parquet"
    pd.concat([customers] * 3).reset_index(drop=True).to_parquet(path)
    peaks = {}
    for memory_mb in (None, 8):
        tracemalloc.start()
        score(model, path, memory_mb)
        peaks[memory_mb] = tracemalloc.get_traced_memory()[1] / 2**20
        tracemalloc.stop()
    scored = 3 * len(customers) * 40 / 2**20  # what is kept of all rows for the measures
    assert peaks[None] > 25
    assert peaks[8] < 8 + scored


def test_errors_name_the_piece(model: Path, customers: pd.DataFrame, tmp_path: Path) -> None:
    customers = customers.copy()
    customers.loc[customers.index[[6_000]], "tenure"] = np.nan
    path = tmp_path / "new.parquet"
    customers.to_parquet(path)
    with pytest.raises(
        InputError, match=r"new\.parquet, within rows 5,949 to 7,032: column 'tenure' is missing in row 53;"
    ):
        score(model, path, 20, missing="error")
    with pytest.raises(InputError, match=r"new\.parquet: 0\.5 MB do not hold 100 rows; give \d+ MB or more\."):
        score(model, path, 0.5)
    customers["tenure"] = np.nan
    customers.to_parquet(path)
    with pytest.raises(InputError, match=r"new\.parquet: every row has a missing value; data\.missing=median"):
        score(model, path, 20)
    file = tmp_path / "new.csv"
    customers.to_csv(file, index=False)
    with pytest.raises(InputError, match=r"data=csv is read as a whole; store the table as Parquet"):
        score(model, file, 20, name="csv", missing="median")
