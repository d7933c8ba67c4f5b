"""A run folder that an experiment fills itself, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from marketnn.tracking import Run


@contextmanager
def recorded(folder: Path, title: str, settings: Path, *, n_stages: int = 1) -> Iterator[Run]:
    """Open a run folder, finish it at the end, and take it back when something fails.

    Args:
        folder: where it goes.
        title: heads its report.
        settings: the YAML of the experiment, kept as the run's configuration.
        n_stages: how many ``stage`` blocks there will be.
    """
    run = Run(folder, title=title, config=settings.read_text(encoding="utf-8"), n_stages=n_stages)
    try:
        yield run
        run.finish()
    except BaseException:
        run.discard()
        raise
