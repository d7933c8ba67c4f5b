"""Read YAML from strangers: plain values alone, whatever a file holds and however it is nested.

YAML's anchors let a few lines stand for billions of values, its tags name types to build, and deep nesting ends the interpreter's
stack. None of them is needed to write down settings, so a file with one is refused before anything is built from it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from marketnn.errors import InputError

MAX_BYTES = 1_000_000
MAX_DEPTH = 20


def read_yaml(file: Path) -> Any:
    """Read a file of groups, lists and plain values.

    Raises:
        InputError: as ``plain_text``, or a value that YAML cannot build, such as the 99th of a month.
    """
    text = plain_text(file)
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        raise _not_yaml(file, error) from error


def plain_text(file: Path) -> str:
    """Return the text of a YAML file once nothing in it can do harm, for another reader of YAML.

    Raises:
        InputError: larger than a megabyte, not UTF-8, not YAML, or with an anchor, a tag, or more than 20 levels.
    """
    if file.stat().st_size > MAX_BYTES:
        raise InputError(f"{file.name}: larger than {MAX_BYTES:,} bytes; no file of settings is.")
    try:
        text = file.read_text(encoding="utf-8")
        _check_events(text, file.name)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise _not_yaml(file, error) from error
    return text


def _check_events(text: str, name: str) -> None:
    """Walk through the file without building anything of it."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        where = f"{name}, line {event.start_mark.line + 1}"
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise InputError(f"{where}: anchors and aliases (& and *) are not read; write the values out.")
        if getattr(event, "tag", None) is not None:
            raise InputError(f"{where}: the tag {event.tag} is not read; write plain values, without !.")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise InputError(f"{where}: more than {MAX_DEPTH} levels; write the groups flatter.")


def _not_yaml(file: Path, error: Exception) -> InputError:
    return InputError(f"{file.name}: not a YAML file ({' '.join(str(error).split())[:120]}).")
