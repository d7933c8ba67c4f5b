"""List the licence of everything that marketnn needs and that is installed, as each package states it itself.

    python scripts/licences.py            what the package needs
    python scripts/licences.py data bench ...   and what these extras need

A package that is not installed is named at the end: its licence is not known here.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

PROJECT = Path(__file__).parent.parent / "pyproject.toml"
NOT_STATED = "not stated"
_LONG = 60  # characters; a longer text is the licence itself, not its name


@dataclass(frozen=True)
class Licence:
    """What a package says of itself.

    Attributes:
        name, version: of the package.
        licence: its SPDX expression, else its classifiers, else the name in its free text.
    """

    name: str
    version: str
    licence: str


def roots(extras: Sequence[str] = (), project: Path = PROJECT) -> list[Requirement]:
    """Return what the project requires, with these extras.

    Raises:
        SystemExit: an extra that does not exist.
    """
    stated = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
    optional = stated["optional-dependencies"]
    for extra in extras:
        if extra not in optional:
            raise SystemExit(f"there is no extra '{extra}'; there are: {', '.join(optional)}.")
    wanted = [*stated["dependencies"], *(line for extra in extras for line in optional[extra])]
    return [Requirement(line) for line in wanted]


def needed(requirements: Sequence[Requirement]) -> tuple[list[str], list[str]]:
    """Follow requirements through the installed packages; return the names of those found, and of those missing, sorted."""
    found: dict[tuple[str, str], bool] = {}
    queue = [(wanted.name, extra) for wanted in requirements for extra in ("", *wanted.extras)]
    while queue:
        name, extra = queue.pop()
        key = (re.sub(r"[-_.]+", "-", name).lower(), extra)
        if key in found:
            continue
        try:
            lines = metadata.requires(name) or []
            found[key] = True
        except metadata.PackageNotFoundError:
            found[key] = False
            continue
        for wanted in map(Requirement, lines):
            if wanted.marker is None or wanted.marker.evaluate({"extra": extra}):
                queue += [(wanted.name, inner) for inner in ("", *wanted.extras)]
    installed = sorted({name for (name, _), is_there in found.items() if is_there})
    return installed, sorted({name for (name, _), is_there in found.items() if not is_there})


def licence(name: str) -> Licence:
    """Read what an installed package says of its licence."""
    told = metadata.metadata(name)
    classifiers = [
        line.rpartition(" :: ")[2] for line in told.get_all("Classifier") or () if line.startswith("License")
    ]
    free = (told.get("License") or "").strip()
    short = free if free and len(free) <= _LONG and "\n" not in free else ""
    stated = told.get("License-Expression") or " and ".join(classifiers) or short or NOT_STATED
    return Licence(name, metadata.version(name), stated)


def main(extras: Sequence[str]) -> None:
    """Print the list as Markdown."""
    installed, missing = needed(roots(extras))
    print("| package | version | licence |\n|---|---|---|")
    for entry in map(licence, installed):
        print(f"| {entry.name} | {entry.version} | {entry.licence} |")
    if missing:
        print(f"\nNot installed here: {', '.join(missing)}.")


if __name__ == "__main__":
    main(sys.argv[1:])
