"""What a search may choose from: the words with several values, in Hydra's own grammar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.types import IntervalSweep, Override

from marketnn.errors import ConfigurationError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


@dataclass(frozen=True)
class Space:
    """Keys and what each may be.

    Attributes:
        distributions: key -> optuna's distribution: a choice, a range of whole numbers, or an interval, on a logarithmic scale
            where it is tagged so.
        words: as they were typed.
    """

    distributions: dict[str, BaseDistribution]
    words: Sequence[str]

    @classmethod
    def of(cls, overrides: Sequence[Override]) -> Space:
        """Take the words with several values.

        Raises:
            ConfigurationError: there is none, the seed is one, or an interval cannot be one of its kind.
        """
        several = [each for each in overrides if each.is_sweep_override()]
        if not several:
            raise ConfigurationError(
                "search needs something to choose from, such as optimizer=lm,adam, 'network.hidden_sizes=choice([10],[20])',\n"
                "'pipeline.members=range(1,9)', 'optimizer.damping=tag(log, interval(1e-4, 0.1))' or 'int(interval(5, 50))'."
            )
        if any(each.key_or_group == "seed" for each in several):
            raise ConfigurationError(
                "search tries each setting once: give one seed, and compare the best with -m seed=0,1,2."
            )
        return cls(
            {each.key_or_group: _distribution(each) for each in several}, [str(each.input_line) for each in several]
        )

    def typed(self, chosen: Mapping[str, Any]) -> dict[str, str]:
        """Write chosen values as words of a command line."""
        return {key: str(chosen[key]) for key in self.distributions}


def _distribution(override: Override) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    given, log = override.value(), "log" in getattr(override.value(), "tags", ())
    if isinstance(given, IntervalSweep):
        low, high = given.start, given.end
        if low is None or high is None or not low <= high or (log and low <= 0):
            raise ConfigurationError(f"'{override.input_line}' is no interval{' for logarithms' if log else ''}.")
        if isinstance(low, int) and isinstance(high, int):
            return IntDistribution(low, high, log=log)
        return FloatDistribution(float(low), float(high), log=log)
    return CategoricalDistribution(list(override.sweep_string_iterator()))
