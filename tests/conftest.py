"""Fixtures that every room's tests share: the devices, and the folder of real tables."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from pretend_device import PretendDevice

DEVICES = ["cpu", "pretend", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> Iterator[torch.device]:
    """Run the test on the CPU, on the pretend accelerator, and on CUDA where there is a card."""
    if request.param == "pretend":
        with PretendDevice():
            yield torch.device("pretend", 0)
    else:
        yield torch.device(request.param)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder that ``MARKETNN_DATA`` names; tests that ask for it are skipped where there is none."""
    folder = os.environ.get("MARKETNN_DATA")
    if not folder:
        pytest.skip("MARKETNN_DATA names no folder of real tables")
    return Path(folder)
