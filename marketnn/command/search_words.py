"""The words of a search: ``search=20 metric=rmse sampler=tpe direction=minimize``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from marketnn.command.words import SWEEP
from marketnn.errors import ConfigurationError, unknown_name

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

SAMPLERS = ("tpe", "random")
Direction = Literal["minimize", "maximize"]
DIRECTIONS: tuple[Direction, ...] = ("minimize", "maximize")
OWN = ("search", "metric", "sampler", "direction")


@dataclass(frozen=True)
class Search:
    """What is searched for.

    Attributes:
        trials: how many settings to try, those of an earlier call counted.
        metric: a name as in ``metrics.json``.
        sampler: ``tpe``, which learns from the trials, or ``random``.
        direction: ``None`` takes what the metric is known for.
        seed: of the proposals: the runs' own.
    """

    trials: int
    metric: str
    sampler: str = "tpe"
    direction: Direction | None = None
    seed: int = 0

    def new_sampler(self, seed: int) -> BaseSampler:
        """Return a sampler that starts from a seed."""
        import optuna

        kinds: dict[str, Any] = {"tpe": optuna.samplers.TPESampler, "random": optuna.samplers.RandomSampler}
        return kinds[self.sampler](seed=seed % 2**32)


def take_search(words: Sequence[str]) -> tuple[list[str], Search | None]:
    """Split a search's own words off: return the others and what they ask for.

    Raises:
        ConfigurationError: a value that cannot be, no metric, ``-m`` or a launcher beside it.
    """
    given = {
        key: value for key, separator, value in (word.partition("=") for word in words) if separator and key in OWN
    }
    others = [word for word in words if word.partition("=")[0] not in given]
    if "search" not in given:
        if given:
            raise ConfigurationError(
                f"{next(iter(given))}=... belongs to a search: add search=20, the number of trials."
            )
        return list(words), None
    if not given["search"].isdigit() or int(given["search"]) < 1:
        raise ConfigurationError(f"search={given['search']} is not a number of trials; write search=20.")
    if not given.get("metric"):
        raise ConfigurationError(
            "search needs metric=NAME, one of the names in a run's metrics.json, such as metric=rmse."
        )
    for key, known in (("sampler", SAMPLERS), ("direction", DIRECTIONS)):
        if key in given and given[key] not in known:
            raise unknown_name(key, given[key], known)
    if SWEEP & set(others) or any(word.startswith("hydra/launcher=") for word in others):
        raise ConfigurationError(
            "search runs its trials one after the other, each chosen by the last: leave -m and hydra/launcher out."
        )
    seeds = [word.partition("=")[2] for word in others if word.startswith("seed=")]
    seed = int(seeds[-1]) if seeds and seeds[-1].isdigit() else 0
    direction = next((known for known in DIRECTIONS if known == given.get("direction")), None)
    return others, Search(int(given["search"]), given["metric"], given.get("sampler", "tpe"), direction, seed)
