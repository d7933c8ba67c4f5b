from __future__ import annotations

import math
import os
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor

from marketnn.errors import InputError
from marketnn.tracking.checkpoint import load_checkpoint, save_checkpoint

NAMED = {
    "parameters": torch.tensor([[1.0, -0.0], [math.pi, 5e-324]], dtype=torch.float64),
    "history/loss": torch.tensor([math.nan, math.inf, -math.inf], dtype=torch.float64),
    "optimizer/step": torch.tensor(3),
    "optimizer/generator": torch.arange(256, dtype=torch.uint8),
    "half": torch.ones(3, dtype=torch.bfloat16),
    "flags": torch.tensor([True, False]),
    "nothing": torch.empty(0, 4),
}


def same_bits(mine: Tensor, theirs: Tensor) -> bool:
    if (mine.dtype, mine.shape) != (theirs.dtype, theirs.shape):
        return False
    return bytes(mine.reshape(-1).view(torch.uint8).tolist()) == bytes(theirs.reshape(-1).view(torch.uint8).tolist())


def test_every_tensor_comes_back_bit_for_bit(tmp_path):
    path = tmp_path / "folder" / "epoch.safetensors"
    save_checkpoint(path, NAMED)
    found = load_checkpoint(str(path))
    assert found.keys() == NAMED.keys()
    assert all(same_bits(found[name], tensor) for name, tensor in NAMED.items())
    assert load_file(path).keys() == NAMED.keys()  # an ordinary safetensors file


def test_views_graphs_and_other_strides_are_stored_by_value(tmp_path):
    path, matrix = tmp_path / "c", torch.arange(12.0, requires_grad=True).reshape(3, 4)
    save_checkpoint(path, {"transposed": matrix.T, "column": (2 * matrix)[:, 1], "expanded": torch.ones(1).expand(5)})
    found = load_checkpoint(path)
    assert torch.equal(found["transposed"], matrix.detach().T)
    assert torch.equal(found["column"], 2 * matrix.detach()[:, 1])
    assert torch.equal(found["expanded"], torch.ones(5))
    assert not any(tensor.requires_grad for tensor in found.values())


def test_a_checkpoint_moves_between_devices(tmp_path, device):
    path = tmp_path / "c"
    values = torch.arange(6, dtype=torch.float64).reshape(2, 3)
    save_checkpoint(path, {"w": values.to(device).T})
    found = load_checkpoint(path, device)
    assert found["w"].device.type == device.type
    assert torch.equal(found["w"].cpu(), values.T)
    assert torch.equal(load_checkpoint(path)["w"], values.T)


def test_the_new_checkpoint_replaces_the_old_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "c"
    for epoch in range(3):
        save_checkpoint(path, {"epoch": torch.tensor(epoch)})
        assert int(load_checkpoint(path)["epoch"]) == epoch
    assert os.listdir(tmp_path) == ["c"]


def test_an_interrupted_write_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "c"
    save_checkpoint(path, {"epoch": torch.tensor(1)})

    def full_disk(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(path, {"epoch": torch.tensor(2)})
    assert int(load_checkpoint(path)["epoch"]) == 1
    assert os.listdir(tmp_path) == ["c"]


@settings(deadline=None, max_examples=60)
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_truncated_file_is_refused(share, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "truncated"
    save_checkpoint(path, NAMED)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match="this is no checkpoint"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"epoch,loss\n1,0.5\n",
        b"\xff" * 64,
        (2**62).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        pickle.dumps({"w": [1.0]}),
    ],
    ids=["empty", "text", "ones", "huge header", "no object", "pickle"],
)
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "c"
    path.write_bytes(content)
    with pytest.raises(InputError, match="this is no checkpoint"):
        load_checkpoint(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(InputError, match="there is no checkpoint"):
        load_checkpoint(tmp_path / "none")
    with pytest.raises(InputError):
        load_checkpoint(tmp_path)
