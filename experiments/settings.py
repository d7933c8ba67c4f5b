"""The settings of an experiment: the YAML beside it, at the reduced or at the published size.

A YAML that is reduced says under ``full`` what ``--full`` makes of it: ``sizes``, laid over the other settings, and
``items``, the rows that hang on them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from experiments.claims import read_yaml

SEEDS = ("seed", "seeds", "draw", "runs", "samples")


def read_settings(file: Path, *, full: bool) -> dict[str, Any]:
    """Read the settings, with the published sizes where they are asked for."""
    settings = read_yaml(file)
    sizes = settings.pop("full", {}).get("sizes", {})
    return _merged(settings, sizes) if full else settings


def size_notes(file: Path, *, full: bool) -> dict[str, str]:
    """Return for each item that hangs on a size a sentence that says which was taken."""
    if not file.is_file() or "full" not in (settings := read_yaml(file)):
        return {}
    larger = settings["full"]
    sizes = {".".join(path): (_at(settings, path), value) for path, value in _leaves(larger["sizes"])}
    if full:
        words = "Published size: " + ", ".join(f"{name} = {value:,}" for name, (_, value) in sizes.items()) + "."
    else:
        pairs = (f"{name} = {value:,} for {published:,}" for name, (value, published) in sizes.items())
        words = "Reduced size: " + ", ".join(pairs) + " of --full."
    return dict.fromkeys(larger["items"], words)


def seed_words(file: Path) -> str:
    """Say which seeds, runs and samples the settings hold."""
    if not file.is_file():
        return ""
    found = {".".join(path): value for path, value in _leaves(read_yaml(file)) if path[-1] in SEEDS}
    return ", ".join(f"{name} = {value}" for name, value in found.items())


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in over.items():
        merged[name] = _merged(base[name], value) if isinstance(value, Mapping) else value
    return merged


def _leaves(tree: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*path, str(name)))
        else:
            yield (*path, str(name)), value


def _at(settings: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    place: Any = settings
    for name in path:
        place = place[name]
    return place
