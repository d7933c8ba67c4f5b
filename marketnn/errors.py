"""Errors that help: each names what is at fault, its value and the repair."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable, Sequence

import numpy as np


class MarketnnError(Exception):
    """Base class of every error that marketnn raises on purpose."""


class InputError(MarketnnError, ValueError):
    """The caller's data or arguments cannot be used; the message says what to change.

    The command line prints the message (one to three lines) and exits with status 2.
    """


class ConfigurationError(InputError):
    """An unknown name or key, or a value of the wrong type; the message lists what exists."""


class LostProcessError(MarketnnError, RuntimeError):
    """A process that shares the work has ended or does not answer; nothing of what this one computes from now on counts."""


def system_message(error: OSError) -> str:
    """Say what the system refused, where, and what to do about it."""
    where = error.filename or "the system"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"{where}: {error.strerror}; make room and give the same command again: it goes on from the last checkpoint."
    return f"{where}: {error.strerror or error}; choose another hydra.run.dir."


def rows_text(rows: np.ndarray | Sequence[int], limit: int = 3) -> str:
    """Name rows for a message: ``row 10`` or ``24 rows (10, 27, 43, ...)``.

    Args:
        rows: a boolean mask over the rows, or 0-based positions. The text counts from 1, the header not included.
        limit: how many rows are named.
    """
    positions = np.asarray(rows)
    if positions.dtype == bool:
        positions = np.flatnonzero(positions)
    if positions.size == 1:
        return f"row {positions[0] + 1}"
    named = ", ".join(str(position + 1) for position in positions[:limit])
    return f"{positions.size:,} rows ({named}{', ...' if positions.size > limit else ''})"


def unknown_name(kind: str, given: object, existing: Iterable[str]) -> ConfigurationError:
    """Build the error for a name that does not exist, with the nearest one that does."""
    existing = sorted(existing)
    near = difflib.get_close_matches(str(given), existing, n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return ConfigurationError(f"unknown {kind} '{given}'.{hint}\nThere are: {', '.join(existing) or 'none'}.")
