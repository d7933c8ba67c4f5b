"""Symbolic links: a folder from elsewhere may hold one that leads to any file of this machine."""

from __future__ import annotations

from pathlib import Path

from marketnn.errors import InputError


def refuse_links(folder: Path, *names: str) -> None:
    """Refuse a folder of which an entry is a symbolic link that leads out of it.

    Args:
        folder: may itself be a link: the caller named it.
        names: of entries, relative to the folder; they need not be there.

    Raises:
        InputError: one of them leads out.
    """
    inside = folder.resolve()
    for name in names:
        if not (folder / name).resolve().is_relative_to(inside):
            raise InputError(
                f"{folder}: '{name}' in it is a symbolic link that leads out of the folder; put the file itself there, or "
                "name another folder."
            )
