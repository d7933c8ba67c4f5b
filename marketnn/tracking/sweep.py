"""The jobs of a sweep: what each was, how it ended, and how the settings compare over shared seeds.

Everything is read from the jobs' folders, so it does not matter in which process, or on which machine, a job ran.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from scipy import stats

from marketnn import __version__
from marketnn.tracking.files import write_json
from marketnn.tracking.folder import FAILURE, JOB, check_free, clear_run
from marketnn.tracking.partial import REPORT

UNFINISHED = "the job did not come to an end: its process was stopped"
LEVEL = 0.95  # of the intervals
MAX_PATH = 1024  # characters; a longer text is no path


@dataclass(frozen=True)
class Job:
    """One job of a sweep.

    Attributes:
        sweep: of which sweep; a folder may hold jobs of an earlier one.
        number: from 0.
        overrides: what was typed, as this job saw it.
        setting: the swept keys and their values, without the seed; jobs of one setting differ in their seed alone.
        seed: of the job.
        settings: the choices of the run, the seed and every swept key, for TensorBoard.
        kept: whether an earlier sweep had finished it, so that it was not run again.
    """

    sweep: str
    number: int
    overrides: Sequence[str]
    setting: str
    seed: Any
    settings: Mapping[str, bool | float | str] = field(default_factory=dict)
    kept: bool = False


@dataclass(frozen=True)
class JobResult:
    """How a job ended.

    Attributes:
        job: which one.
        folder: its run folder.
        metrics: name -> number; empty unless it finished.
        kind, message: of the error; empty if it finished.
    """

    job: Job
    folder: Path
    metrics: Mapping[str, float] = field(default_factory=dict)
    kind: str = ""
    message: str = ""

    @property
    def failed(self) -> bool:
        """Whether the job has no result."""
        return bool(self.kind)


def begin_job(folder: Path, job: Job) -> None:
    """Mark a folder as this job's; what an earlier run left in it goes, so that it is never taken for this job's result.

    Raises:
        InputError: the folder holds somebody else's files.
    """
    check_free(folder)
    if folder.is_dir():
        clear_run(folder)
    write_json(folder / JOB, {"marketnn": __version__, **asdict(job)})


def keep_job(folder: Path, job: Job, config: str, versions: Mapping[str, str]) -> bool:
    """Take a job over that an earlier sweep finished, if nothing that its numbers depend on has changed since.

    Args:
        folder: the job's.
        job: as it would be begun.
        config: its configuration as text, secrets masked; files that it names must not be younger than the result.
        versions: library or setting -> version or value.

    Returns:
        Whether it was taken over; otherwise nothing was changed.
    """
    earlier = _read_job(folder / JOB)
    if earlier is None or replace(earlier, sweep=job.sweep, kept=False) != job or (folder / FAILURE).exists():
        return False
    try:
        finished = (folder / REPORT).stat().st_mtime
        recorded = json.loads((folder / "versions.json").read_text(encoding="utf-8"))
        same = (folder / "config.yaml").read_text(encoding="utf-8") == config and versions.items() <= recorded.items()
    except (OSError, ValueError):
        return False
    if not same or any(file.stat().st_mtime > finished for file in _files_named(yaml.safe_load(config))):
        return False
    write_json(folder / JOB, {"marketnn": __version__, **asdict(replace(job, kept=True))})
    return True


def job_states(sweep_folder: Path, sweep: str) -> list[tuple[Job, bool]]:
    """List the jobs begun so far, by number, and whether each has come to an end."""
    found = [(_read_job(file), file.parent) for file in sweep_folder.rglob(JOB)]
    ours = [(job, folder) for job, folder in found if job is not None and job.sweep == sweep]
    ended = [(job, any((folder / name).exists() for name in (FAILURE, REPORT))) for job, folder in ours]
    return sorted(ended, key=lambda entry: entry[0].number)


def read_jobs(sweep_folder: Path, sweep: str) -> list[JobResult]:
    """Read how the jobs of a sweep ended, by number."""
    results = []
    for file in sweep_folder.rglob(JOB):
        job = _read_job(file)
        if job is not None and job.sweep == sweep:
            results.append(_result(job, file.parent))
    return sorted(results, key=lambda result: result.job.number)


def summary_table(jobs: Sequence[JobResult]) -> pd.DataFrame:
    """One row per job: job, overrides, setting, seed, status, failure, then every metric (nothing where it has none)."""
    rows = [
        {
            "job": result.job.number,
            "overrides": " ".join(result.job.overrides),
            "setting": result.job.setting,
            "seed": result.job.seed,
            "status": "failed" if result.failed else "finished",
            "failure": _line(result.message),
            **{name: result.metrics.get(name, np.nan) for name in metric_names(jobs)},
        }
        for result in jobs
    ]
    return pd.DataFrame(rows)


def comparison_table(jobs: Sequence[JobResult]) -> pd.DataFrame:
    """Compare the settings by every metric, over the jobs that finished.

    Returns:
        One row per setting and metric: ``n``, ``mean``, ``sd`` (n - 1) and ``half_width`` (of the mean's 95 % t interval, from
        two jobs on) over the setting's jobs; ``n_shared`` seeds that the first
        setting finished too, the mean ``difference`` to it over those, and its t interval ``low`` to ``high`` at 95 %
        (Student's, paired; from two shared seeds on); ``n_failed`` jobs, which count nowhere else.
    """
    settings = list(dict.fromkeys(result.job.setting for result in jobs))
    rows = []
    for setting in settings:
        mine = [result for result in jobs if result.job.setting == setting]
        for metric in metric_names(jobs):
            values, first = _by_seed(jobs, setting, metric), _by_seed(jobs, settings[0], metric)
            shared = [seed for seed in values if seed in first and setting != settings[0]]
            row = {
                "setting": setting,
                "metric": metric,
                "n": len(values),
                **mean_and_spread(list(values.values())),
                "n_shared": len(shared),
                **paired_difference([values[seed] for seed in shared], [first[seed] for seed in shared]),
                "n_failed": sum(result.failed for result in mine),
            }
            rows.append(row)
    return pd.DataFrame(rows)


def mean_and_spread(values: Sequence[float]) -> dict[str, float]:
    """Return ``mean``, ``sd`` (n - 1) and ``half_width`` of the mean's 95 % t interval; NaN where there are too few values."""
    n = len(values)
    mean = statistics.fmean(values) if n else math.nan
    sd = statistics.stdev(values) if n > 1 else math.nan  # exact: equal values have none
    half_width = float(stats.t.ppf(0.5 + LEVEL / 2, n - 1)) * sd / math.sqrt(n) if n > 1 else math.nan
    return {"mean": mean, "sd": sd, "half_width": half_width}


def paired_difference(second: Sequence[float], first: Sequence[float]) -> dict[str, float]:
    """Return ``difference`` (mean of second - first) and its 95 % t interval ``low`` to ``high``; NaN where there are too few."""
    spread = mean_and_spread([b - a for a, b in zip(first, second, strict=True)])
    mean, half_width = spread["mean"], spread["half_width"]
    return {"difference": mean, "low": mean - half_width, "high": mean + half_width}


def metric_names(jobs: Sequence[JobResult]) -> list[str]:
    """Name the metrics of all jobs, sorted."""
    return sorted({name for result in jobs for name in result.metrics})


def _by_seed(jobs: Sequence[JobResult], setting: str, metric: str) -> dict[str, float]:
    """Return seed -> value over the finished jobs of a setting."""
    return {
        str(result.job.seed): result.metrics[metric]
        for result in jobs
        if result.job.setting == setting and metric in result.metrics
    }


def _result(job: Job, folder: Path) -> JobResult:
    if (folder / FAILURE).exists():
        failure = json.loads((folder / FAILURE).read_text(encoding="utf-8"))
        return JobResult(job, folder, kind=failure["kind"], message=failure["message"])
    if not (folder / REPORT).exists():
        return JobResult(job, folder, kind="Stopped", message=UNFINISHED)
    return JobResult(job, folder, metrics=json.loads((folder / "metrics.json").read_text(encoding="utf-8")))


def _files_named(settings: Any) -> Iterator[Path]:
    """Name the files and folders among the texts of a configuration."""
    if isinstance(settings, Mapping):
        settings = list(settings.values())
    if isinstance(settings, list):
        for value in settings:
            yield from _files_named(value)
    elif isinstance(settings, str) and len(settings) < MAX_PATH and "\0" not in settings and Path(settings).exists():
        yield Path(settings)


def _read_job(file: Path) -> Job | None:
    """Read a job's record; ``None`` for a file of that name which is none."""
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        return Job(**{name: value for name, value in record.items() if name != "marketnn"})
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def _line(message: str) -> str:
    """Put a message on one line: the last of a traceback, all of a refusal."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return lines[-1] if message.startswith("Traceback") else " ".join(lines)
