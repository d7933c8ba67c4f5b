"""The house's plan, held by a test: imports run one way, and nothing but the command line knows Hydra."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "marketnn"
FLOOR = {
    **dict.fromkeys(["errors", "redact", "seed", "spelling"], 0),
    **dict.fromkeys(["device", "plain_yaml", "processes", "registry"], 1),
    **dict.fromkeys(["data", "preprocess", "network", "report"], 2),
    **dict.fromkeys(["optim", "cluster", "tracking"], 3),
    **dict.fromkeys(["classify", "scorecard", "allocation"], 4),
    "pipeline": 5,
    "command": 6,
    "cli": 7,
}
SINKS = {"report", "tracking"}
HEAVY = ("hydra", "torch", "pandas", "sklearn", "xgboost", "numpy", "scipy", "matplotlib")
FILES = sorted(PACKAGE.rglob("*.py"))


def room(module: str) -> str:
    return module.split(".")[1]


def imported(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{file}: relative import"
            found |= (
                {f"{node.module}.{alias.name}" for alias in node.names} if node.module == "marketnn" else {node.module}
            )
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_run_one_way(file: Path) -> None:
    here = file.relative_to(PACKAGE).with_suffix("").parts[0]
    for module in imported(file):
        if module.startswith("marketnn.") and here != "__init__" and not module.endswith("__version__"):
            there = room(module)
            assert there == here or FLOOR[there] < FLOOR[here], f"{here} must not import {there}"
            assert there not in SINKS or here in SINKS | {"pipeline", "command"}, (
                f"{here} must not write: it imports {there}"
            )
        assert module.split(".")[0] not in ("hydra", "omegaconf") or here == "command", f"{here} must not know Hydra"
        assert module.split(".")[0] not in ("experiments", "pickle"), f"{here} must not import {module}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_a_file_fits_in_a_sitting(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= 400


@pytest.mark.parametrize("words", ["import marketnn", "import marketnn.cli; marketnn.cli.main(['--help'])"])
def test_nothing_heavy_is_imported_before_it_is_needed(words: str) -> None:
    code = f"{words}; import sys; print('heavy:', sorted({set(HEAVY)!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "heavy: []"


def test_rooms_open_when_named() -> None:
    import marketnn

    assert marketnn.cluster.KMeans.__module__ == "marketnn.cluster.kmeans"
    assert "cluster" in dir(marketnn)
    with pytest.raises(AttributeError, match="has no attribute 'klusters'"):
        _ = marketnn.klusters
