"""Saved models come back as they were, and a folder that is none is named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from marketnn.errors import InputError
from marketnn.tracking import SavedModel, load_model, save_model

MODEL = SavedModel("churn", {"threshold": 0.5, "names": ["a"]}, {"weights": np.array([1.0, -2.0]), "c": np.eye(2)})


def test_round_trip(tmp_path: Path) -> None:
    save_model(tmp_path / "run" / "model", MODEL)
    for folder in (tmp_path / "run", tmp_path / "run" / "model"):
        loaded = load_model(folder)
        assert (loaded.kind, loaded.settings) == (MODEL.kind, MODEL.settings)
        assert all((loaded.arrays[name] == MODEL.arrays[name]).all() for name in MODEL.arrays)


def test_folders_that_are_no_model(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such folder"):
        load_model(tmp_path / "nowhere")
    with pytest.raises(InputError, match="the folder holds no model"):
        load_model(tmp_path)


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"format": 1}', '{"format": 1, "kind": "churn", "settings": 3}', "\x00", '{"format": 99}'],
)
def test_damaged_json(tmp_path: Path, content: str) -> None:
    save_model(tmp_path, MODEL)
    (tmp_path / "model.json").write_text(content)
    with pytest.raises(InputError, match=r"damaged|format 99"):
        load_model(tmp_path)


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300))
def test_damaged_arrays(tmp_path: Path, content: bytes) -> None:
    save_model(tmp_path, MODEL)
    (tmp_path / "arrays.safetensors").write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        load_model(tmp_path)


def test_a_pickle_in_place_of_arrays_is_not_run(tmp_path: Path) -> None:
    save_model(tmp_path, MODEL)
    (tmp_path / "arrays.safetensors").write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")
    with pytest.raises(InputError, match="damaged"):
        load_model(tmp_path)
    assert json.loads((tmp_path / "model.json").read_text())["kind"] == "churn"
    assert not Path("pwned").exists()
