"""Two processes that hold unequal shares of the rows take the steps of one process that holds them all."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torchrun import torchrun

from marketnn.errors import InputError
from marketnn.network import BPNetwork
from marketnn.optim import LevenbergMarquardt
from marketnn.optim.paths.solver import Settings, build_path
from marketnn.optim.processes import reduction

WORKER = Path(__file__).with_name("torchrun_worker.py")
CASES = ("packed", "jacobian", "members", "validated", "evidence", "autodiff", "geodesic", "parquet")
CHOOSING = "packed:auto"

pytestmark = pytest.mark.skipif(not torch.distributed.is_available(), reason="torch without torch.distributed")


@pytest.fixture(scope="module")
def worker() -> ModuleType:
    specification = importlib.util.spec_from_file_location("torchrun_worker", WORKER)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], dict[str, Tensor]]:
    """What each of two processes wrote of each case."""
    folder = tmp_path_factory.mktemp("torchrun")
    cases = (*CASES, CHOOSING)
    done = torchrun(WORKER, str(folder), *cases)
    assert done.returncode == 0, done.stderr[-3_000:]
    files = {(case, rank): f"{case.replace(':', '')}-{rank}.safetensors" for case in cases for rank in (0, 1)}
    return {key: load_file(folder / name) for key, name in files.items()}


@pytest.mark.parametrize("case", CASES)
def test_two_processes_have_the_system_and_the_course_of_one(case, worker, together):
    first, second = together[case, 0], together[case, 1]
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)  # all take the same step
    alone = worker.fit(case, slice(None), None)
    for name in ("jtj", "jte", "sse"):
        assert (first[name] - alone[name]).abs().max() <= 1e-12 * alone[name].abs().max(), name
    assert torch.equal(first["tries"], alone["tries"])
    for name in {"loss", "damping", "gradient_norm", "validation_loss", "prior"} & alone.keys():
        torch.testing.assert_close(first[name], alone[name], rtol=1e-6, atol=0)
    torch.testing.assert_close(first["weights"], alone["weights"], rtol=0, atol=1e-6)
    assert torch.equal(first["best_epochs"], alone["best_epochs"])
    assert len(alone["loss"]) == (worker.EVIDENCE_EPOCHS if case == "evidence" else worker.EPOCHS)
    assert ("validation_loss" in alone) == (case == "validated")
    if case == "evidence":
        assert alone["prior"] > 0


def test_processes_whose_shares_differ_agree_on_a_path(worker, together):
    """Alone, the smaller share would be fastest with J itself and the larger one with packed pairs."""
    first, second = together[CHOOSING, 0], together[CHOOSING, 1]
    assert torch.equal(first["weights"], second["weights"])
    alone = worker.fit("packed", slice(None), None, solver="primal")
    torch.testing.assert_close(first["loss"], alone["loss"], rtol=1e-7, atol=0)


def test_a_process_group_refuses_the_dual_form():
    network = BPNetwork([3, 4, 1])
    x, y = torch.zeros(5, 3, dtype=torch.float64), torch.zeros(5, 1, dtype=torch.float64)
    for name in ("gram", "autodiff_gram"):
        with pytest.raises(InputError, match="a process group needs a primal solver"):
            build_path(name, network, Settings(name, reduce=lambda tensors: None))
    assert reduction(None) is None
    optimizer = LevenbergMarquardt(network)
    optimizer.step(x, y)
    assert optimizer.path is not None
