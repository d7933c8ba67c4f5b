"""Every kind of bad input ends in its message: status 2, one to three lines, no traceback, and nothing made or changed."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from marketnn import cli

CASES: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("bad_inputs.yaml").read_text())


def content(given: Any) -> bytes:
    """Return what a file of the list holds."""
    if isinstance(given, str):
        return given.encode()
    if "hex" in given:
        return bytes.fromhex(str(given["hex"]))
    text, times = given["repeat"]
    return (given.get("header", "") + text * times * given.get("rows", 1)).encode() + content(given.get("then", ""))


def state(folder: Path) -> dict[str, tuple[int, int]]:
    """Name everything in a folder, files with their size and when they were written."""
    told = {path: path.lstat() for path in folder.rglob("*")}
    return {str(path): (0, 0) if path.is_dir() else (stat.st_size, stat.st_mtime_ns) for path, stat in told.items()}


def test_there_are_sixty_kinds_at_least_and_each_is_one() -> None:
    kinds = [case["kind"] for case in CASES]
    assert len(kinds) == len(set(kinds)) >= 60


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["kind"])
def test_bad_input_ends_in_its_message(
    case: dict[str, Any],
    finished: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    here = shutil.copytree(finished, tmp_path / "here")
    for name, given in case.get("files", {}).items():
        path = here / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        if isinstance(given, dict) and "link" in given:
            path.symlink_to(given["link"])
        else:
            path.write_bytes(content(given))
    monkeypatch.chdir(here)
    before = state(tmp_path)
    assert cli.main(case["words"]) == 2
    printed = capsys.readouterr()
    assert re.search(case["says"], printed.err)
    assert printed.out == ""
    assert 1 <= len(printed.err.splitlines()) <= 3
    assert "Traceback" not in printed.err
    assert state(tmp_path) == before
