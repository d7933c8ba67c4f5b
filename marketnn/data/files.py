"""The one check every file source makes first."""

from __future__ import annotations

import difflib
from pathlib import Path

from marketnn.errors import InputError


def existing_file(path: str) -> Path:
    """Return the path if it is a readable file.

    Raises:
        InputError: no such file (with the nearest name in its folder), a folder, or not readable.
    """
    file = Path(path).expanduser()
    if file.is_dir():
        raise InputError(f"{path}: this is a folder; name one file in it.")
    if not file.exists():
        neighbours = [entry.name for entry in file.parent.iterdir() if entry.is_file()] if file.parent.is_dir() else []
        near = difflib.get_close_matches(file.name, neighbours, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise InputError(f"{path}: there is no such file (looked in {file.parent.resolve()}).{hint}")
    try:
        file.open("rb").close()
    except OSError as error:
        raise InputError(f"{path}: cannot be opened ({error.strerror}).") from error
    return file
