"""A search: settings proposed one after the other by optuna, each a job as a sweep's, and the best of them.

``study.db`` in the search's folder has every proposal and its result, so the same command goes on where it was stopped. Each
proposal is drawn with a seed of its own: a search that was stopped proposes what one that was not would have.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from hydra.core.override_parser.overrides_parser import OverridesParser
from tqdm import tqdm

from marketnn.command.compose import in_few_lines, launch
from marketnn.command.conclusion import conclude, is_refused
from marketnn.command.search_space import Space
from marketnn.command.search_words import Direction, Search
from marketnn.command.sweep import with_folder
from marketnn.command.sweep_job import SweepJob
from marketnn.errors import ConfigurationError, InputError, unknown_name
from marketnn.seed import child_seed
from marketnn.tracking.folder import clear_run, remove_if_empty
from marketnn.tracking.metric_schema import described
from marketnn.tracking.sweep import JobResult, read_jobs

if TYPE_CHECKING:
    import optuna

STUDY, NAME = "study.db", "search"
SHOWN = 5  # of the best trials
_SAME = ("asked", "sweep")  # what a study knows of its search


def run_search(words: Sequence[str], search: Search, primary: str, command: str) -> int:
    """Propose settings, run each, and say which were best.

    Args:
        words: of the command line, without the search's own.
        search: how many trials, which metric, which sampler.
        primary: the configuration to start from.
        command: what was typed.

    Returns:
        The exit status: 0 if every trial finished, 1 if one failed.

    Raises:
        InputError: nothing to search, words that cannot be composed, a first trial that is refused, a metric that it does not
            give, another search's folder, or no optuna.
    """
    with in_few_lines(words):
        overrides = OverridesParser.create().parse_overrides(list(words))
    space = Space.of(overrides)
    fixed, folder = with_folder(
        [word for word, each in zip(words, overrides, strict=True) if not each.is_sweep_override()]
    )
    study = _open(folder, search, [*fixed, *space.words])
    sweep = study.user_attrs["sweep"]
    try:
        for number in _numbers(study, search, folder):
            trial = _propose(study, space, search, number)
            job = SweepJob(sweep, list(space.distributions), words, torch.get_num_threads(), command, number)
            chosen = [f"{key}={value}" for key, value in space.typed(trial.params).items()]
            launch(job, ["-m", *fixed, *chosen, f"hydra.sweep.subdir={number}"], primary)
            (result,) = [result for result in read_jobs(folder, sweep) if result.job.number == number]
            _tell(study, number, result, search)
    except InputError:
        if not [trial for trial in study.trials if trial.state.is_finished()]:
            _take_back(folder, sweep)
        raise
    results = read_jobs(folder, sweep)
    conclude(folder, results, search.trials, command, _best(results, search.metric, study.direction.name == "MINIMIZE"))
    return 1 if any(result.failed for result in results) else 0


def _open(folder: Path, search: Search, asked: Sequence[str]) -> optuna.Study:
    """Open the folder's study, or begin one."""
    try:
        import optuna
    except ImportError as error:
        raise InputError('search needs optuna: pip install -c constraints.txt -e ".[search]"') from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    better = described(search.metric).better
    known: dict[str, Direction] = {"lower": "minimize", "higher": "maximize"}
    direction: Direction | None = search.direction or known.get(better)
    if direction is None:
        raise ConfigurationError(
            f"metric={search.metric}: is less of it better? Pass direction=minimize or direction=maximize."
        )
    folder.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        storage=f"sqlite:///{folder / STUDY}", study_name=NAME, direction=direction, load_if_exists=True
    )
    own = {"asked": sorted([*asked, search.metric, search.sampler, direction]), "sweep": f"{time.time_ns():x}"}
    if not study.user_attrs:
        for name in _SAME:
            study.set_user_attr(name, own[name])
    elif study.user_attrs["asked"] != own["asked"]:
        differ = sorted(set(study.user_attrs["asked"]) ^ set(own["asked"]))
        raise InputError(
            f"{folder} has another search, which differs in {', '.join(differ)}; name another hydra.sweep.dir."
        )
    return study


def _numbers(study: optuna.Study, search: Search, folder: Path) -> Sequence[int]:
    """Return the trials that are to run: those that were stopped, and those that were not begun."""
    finished = {trial.number for trial in study.trials if trial.state.is_finished()}
    left = [number for number in range(search.trials) if number not in finished]
    if not sys.stderr.isatty():
        return left
    return tqdm(left, initial=len(finished), total=search.trials, desc=folder.name, unit="trial")


def _propose(study: optuna.Study, space: Space, search: Search, number: int) -> optuna.trial.FrozenTrial:
    """Return a trial's settings: those of one that was stopped, or new ones."""
    if number >= len(study.trials):
        study.sampler = search.new_sampler(child_seed(search.seed, f"trial {number}"))
        study.ask(space.distributions)
    return study.trials[number]


def _tell(study: optuna.Study, number: int, result: JobResult, search: Search) -> None:
    import optuna

    first = not [trial for trial in study.trials if trial.state.is_finished()]
    if first and is_refused(result):
        raise InputError(result.message)
    if result.failed:
        study.tell(number, state=optuna.trial.TrialState.FAIL)
        return
    if search.metric not in result.metrics:
        raise unknown_name("metric", search.metric, result.metrics)
    study.tell(number, result.metrics[search.metric])


def _take_back(folder: Path, sweep: str) -> None:
    """Leave nothing of a search that could not begin."""
    for result in read_jobs(folder, sweep):
        clear_run(result.folder)
        remove_if_empty(result.folder)
    for name in (STUDY, "multirun.yaml"):
        with suppress(FileNotFoundError):
            (folder / name).unlink()
    remove_if_empty(folder)


def _best(results: Sequence[JobResult], metric: str, lower: bool) -> list[str]:
    """Say which settings were best."""
    finished = [result for result in results if metric in result.metrics]
    ranked = sorted(finished, key=lambda result: result.metrics[metric] * (1 if lower else -1))[:SHOWN]
    lines: list[Any] = [
        f"{metric} {result.metrics[metric]:.6g}  trial {result.job.number}: {result.job.setting}" for result in ranked
    ]
    return [f"Best of {len(finished)} trials, {'lowest' if lower else 'highest'} {metric} first:", *lines]
