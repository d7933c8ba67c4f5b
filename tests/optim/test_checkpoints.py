"""A training that is kept goes on bit for bit in another process, and never from another training's checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from marketnn import registry
from marketnn.network import BPNetwork
from marketnn.optim import TrainingResult, train
from marketnn.optim.checkpoints import fingerprint, keeping
from marketnn.optim.problem import flat_parameters
from marketnn.tracking.checkpoint import CheckpointFolder


class Stop(Exception):
    """The process dies."""


def rows(seed: int = 0) -> tuple[Tensor, Tensor]:
    x = torch.rand(40, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return x, 0.5 + 0.3 * torch.sin(9 * x[:, :1]) * x[:, 1:]


def fit(name: str, folder: CheckpointFolder | None, stop_after: int = 0) -> tuple[Tensor, TrainingResult]:
    x, y = rows()
    network = BPNetwork([2, 6, 1], seed=4)
    options = keeping(folder, network, x, y)
    save, calls = options.get("on_checkpoint"), []

    def stopping(named: dict[str, Tensor]) -> None:
        assert save is not None
        save(named)
        calls.append(named)
        if len(calls) == stop_after:
            raise Stop

    if folder is not None:
        options["on_checkpoint"] = stopping
    build = registry.build("optimizer", {"name": name})
    return flat_parameters(network), train(network, x, y, optimizer=build, max_epochs=20, **options)


@pytest.mark.parametrize("name", ["lm", "lm_minibatch", "adam", "gd", "lbfgs"])
def test_a_training_stopped_twice_ends_as_if_it_had_not_been(tmp_path: Path, name: str) -> None:
    folder = CheckpointFolder(tmp_path, seconds=0.0)
    _, expected = fit(name, None)
    for _ in range(2):
        with pytest.raises(Stop):
            fit(name, folder, stop_after=7)
    (file,) = tmp_path.iterdir()
    assert len(folder.load(file.stem)["history/loss"]) == 14
    _, found = fit(name, folder)
    assert list(found.history) == list(expected.history)
    assert {key: column for key, column in found.history.items() if key != "seconds"} == {
        key: column for key, column in expected.history.items() if key != "seconds"
    }
    _, again = fit(name, folder)  # from the end: nothing is left to do
    assert again.history == found.history


@pytest.mark.parametrize("name", ["lm", "lm_minibatch", "adam", "gd", "lbfgs"])
def test_a_training_stopped_after_every_epoch_too(tmp_path: Path, name: str) -> None:
    folder = CheckpointFolder(tmp_path, seconds=0.0)
    _, expected = fit(name, None)
    for _ in range(len(expected.history["loss"])):
        with pytest.raises(Stop):
            fit(name, folder, stop_after=1)
    assert fit(name, folder)[1].history["loss"] == expected.history["loss"]


def test_other_data_or_first_weights_are_another_training(tmp_path: Path) -> None:
    folder, (x, y) = CheckpointFolder(tmp_path), rows()
    network = BPNetwork([2, 6, 1], seed=4)
    train(network, x, y, max_epochs=2, **keeping(folder, network, x, y))
    fresh, other = BPNetwork([2, 6, 1], seed=4), BPNetwork([2, 6, 1], seed=5)
    assert keeping(folder, fresh, x, y)["resume"] is not None
    assert keeping(folder, other, x, y)["resume"] is None
    assert keeping(folder, fresh, *rows(1))["resume"] is None
    assert keeping(None, fresh, x, y) == {}


def test_every_bit_shape_and_type_counts(device: torch.device) -> None:
    base = torch.tensor([0.0, 1.0, 2.0, 3.0])
    others = [base.to(torch.float64), base.reshape(2, 2), base + torch.tensor([0.0, 0.0, 0.0, 2.5e-7]), -base, base[:3]]
    prints = [fingerprint(tensor.to(device)) for tensor in [base, *others]]
    assert len(set(prints)) == len(prints)
    assert fingerprint(base.to(device)) == fingerprint(base)
    assert fingerprint(base, base) != fingerprint(base)


def test_checkpoints_keep_their_distance_in_time() -> None:
    x, y = rows()
    counts = []
    for seconds in (0.0, 1e6):
        saved: list[int] = []
        train(
            BPNetwork([2, 6, 1], seed=4),
            x,
            y,
            max_epochs=5,
            on_checkpoint=lambda named, saved=saved: saved.append(len(named["history/loss"])),
            checkpoint_seconds=seconds,
        )
        counts.append(saved)
    assert counts == [[1, 2, 3, 4, 5], [5]]
