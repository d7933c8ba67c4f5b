"""A run folder while it is being filled: tables, figures, metrics, TensorBoard events and the report.

A pipeline is handed a ``Run`` and tells it results in the order in which a reader should meet them; the same calls fill the
folder, TensorBoard and ``report.html``.
"""

from __future__ import annotations

import math
import os
import platform
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from marketnn import __version__
from marketnn.errors import InputError
from marketnn.report.page import FigureBlock, Section, TableBlock, TextBlock, render_page
from marketnn.report.small_cells import MIN_CELL, without_small
from marketnn.spelling import counted
from marketnn.tracking import projector
from marketnn.tracking.checkpoint import CheckpointFolder
from marketnn.tracking.files import write_bytes, write_json, write_text
from marketnn.tracking.folder import JOB, check_free, clear_run, remove_if_empty
from marketnn.tracking.hparams import end_session, start_session
from marketnn.tracking.metric_schema import METRIC_TAG
from marketnn.tracking.model import SavedModel, save_model
from marketnn.tracking.partial import CHECKPOINTS, NOTE, REPORT, Begun, begin
from marketnn.tracking.spreadsheet import csv_text

VERSIONED = ("torch", "numpy", "pandas", "scikit-learn", "scipy", "statsmodels", "xgboost", "hydra-core", "tensorboard")


class Run:
    """Everything one run leaves behind.

    Files are made in ``<folder>/.partial`` and move up in ``finish``: until then an earlier run in the folder stays as it was,
    and a run that fails takes back what it made. One that is killed leaves its checkpoints there, and the same run, given the
    folder again, goes on from them.

    Args:
        folder: where it goes; an earlier run's files in it are replaced at the end.
        title: heads the report.
        config: the configuration as text, secrets masked; becomes ``config.yaml``.
        facts: what to print under the report (command, seed, device).
        n_stages: how many ``stage`` blocks the pipeline has, for the progress bar.
        quiet: show no progress bar.
        settings: what TensorBoard's HParams page shows of this run; nothing unless it is given.
        group: the runs that are one setting there, up to their seed; a row of its own unless it is given.
        min_cell: the least number of people of whom the report and TensorBoard show anything.

    Raises:
        InputError: the folder is a file, cannot be written, holds files of these names that no run made, or an unfinished run
            of another configuration.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        title: str,
        config: str = "",
        facts: Mapping[str, str] | None = None,
        n_stages: int = 1,
        quiet: bool = False,
        settings: Mapping[str, bool | float | str] | None = None,
        group: str = "",
        min_cell: int = MIN_CELL,
    ) -> None:
        self.folder = Path(folder)
        self.headlines: list[str] = []
        self.console: list[str] = []
        self.metrics: dict[str, float] = {}
        self.min_cell = min_cell
        self._title = title
        self._facts = dict(facts or {})
        self._sections: list[Section] = []
        self._timings: dict[str, float] = {}
        self._projected: list[str] = []
        self._part = ""
        check_free(self.folder)
        try:
            self._partial = begin(self.folder, Begun(self._facts.get("command", ""), config, environment()))
        except OSError as error:
            raise InputError(f"{self.folder}: the run folder cannot be written ({error.strerror}).") from error
        self.checkpoints = CheckpointFolder(self._partial / CHECKPOINTS)
        write_text(self._partial / "config.yaml", config)
        self._events = SummaryWriter(str(self._partial))
        self._has_session = settings is not None
        if settings is not None:
            start_session(self._events, settings, group, time.time())
        self._progress = tqdm(
            total=n_stages, desc=title, unit="stage", disable=quiet or not sys.stderr.isatty(), leave=False
        )

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a named part of the run and show it in the progress bar."""
        self._progress.set_postfix_str(name)
        start = time.perf_counter()
        yield
        self._timings[name] = time.perf_counter() - start
        self._progress.update()

    def progress(self, text: str) -> None:
        """Show beside the progress bar how far a long stage is."""
        self._progress.set_postfix_str(text)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Put ``name`` and an underscore before the names of all numbers, tables, figures and curves recorded within.

        Thus one run records several analyses that use the same names.
        """
        self._part = f"{name}_"
        try:
            yield
        finally:
            self._part = ""

    def timing(self, name: str, seconds: float) -> None:
        """Record a duration that was measured elsewhere, for ``timings.json``."""
        self._timings[name] = seconds

    def headline(self, text: str) -> None:
        """Add a sentence that a reader must not miss: printed at the end, first in the report."""
        self.headlines.append(text)

    def printed(self, text: str) -> None:
        """Add text for the terminal only."""
        self.console.append(text)

    def section(self, title: str, text: str = "") -> None:
        """Begin a section of the report."""
        self._sections.append(Section(title, [TextBlock(text)] if text else []))

    def text(self, text: str) -> None:
        """Add a paragraph to the section."""
        self._sections[-1].blocks.append(TextBlock(text))

    def metric(self, **values: float) -> None:
        """Record numbers for ``metrics.json`` and TensorBoard.

        Raises:
            ValueError: a value is NaN or infinite; say nothing rather than that.
        """
        for name, value in values.items():
            name = self._part + name
            number = float(value)
            if not math.isfinite(number):
                raise ValueError(f"metric '{name}' is {number}")
            self.metrics[name] = int(value) if isinstance(value, (int, np.integer)) else number
            self._events.add_scalar(f"{METRIC_TAG}/{name}", number, 0)

    def curve(self, name: str, values: list[float]) -> None:
        """Record a curve for TensorBoard, one value per step counted from 1."""
        for step, value in enumerate(values, start=1):
            self._events.add_scalar(self._part + name, value, step)

    def histogram(self, name: str, values: np.ndarray, step: int = 0) -> None:
        """Record how numbers are distributed, for TensorBoard."""
        self._events.add_histogram(self._part + name, values, step)

    def projector(self, name: str, points: np.ndarray, labels: pd.DataFrame) -> None:
        """Show points in TensorBoard's projector.

        Args:
            name: letters, digits and underscores.
            points: (n, d).
            labels: n rows, at least two columns, which name and colour the points.
        """
        name = self._part + name
        self._projected.append(name)
        folder = self._partial / projector.FOLDER
        write_text(folder / f"{name}_points.tsv", projector.points_text(points))
        write_text(folder / f"{name}_labels.tsv", projector.labels_text(labels))
        write_text(self._partial / projector.CONFIG, projector.config_text(self._projected))

    def pr_curve(self, name: str, labels: np.ndarray, probability: np.ndarray) -> None:
        """Record precision and recall at every threshold, for TensorBoard.

        Args:
            name: of the curve.
            labels: (n,) 1 for positive, 0 for negative.
            probability: (n,) of being positive.
        """
        self._events.add_pr_curve(self._part + name, labels, probability, 0)

    def charts(self, title: str, charts: Mapping[str, Sequence[str]]) -> None:
        """Lay curves out on TensorBoard's page of custom scalars, once per run.

        TensorBoard shows a chart that several runs lay out alike once, with the curves of all of them.

        Args:
            title: of the group of charts.
            charts: title of each chart -> the names of the curves in it; a name that ends in ``/`` stands for all below it.
        """
        layout = {
            name: ["Multiline", [_pattern(self._part + curve) for curve in curves]] for name, curves in charts.items()
        }
        self._events.add_custom_scalars({title: layout})

    def table(
        self,
        name: str,
        frame: pd.DataFrame,
        caption: str,
        *,
        index: bool = False,
        show: bool = True,
        size: str = "",
        cells: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """Write ``tables/<name>.csv``; unless ``show`` is off, show the table in the report and in TensorBoard too.

        Args:
            name: of the file.
            frame: the table.
            caption: above it.
            index: write the row labels too.
            show: in the report.
            size, cells: which columns count people, as in ``without_small``: the file has all, the report no small group.
        """
        name = self._part + name
        write_text(self._partial / "tables" / f"{name}.csv", csv_text(frame, index=index))
        if show:
            shown = frame.reset_index() if index else frame
            few = f"under {self.min_cell}"
            large = without_small(shown, self.min_cell, size=size, cells=cells, mask=few)
            block = TableBlock(caption, large, f"tables/{name}.csv")
            self._sections[-1].blocks.append(block)
            if len(large) < len(shown):
                self.text(f"Left out here: {counted(len(shown) - len(large), 'group')} of {few} (min_cell).")
            self._events.add_text(f"tables/{name}", block.markdown(), 0)

    @contextmanager
    def long_table(self, name: str) -> Iterator[Callable[[pd.DataFrame], None]]:
        """Write ``tables/<name>.csv`` piece by piece; what is yielded adds a piece, and the report shows none of them."""
        path = self._partial / "tables" / f"{self._part}{name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8", newline="") as stream:

            def add(frame: pd.DataFrame) -> None:
                try:
                    stream.write(csv_text(frame, header=stream.tell() == 0))
                    stream.flush()
                except OSError as error:
                    raise OSError(error.errno, error.strerror or str(error), str(path)) from error

            yield add

    def drawn(
        self, frame: pd.DataFrame, *, size: str = "", cells: Mapping[str, Sequence[str]] | None = None
    ) -> pd.DataFrame:
        """Return of a table what a figure may show: no small group, and NaN for small counts."""
        return without_small(frame, self.min_cell, size=size, cells=cells, mask=np.nan).infer_objects()

    def figure(self, name: str, figure: Figure, caption: str) -> None:
        """Write ``figures/<name>.png`` and show it in the report and in TensorBoard."""
        name = self._part + name
        block = FigureBlock.of(figure, caption)
        write_bytes(self._partial / "figures" / f"{name}.png", block.png)
        self._sections[-1].blocks.append(block)
        self._events.add_figure(f"figures/{name}", figure, 0, close=False)

    def model(self, model: SavedModel) -> None:
        """Write the model folder."""
        save_model(self._partial / "model", model)

    def finish(self) -> None:
        """Write metrics, timings, versions and the report, and put everything in its place: a folder with a report is done."""
        write_json(self._partial / "metrics.json", dict(sorted(self.metrics.items())))
        write_json(self._partial / "timings.json", {name: round(seconds, 3) for name, seconds in self._timings.items()})
        write_json(self._partial / "versions.json", environment())
        versions = ", ".join(f"{name} {version}" for name, version in installed_versions().items())
        facts = {**self._facts, "versions": versions}
        write_text(self._partial / REPORT, render_page(self._title, facts, self.headlines, self._sections))
        if self._has_session:
            end_session(self._events, "success")
        self._close()
        clear_run(self.folder, keep=JOB)
        for entry in sorted(self._partial.iterdir(), key=lambda entry: entry.name == REPORT):  # the report comes last
            if entry.name not in (NOTE, CHECKPOINTS):
                os.replace(entry, self.folder / entry.name)
        shutil.rmtree(self._partial)

    def discard(self) -> None:
        """Take back everything this run made, and the folder too if nothing else is in it."""
        with suppress(OSError):  # a full disk takes no last events
            self._close()
        shutil.rmtree(self._partial, ignore_errors=True)
        remove_if_empty(self.folder)

    def interrupt(self) -> None:
        """Leave the checkpoints for the same run to go on from; without any, ``discard``."""
        if not self.checkpoints.folder.is_dir():
            self.discard()
            return
        with suppress(OSError):
            self._close()

    def _close(self) -> None:
        self._events.close()
        self._progress.close()


def _pattern(curve: str) -> str:
    """Return the regular expression by which TensorBoard finds a curve, or all curves below a name that ends in ``/``."""
    return f"^{re.escape(curve)}" + ("" if curve.endswith("/") else "$")


def environment() -> dict[str, str]:
    """Name all that a number depends on besides configuration and data: versions, threads and the default dtype."""
    widths = {"threads": str(torch.get_num_threads()), "default_dtype": str(torch.get_default_dtype())}
    return {**installed_versions(), **widths}


def installed_versions() -> dict[str, str]:
    """Name the versions a number depends on."""
    versions: dict[str, Any] = {"marketnn": __version__, "python": platform.python_version()}
    for name in VERSIONED:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    versions["torch"] = torch.__version__
    return versions
