"""A run under way: its files lie in ``.partial`` until the end, beside a note of what was begun.

A run that is killed leaves that folder. The same run, begun again, takes over the checkpoints in it; another one is refused,
so that hours of work are not lost by a slip. ``report.html`` moves up last: a folder is half-written until it has one.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from marketnn import __version__
from marketnn.errors import InputError
from marketnn.tracking.files import write_json
from marketnn.tracking.links import refuse_links

PARTIAL, CHECKPOINTS, REPORT = ".partial", "checkpoints", "report.html"
NOTE = "begun.json"


@dataclass(frozen=True)
class Begun:
    """What a run depends on, besides its data.

    Attributes:
        command: what was typed.
        config: the configuration as text, secrets masked.
        versions: library or setting, such as ``threads``, -> version or value.
    """

    command: str
    config: str
    versions: Mapping[str, str]


def begin(folder: Path, begun: Begun) -> Path:
    """Make ``.partial`` for a run; of the same run that was stopped there, the checkpoints stay.

    Raises:
        InputError: another run was stopped there, or a symbolic link there leads elsewhere.
    """
    partial = folder / PARTIAL
    refuse_links(folder, PARTIAL, f"{PARTIAL}/{CHECKPOINTS}")
    earlier = _noted(partial)
    if earlier is None or _has_ended(folder):
        if partial.exists():
            shutil.rmtree(partial)
    else:
        _refuse_another(folder, earlier, begun)
        for entry in partial.iterdir():
            if entry.name not in (NOTE, CHECKPOINTS):
                shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    partial.mkdir(parents=True, exist_ok=True)
    write_json(partial / NOTE, {"marketnn": __version__, **asdict(begun)})
    return partial


def refuse_half_written(folder: Path) -> None:
    """Refuse the folder of a run that is under way or was stopped, and holds no finished one beside.

    Raises:
        InputError: it is one.
    """
    if is_half_written(folder):
        raise InputError(
            f"{folder}: this run has not come to its end; wait for it, or give its command again with "
            f"hydra.run.dir={folder}, and it goes on."
        )


def is_half_written(folder: Path) -> bool:
    """Whether a run is under way in a folder, or was stopped there, and no finished one lies there."""
    return _noted(folder / PARTIAL) is not None and not (folder / REPORT).exists()


def _has_ended(folder: Path) -> bool:
    """Whether ``.partial`` is what a run that moved all its files up had no time to remove."""
    return (folder / REPORT).exists() and not (folder / PARTIAL / "config.yaml").exists()


def _noted(partial: Path) -> Begun | None:
    """Read the note of what was begun; ``None`` without one."""
    try:
        note = json.loads((partial / NOTE).read_text(encoding="utf-8"))
        return Begun(str(note["command"]), str(note["config"]), dict(note["versions"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _refuse_another(folder: Path, earlier: Begun, begun: Begun) -> None:
    """Refuse to go on with another configuration, or where its numbers would round otherwise."""
    command = f" (begun by '{earlier.command}')" if earlier.command else ""
    way_out = f"choose another hydra.run.dir, or remove {folder / PARTIAL} and what it has computed."
    if earlier.config != begun.config:
        raise InputError(
            f"{folder}: an unfinished run of another configuration is in it{command}; give that command again to continue it, "
            f"{way_out}"
        )
    for name, version in begun.versions.items():
        before = earlier.versions.get(name, "nothing")
        if version != before:
            raise InputError(
                f"{folder}: an unfinished run is in it{command}, begun with {name} {before}, and now there is {version}, which "
                f"may round otherwise; {way_out}"
            )
