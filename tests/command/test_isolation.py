"""Whatever a job does to global state is undone, and it starts from the same state each time."""

from __future__ import annotations

import os
import random
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from marketnn.command.isolation import isolated


def state() -> list[object]:
    """Everything that a job could leave changed, as text."""
    numpy_state = np.random.mtrand._rand.get_state(legacy=False)
    return [
        torch.get_default_dtype(),
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_grad_enabled(),
        torch.get_float32_matmul_precision(),
        torch.backends.cudnn.benchmark,
        torch.get_rng_state().tolist(),
        repr(numpy_state["state"]["key"].tolist()),
        random.getstate(),
        np.geterr(),
        list(warnings.filters),
        dict(os.environ),
        Path.cwd(),
    ]


def disturb(folder: Path) -> None:
    """Change every one of them."""
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(3)
    torch.use_deterministic_algorithms(True)
    torch.set_grad_enabled(False)
    torch.set_float32_matmul_precision("medium")
    torch.backends.cudnn.benchmark = True
    torch.manual_seed(99)
    np.random.mtrand._rand.seed(99)
    random.seed(99)
    np.seterr(divide="raise")
    warnings.simplefilter("ignore")
    os.environ["MARKETNN_TEST"] = "left behind"
    os.chdir(folder)


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    before = state()
    with isolated(0, 1):
        disturb(tmp_path)
    assert state() == before
    with pytest.raises(FileNotFoundError), isolated(0, 1):
        disturb(tmp_path / "nowhere")
    assert state() == before


def test_deterministic_algorithms_are_asked_for_inside_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    before = state()
    with isolated(0, 1, deterministic=True):
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.backends.cudnn.deterministic
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
        with pytest.raises(RuntimeError, match="does not have a deterministic implementation"):
            torch.ones(4, dtype=torch.float64).put_(torch.tensor([0, 0]), torch.ones(2, dtype=torch.float64))
    assert state() == before
    with isolated(0, 1):
        assert not torch.are_deterministic_algorithms_enabled()


def test_every_job_starts_alike(tmp_path: Path) -> None:
    def draws() -> list[object]:
        drawn = [torch.rand(3).tolist(), np.random.mtrand._rand.random(3).tolist(), random.random()]
        return [*drawn, torch.get_default_dtype(), torch.get_num_threads()]

    with isolated(7, 1):
        first = draws()
        disturb(tmp_path)
        draws()
    with isolated(7, 1):
        assert draws() == first
    with isolated(8, 2):
        other = draws()
    assert other[:3] != first[:3]
    assert first[3:] == [torch.float32, 1]
    assert other[4] == 2
