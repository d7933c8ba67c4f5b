"""The benchmark's modules for its tests."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def scripts() -> Path:
    """The folder of the scripts."""
    return Path(__file__).resolve().parents[2] / "scripts"


@pytest.fixture(scope="session")
def bench(scripts: Path) -> dict[str, ModuleType]:
    """The benchmark's modules but the peers', imported as the script does: with its own folder first on the path."""
    names = [path.stem for path in (scripts / "bench").glob("*.py") if not path.stem.startswith("peer_")]
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(scripts))
        return {name: importlib.import_module(f"bench.{name}") for name in names}
