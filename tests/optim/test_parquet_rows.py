"""A fit to rows in a Parquet file is the fit to the same rows in memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from marketnn.errors import InputError
from marketnn.network import BPNetwork
from marketnn.optim import LevenbergMarquardt, ParquetRows, train

N, INPUTS, TARGETS = 70_000, ("age", "visits", "spend"), ("value", "margin")  # more rows than a block


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    generator = np.random.default_rng(3)
    x = generator.normal(size=(N, 3)) * (10, 1, 200) + (40, 3, 1_000)
    scaled = (x - (40, 3, 1_000)) / (10, 1, 200)
    y = np.tanh(scaled @ generator.normal(size=(3, 2))) + 0.1 * generator.normal(size=(N, 2))
    return pd.DataFrame({**dict(zip(INPUTS, x.T, strict=True)), **dict(zip(TARGETS, y.T, strict=True)), "text": "t"})


@pytest.fixture(scope="module")
def path(frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("rows") / "customers.parquet"
    frame.to_parquet(file)
    return file


def in_memory(rows: ParquetRows, frame: pd.DataFrame) -> tuple[torch.Tensor, torch.Tensor]:
    return rows.scaled(torch.tensor(frame[list(INPUTS)].to_numpy())), torch.tensor(frame[list(TARGETS)].to_numpy())


def dense(members: int | None) -> nn.Module:
    return BPNetwork([3, 4, 2], members=members, output="identity", seed=1)


def general(_: int | None) -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(3, 3), nn.Softplus(), nn.Linear(3, 2)).double()


@pytest.mark.parametrize(
    ("build", "members", "way"), [(dense, None, "packed"), (dense, 3, "packed"), (general, None, "autodiff")]
)
def test_training_takes_the_same_course(build, members, way, frame: pd.DataFrame, path: Path) -> None:
    rows = ParquetRows(path, INPUTS, TARGETS, standardise=True)
    streamed, held = build(members), build(members)
    found = train(streamed, rows, max_epochs=4)
    x, y = in_memory(rows, frame)
    expected = train(held, x, y, max_epochs=4, optimizer=lambda module: LevenbergMarquardt(module, solver=way))
    assert found.path == expected.path == way
    np.testing.assert_allclose(found.history["loss"], expected.history["loss"], rtol=1e-9)
    for one, other in zip(streamed.parameters(), held.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-8)
    assert np.all(np.diff(np.array(found.history["loss"]), axis=0) < 0)


def test_inputs_are_standardised_in_one_pass(frame: pd.DataFrame, path: Path) -> None:
    rows = ParquetRows(path, INPUTS, TARGETS, standardise=True)
    x = frame[list(INPUTS)].to_numpy()
    expected = (x - x.mean(0)) / x.std(0)
    np.testing.assert_allclose(rows.scaled(torch.tensor(x)).numpy(), expected, rtol=1e-12, atol=1e-12)
    blocks = list(rows.blocks(torch.empty(0, dtype=torch.float32)))
    assert [len(x) for x, _ in blocks] == [65_536, N - 65_536]
    np.testing.assert_allclose(torch.cat([x for x, _ in blocks]).numpy(), expected, atol=2e-6)


def test_several_files_are_one_table(frame: pd.DataFrame, path: Path, tmp_path: Path) -> None:
    parts = [tmp_path / "one.parquet", tmp_path / "two.parquet"]
    frame[:100].to_parquet(parts[0])
    frame[100:].to_parquet(parts[1])
    losses = []
    for source in (path, parts):
        optimizer = LevenbergMarquardt(dense(None))
        losses.append(optimizer.step(ParquetRows(source, INPUTS, TARGETS, standardise=True)).new_loss.item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-9)


def test_validation_and_checkpoints_go_with_it(frame: pd.DataFrame, path: Path) -> None:
    rows = ParquetRows(path, INPUTS, TARGETS, standardise=True)
    x, y = in_memory(rows, frame)
    kept: list[dict[str, torch.Tensor]] = []
    whole, resumed = dense(None), dense(None)
    validation = x[:500], y[:500]
    found = train(whole, rows, validation=validation, max_epochs=4, on_checkpoint=lambda named: kept.append(named))
    assert len(found.history["validation_loss"]) == 4
    train(resumed, rows, validation=validation, max_epochs=4, resume=kept[1])
    assert all(torch.equal(*pair) for pair in zip(whole.parameters(), resumed.parameters(), strict=True))


def test_bad_rows_are_refused(frame: pd.DataFrame, path: Path, tmp_path: Path) -> None:
    rows = ParquetRows(path, INPUTS, TARGETS)
    with pytest.raises(InputError, match="column 'age' is named twice among inputs and targets"):
        ParquetRows(path, INPUTS, ("age",))
    with pytest.raises(InputError, match="name at least one of each"):
        ParquetRows(path, INPUTS, ())
    with pytest.raises(InputError, match="y has no place beside ParquetRows"):
        train(dense(None), rows, torch.zeros(N, 2, dtype=torch.float64))
    with pytest.raises(InputError, match="x has 2 columns, the network 3 inputs"):
        train(dense(None), ParquetRows(path, INPUTS[:2], TARGETS))
    with pytest.raises(InputError, match="fitted by optimizer=lm alone"):
        train(dense(None), rows, optimizer="adam")
    for solver in ("gram", "dual", "jacobian"):
        with pytest.raises(InputError, match=f"need solver=packed, not {solver}; pass auto"):
            LevenbergMarquardt(dense(None), solver=solver).step(rows)
    bad = frame[:1000].copy()
    bad.loc[7, "spend"] = np.inf
    bad.to_parquet(tmp_path / "bad.parquet")
    module = dense(None)
    before = [parameter.clone() for parameter in module.parameters()]
    with pytest.raises(InputError, match=r"bad\.parquet: column 'spend' is NaN or infinite in row 8"):
        train(module, ParquetRows(tmp_path / "bad.parquet", INPUTS, TARGETS))
    assert all(torch.equal(*pair) for pair in zip(before, module.parameters(), strict=True))


_FIT = """
import resource, sys, torch
from marketnn.network import BPNetwork
from marketnn.optim import ParquetRows, train
def fit(rows):
    return train(BPNetwork([9, 4, 1]), rows, max_epochs=2)
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
rows = ParquetRows(sys.argv[1], [f"x{i}" for i in range(9)], ["y"], standardise=True)
small = ParquetRows(sys.argv[2], rows.inputs, rows.targets)
fit(small)
start = peak()
fit(rows)
print(peak() - start)
"""


def test_the_table_never_is_in_memory(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(generator.random((1_500_000, 10)), columns=[*(f"x{i}" for i in range(9)), "y"])
    paths = [tmp_path / "large.parquet", tmp_path / "small.parquet"]
    frame.to_parquet(paths[0], row_group_size=100_000)  # 120 MB
    frame[:70_000].to_parquet(paths[1])
    done = subprocess.run([sys.executable, "-c", _FIT, *map(str, paths)], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 30  # MB
